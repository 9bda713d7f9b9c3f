/** What `write()` does once the peer has ended and this end has ended with it. */
import { addHint, codedError } from '../errors';
import type { SocketMethods } from './methods';
import { nextTick } from '../real-time';

type Callback = (error: Error | null | undefined) => void;

/** A `write()` for then, with a better reason than "write after end"; until then it is `write`. */
export function writeAfterEnd(write: SocketMethods['write']): SocketMethods['write'] {
  return function (
    this: SocketMethods,
    chunk: unknown,
    encoding?: BufferEncoding | null | Callback,
    callback?: Callback,
  ): boolean {
    if (!this.writableEnded) return write.call(this, chunk, encoding, callback);
    const done = typeof encoding === 'function' ? encoding : callback;
    const error = codedError(Error, 'EPIPE', 'This socket has been ended by the other party');
    addHint(
      error,
      'the peer sent its end, so this socket ended too; `allowHalfOpen: true` prevents that',
    );
    if (typeof done === 'function') nextTick(done, error);
    this.destroy(error);
    return false;
  };
}
