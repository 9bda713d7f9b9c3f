/**
 * EngineConnection: the engine's side of one connected socket, as far as streams and messages have it in common. It is what
 * `net` calls a handle: made when a socket connects or is accepted, gone when it is destroyed.
 *
 * It is an AsyncResource so that everything the socket tells its user happens in the context in which the
 * socket was made.
 */
import { AsyncResource } from 'node:async_hooks';
import { getSystemErrorName } from 'node:util';
import { PeerConnection } from '../credentials/connection';
import { debug, debugging } from '../debug';
import { errnoException } from '../errors';
import { engine, flush, own, submit, type HandleOwner } from './engine';
import { Ask } from './records';

export const onConnect = Symbol('onConnect');
export const onEnd = Symbol('onEnd');
export const onReadError = Symbol('onReadError');
export const onWriteError = Symbol('onWriteError');

/** The socket, as its connection sees it. Symbols, because a socket's names belong to its users. */
export interface ConnectionUser {
  destroy(error: Error): unknown;
  [onConnect](status: number): void;
  [onEnd](): void;
  /** Everything that came before it was told. */
  [onReadError](status: number): void;
  /** What had been taken to be sent failed, and nothing will be sent any more. */
  [onWriteError](status: number): void;
}

export abstract class EngineConnection<User extends ConnectionUser>
  extends PeerConnection
  implements HandleOwner
{
  reading = false;
  blocked = false;
  unflushed = 0;
  untaken = 0;
  writeOutcome = 0;
  settling = false;
  toldIn = 0;
  bytesRead = 0;
  bytesWritten = 0;

  protected user: User | null = null;
  /** All that there was to read has been told. */
  private ended = false;
  private shutDown = false;
  protected shutdownCallback: ((status: number) => void) | null = null;
  protected closedCallback: (() => void) | null = null;

  protected constructor(handle: number, resource: string) {
    super(resource, handle);
    own(handle, this);
  }

  /** From now on everything is told to `user`. */
  serve(user: User): void {
    this.user = user;
  }

  abstract get awaitsWrite(): boolean;

  readStart(): void {
    this.reading = true;
    submit(this.handle, Ask.readStart, 0, 0);
  }

  readStop(): void {
    this.reading = false;
    submit(this.handle, Ask.readStop, 0, 0);
  }

  /** Half-close, behind everything sent so far. */
  shutdown(callback: (status: number) => void): void {
    // Whoever waits for the end is told in the context in which it was asked for.
    const context = new AsyncResource('AFUNIXSHUTDOWN');
    this.shutdownCallback = (status) => context.runInAsyncScope(callback, undefined, status);
    submit(this.handle, Ask.shutdown, 0, 0);
  }

  /** `callback` runs when the descriptor is closed; nothing else is told from now on. */
  close(callback: () => void): void {
    this.closedCallback = callback;
    this.user = null;
    this.closed();
    if (debugging)
      debug(
        '#%d: close, %d bytes read, %d written',
        this.handle,
        this.bytesRead,
        this.bytesWritten,
      );
    submit(this.handle, Ask.close, 0, 0);
    // As with `net`, it is closed when destroy() returns. If both ends are done, nobody can tell.
    if (!this.ended || !this.shutDown) flush();
  }

  /** `atOnce`: of messages that are received together. */
  setMaxDescriptors(most: number, atOnce: number): void {
    const status = engine().setMaxDescriptors(this.handle, most, atOnce);
    if (status < 0) throw errnoException(status, 'setsockopt');
  }

  setReferenced(referenced: boolean): void {
    engine().setReferenced(this.handle, referenced);
  }

  setBusyPoll(microseconds: number): void {
    engine().setBusyPoll(this.handle, microseconds);
  }

  /** Bytes that the kernel has not taken yet. */
  pendingBytes(): number {
    flush();
    return engine().pendingBytes(this.handle);
  }

  onConnected(status: number): void {
    const { user } = this;
    if (user === null) return;
    if (debugging)
      debug(
        '#%d: %s',
        this.handle,
        status === 0 ? 'connected' : `connecting failed: ${getSystemErrorName(status)}`,
      );
    const tell = (): void => this.runInAsyncScope(connected, user, status);
    const met = (): void => {
      this.letGo();
      tell();
    };
    if (status !== 0) tell();
    else this.whenMet(met, (error) => this.runInAsyncScope(() => user.destroy(error)));
  }

  /** Whoever is at the other end may have what was held back from them. */
  protected letGo(): void {
    // A stream holds back itself whatever is written before 'connect'.
  }

  onEnd(): void {
    this.reading = false;
    this.ended = true;
    if (debugging) debug('#%d: end', this.handle);
    if (this.user !== null) this.runInAsyncScope(ended, this.user);
  }

  onReadError(status: number): void {
    this.reading = false;
    if (debugging) debug('#%d: read %s', this.handle, getSystemErrorName(status));
    if (this.user !== null) this.runInAsyncScope(readFailed, this.user, status);
  }

  abstract onWritten(status: number): void;

  onShutdown(status: number): void {
    this.shutDown = true;
    const callback = this.shutdownCallback;
    this.shutdownCallback = null;
    if (callback !== null && this.user !== null) callback(status);
  }

  onClosed(): void {
    const callback = this.closedCallback;
    this.closedCallback = null;
    if (callback !== null) this.runInAsyncScope(callback);
  }

  protected tellWriteError(status: number): void {
    if (this.user === null) return;
    if (debugging) debug('#%d: write %s', this.handle, getSystemErrorName(status));
    this.runInAsyncScope(writeFailed, this.user, status);
  }

  // What only one kind of socket has is told by that kind; only listeners accept and drop.

  onData(_offset: number, _length: number): void {
    // A stream's.
  }

  onSlabData(_slab: number, _length: number): void {
    // A stream's.
  }

  onTargetData(_length: number): void {
    // A stream's.
  }

  onMessages(_first: number, _count: number): void {
    // Those of a socket that keeps the boundaries of messages.
  }

  onDescriptors(_place: number, _count: number): void {
    // Both have them, each in its way.
  }

  onCredentials(_peer: number): void {
    // A stream's; those of messages come with them.
  }

  onAccepted(): void {
    // A listener's.
  }

  onDropped(): void {
    // A listener's.
  }
}

function connected(this: ConnectionUser, status: number): void {
  this[onConnect](status);
}
function ended(this: ConnectionUser): void {
  this[onEnd]();
}
function readFailed(this: ConnectionUser, status: number): void {
  this[onReadError](status);
}
function writeFailed(this: ConnectionUser, status: number): void {
  this[onWriteError](status);
}
