/** Who waits for the 'finish' of a message socket. */
import { codedError } from '../errors';
import { nextTick } from '../real-time';

/** Of `end()`: with an error if the socket will never finish. */
export type EndCallback = (error?: NodeJS.ErrnoException) => void;

/** The socket, as far as it concerns its finish. */
export interface Finishing {
  readonly writableFinished: boolean;
  readonly destroyed: boolean;
  readonly errored: Error | null;
}

export class FinishCallbacks {
  private waiting: EndCallback[] = [];

  constructor(private readonly socket: Finishing) {}

  add(callback: EndCallback): void {
    if (this.socket.writableFinished) {
      const code = 'ERR_STREAM_ALREADY_FINISHED';
      const error = codedError(Error, code, 'Cannot call end after a stream was finished');
      nextTick(callback, error);
    } else if (this.socket.destroyed) {
      nextTick(callback, this.neverFinishes());
    } else {
      this.waiting.push(callback);
    }
  }

  /** It has finished. */
  finished(): void {
    for (const callback of this.waiting.splice(0)) nextTick(callback);
  }

  /** It was destroyed, and will not. */
  abandoned(): void {
    for (const callback of this.waiting.splice(0)) nextTick(callback, this.neverFinishes());
  }

  private neverFinishes(): Error {
    const code = 'ERR_STREAM_DESTROYED';
    const message = 'Cannot call end after a stream was destroyed';
    return this.socket.errored ?? codedError(Error, code, message);
  }
}
