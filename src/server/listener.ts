/** Listener: the engine's side of one listening socket. */
import { AsyncResource } from 'node:async_hooks';
import { getSystemErrorName } from 'node:util';
import { debug, debugging } from '../debug';
import { engine, flush, own, submit, type HandleOwner } from '../engine/engine';
import { Ask } from '../engine/records';
import type { PeerConnection } from '../credentials/connection';
import type { Gate } from './gate';

export const onAccept = Symbol('onAccept');
export const onDrop = Symbol('onDrop');

export const connectionFor = Symbol('connectionFor');
export const openGate = Symbol('openGate');

/** What a listener hands on: a connection of its own type. */
export interface Accepted extends PeerConnection {
  close(callback: () => void): void;
}

/** The server, as its listener sees it. Symbols, because a server's names belong to its users. */
export interface ListenerUser {
  [connectionFor](handle: number): Accepted;
  [onAccept](connection: Accepted): void;
  [onDrop](status: number, count: number): void;
  /** Whoever comes has to pass it; null lets everybody in. */
  [openGate](context: AsyncResource): Gate | null;
}

/** What a server listens with. */
export interface ListeningPoint {
  setReferenced(referenced: boolean): void;
  /** Still its own; −1 if there is none yet. */
  descriptor(): number;
  /** Others accept from the same socket: whichever is free shall have the next connection. */
  share(): void;
  close(): void;
  /**
   * Lets nobody in any more, and closes when whoever waits has been handed on; `finished` is called then. With `leave` others go on listening
   * on the same socket: whoever connects from now on is for them.
   */
  finish(finished: () => void, leave: boolean): void;
}

/** Those whose files process.exit() would leave, which runs no cleanup hook on the main thread. */
const closedAtExit = new Set<Listener>();

function closeAll(): void {
  for (const listener of closedAtExit) listener.close();
}

export class Listener extends AsyncResource implements HandleOwner, ListeningPoint {
  writeOutcome = 0;
  unflushed = 0;
  untaken = 0;
  settling = false;
  toldIn = 0;
  blocked = false;
  readonly awaitsWrite = false;

  private user: ListenerUser | null;
  private onFinished: (() => void) | null = null;
  private readonly gate: Gate | null;

  constructor(
    private readonly handle: number,
    user: ListenerUser,
  ) {
    super('AFUNIXLISTENER');
    this.user = user;
    this.gate = user[openGate](this);
    own(handle, this);
  }

  setReferenced(referenced: boolean): void {
    engine().setReferenced(this.handle, referenced);
  }

  descriptor(): number {
    return engine().descriptor(this.handle);
  }

  share(): void {
    engine().share(this.handle);
  }

  /** `net` leaves its socket files behind at process.exit(); this one does not. */
  closeAtExit(): void {
    if (closedAtExit.size === 0) process.on('exit', closeAll);
    closedAtExit.add(this);
  }

  /** Connections that were accepted meanwhile are closed. */
  close(): void {
    if (debugging && this.user !== null) debug('#%d: close', this.handle);
    this.user = null;
    if (closedAtExit.delete(this) && closedAtExit.size === 0) process.off('exit', closeAll);
    submit(this.handle, Ask.close, 0, 0);
    this.gate?.close();
    // Nobody shall get in, nor find the file, after close() returned.
    flush();
  }

  finish(finished: () => void, leave: boolean): void {
    this.onFinished = finished;
    submit(this.handle, Ask.shutdown, 0, leave ? 1 : 0);
    flush();
  }

  onEnd(): void {
    if (this.gate === null) this.finished();
    else this.gate.finish(() => this.finished());
  }

  private finished(): void {
    const { onFinished } = this;
    this.onFinished = null;
    this.close();
    onFinished?.();
  }

  onAccepted(handle: number, peer: number): void {
    const { user } = this;
    if (debugging) debug('#%d: accepted #%d', this.handle, handle);
    if (user === null) submit(handle, Ask.close, 0, 0);
    else if (this.gate !== null) this.gate.come(handle, peer);
    else {
      // Made outside of the server's context: whoever listened is not who is served.
      const connection = user[connectionFor](handle);
      connection.acceptedFrom(peer);
      this.runInAsyncScope(accept, user, connection);
    }
  }

  onDropped(status: number, count: number): void {
    const { user } = this;
    if (debugging) debug('#%d: %d dropped: %s', this.handle, count, getSystemErrorName(status));
    if (user !== null) this.runInAsyncScope(() => user[onDrop](status, count));
  }

  // A listener neither reads nor writes; closing needs no answer.
  onConnected(): void {}
  onData(): void {}
  onSlabData(): void {}
  onTargetData(): void {}
  onDescriptors(): void {}
  onCredentials(): void {}
  onMessages(): void {}
  onReadError(): void {}
  onWritten(): void {}
  onShutdown(): void {}
  onClosed(): void {}
}

function accept(this: ListenerUser, connection: Accepted): void {
  this[onAccept](connection);
}
