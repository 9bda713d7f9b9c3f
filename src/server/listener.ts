/** Listener: the engine's side of one listening socket. */
import { AsyncResource } from 'node:async_hooks';
import { engine, own, submit, type HandleOwner } from '../engine/engine';
import { Ask } from '../engine/records';

/** The server, as its listener sees it. */
export interface ListenerUser {
  accept(handle: number): void;
  dropped(status: number, count: number): void;
}

export class Listener extends AsyncResource implements HandleOwner {
  writeOutcome = 0;
  unflushed = 0;
  settling = false;
  blocked = false;
  readonly awaitsWrite = false;

  private user: ListenerUser | null;

  constructor(
    private readonly handle: number,
    user: ListenerUser,
  ) {
    super('AFUNIXLISTENER');
    this.user = user;
    own(handle, this);
  }

  setReferenced(referenced: boolean): void {
    engine().setReferenced(this.handle, referenced);
  }

  /** Connections that were accepted meanwhile are closed. */
  close(): void {
    this.user = null;
    submit(this.handle, Ask.close, 0, 0);
  }

  onAccepted(handle: number): void {
    const { user } = this;
    if (user === null) submit(handle, Ask.close, 0, 0);
    else this.runInAsyncScope(() => user.accept(handle));
  }

  onDropped(status: number, count: number): void {
    const { user } = this;
    if (user !== null) this.runInAsyncScope(() => user.dropped(status, count));
  }

  // A listener neither reads nor writes; closing needs no answer.
  onConnected(): void {}
  onData(): void {}
  onSlabData(): void {}
  onTargetData(): void {}
  onEnd(): void {}
  onReadError(): void {}
  onWritten(): void {}
  onShutdown(): void {}
  onClosed(): void {}
}
