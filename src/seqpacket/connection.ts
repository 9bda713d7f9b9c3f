/**
 * MessageConnection: the engine's side of one message socket. As Connection is for streams: everything is told to its user in
 * the asynchronous context in which the socket was made.
 */
import { AsyncResource } from 'node:async_hooks';
import {
  engine,
  flush,
  own,
  payloads,
  reserveMessage,
  sendArea,
  submit,
  submitMessage,
  targets,
  type HandleOwner,
} from '../engine/engine';
import { Ask } from '../engine/records';
import { onConnect, onEnd, onReadError, onWriteError } from '../socket/connection';
import { LENGTHS, received } from './memory';

export type SendCallback = (error: Error | null) => void;

export const onMessages = Symbol('onMessages');
export const onDrained = Symbol('onDrained');

/** The socket, as its connection sees it. Symbols, because a socket's names belong to its users. */
export interface MessageUser {
  [onConnect](status: number): void;
  /** Rows of the table of received messages, valid until this returns. */
  [onMessages](first: number, count: number): void;
  [onEnd](): void;
  /** Everything that came before it was told. */
  [onReadError](status: number): void;
  /** The kernel has taken everything that was sent. */
  [onDrained](): void;
  /** What was sent last was not taken, and nothing will be; `onReadError` follows what was received until then. */
  [onWriteError](status: number): void;
}

/** Longer messages go to the kernel from where they are, without a copy of ours. */
const LONGEST_COPIED = 16 * 1024;

/** A tick may gather this much for one socket before the kernel is asked to take it. */
const LONGEST_UNFLUSHED = 64 * 1024;

interface Waiting {
  readonly callback: SendCallback;
  readonly context: AsyncResource;
}

export class MessageConnection extends AsyncResource implements HandleOwner {
  reading = false;
  blocked = false;
  unflushed = 0;
  writeOutcome = 0;
  settling = false;
  bytesRead = 0;
  bytesWritten = 0;
  messagesRead = 0;
  messagesWritten = 0;
  /** Somebody was told to wait for 'drain'. */
  needsDrain = false;

  private user: MessageUser | null = null;
  /** Bytes sent since the kernel last took everything. */
  private held = 0;
  /** Whoever waits for messages that were flushed, and for those that were not. */
  private waiting: Waiting[] = [];
  private fresh: Waiting[] = [];
  private shutdownCallback: ((status: number) => void) | null = null;
  private closedCallback: (() => void) | null = null;

  constructor(readonly handle: number) {
    super('AFUNIXMESSAGES');
    own(handle, this);
  }

  serve(user: MessageUser): void {
    this.user = user;
  }

  get awaitsWrite(): boolean {
    return this.needsDrain || this.fresh.length > 0 || this.waiting.length > 0;
  }

  /** Bytes that the kernel has not taken, as far as we know. */
  get queued(): number {
    return this.blocked ? this.held : this.unflushed;
  }

  readStart(): void {
    this.reading = true;
    submit(this.handle, Ask.readStart, 0, 0);
  }

  readStop(): void {
    this.reading = false;
    submit(this.handle, Ask.readStop, 0, 0);
  }

  /** Messages go into `target` from now on; without one into the memory that all share. */
  readInto(target: Uint8Array | undefined): void {
    const before = targets[this.handle];
    if ((before === undefined) !== (target === undefined)) {
      submit(this.handle, Ask.readTargets, 0, target === undefined ? 0 : 1);
    }
    targets[this.handle] = target;
  }

  /** Sends one message; its memory is its owner's again when this returns. */
  send(message: Uint8Array, callback: SendCallback | null): void {
    const length = message.byteLength;
    if (length > LONGEST_COPIED) {
      this.sendPayload(message, callback);
      return;
    }
    const offset = this.reserve(length);
    sendArea.set(message, offset);
    this.sendReserved(length, callback);
  }

  /** The same for a string that has `length` bytes. */
  sendText(text: string, length: number, callback: SendCallback | null): void {
    if (length > LONGEST_COPIED) {
      this.sendPayload(Buffer.from(text), callback);
      return;
    }
    const offset = this.reserve(length);
    sendArea.write(text, offset, length, 'utf8');
    this.sendReserved(length, callback);
  }

  private reserve(length: number): number {
    if (this.unflushed + length > LONGEST_UNFLUSHED) flush();
    return reserveMessage(length);
  }

  private sendReserved(length: number, callback: SendCallback | null): void {
    this.count(length, callback);
    submitMessage(this.handle, this, length);
  }

  private sendPayload(message: Uint8Array, callback: SendCallback | null): void {
    // What was gathered goes first.
    if (this.unflushed > 0) flush();
    this.count(message.byteLength, callback);
    payloads[this.handle] = message;
    submit(this.handle, Ask.sendPayload, 0, message.byteLength);
    flush();
    payloads[this.handle] = undefined;
  }

  private count(length: number, callback: SendCallback | null): void {
    this.held = length + (this.blocked ? this.held : this.unflushed);
    this.bytesWritten += length;
    this.messagesWritten += 1;
    if (this.unflushed === 0 && this.fresh.length > 0) this.becameOld();
    if (callback !== null) {
      // Whoever waits is told in the context in which it sent.
      this.fresh.push({ callback, context: new AsyncResource('AFUNIXSEND') });
    }
  }

  private becameOld(): void {
    this.waiting.push(...this.fresh);
    this.fresh = [];
  }

  /** Half-close, behind everything sent so far. */
  shutdown(callback: (status: number) => void): void {
    this.shutdownCallback = callback;
    submit(this.handle, Ask.shutdown, 0, 0);
  }

  /** `callback` runs when the descriptor is closed; nothing else is told from now on. */
  close(callback: () => void): void {
    this.closedCallback = callback;
    this.user = null;
    submit(this.handle, Ask.close, 0, 0);
  }

  /** Tells whoever still waits for a message that it is too late. */
  abandon(error: Error): void {
    this.becameOld();
    this.tellWaiting(error);
  }

  setReferenced(referenced: boolean): void {
    engine().setReferenced(this.handle, referenced);
  }

  setBusyPoll(microseconds: number): void {
    engine().setBusyPoll(this.handle, microseconds);
  }

  pendingBytes(): number {
    flush();
    return engine().pendingBytes(this.handle);
  }

  private tellWaiting(error: Error | null): void {
    const told = this.waiting;
    this.waiting = [];
    // One tick each: what one of them throws is its own affair.
    for (const { callback, context } of told) process.nextTick(tell, callback, context, error);
  }

  onConnected(status: number): void {
    if (this.user !== null) this.runInAsyncScope(connected, this.user, status);
  }

  onMessages(first: number, count: number): void {
    this.messagesRead += count;
    for (let row = LENGTHS + first; row < LENGTHS + first + count; ++row) {
      this.bytesRead += received[row];
    }
    if (this.user !== null) this.runInAsyncScope(messages, this.user, first, count);
  }

  onEnd(): void {
    this.reading = false;
    if (this.user !== null) this.runInAsyncScope(ended, this.user);
  }

  onReadError(status: number): void {
    this.reading = false;
    if (this.user !== null) this.runInAsyncScope(readFailed, this.user, status);
  }

  onWritten(status: number): void {
    this.writeOutcome = 0;
    if (this.user === null) return;
    if (status !== 0) {
      // Its callbacks are told by whoever knows what became of the connection.
      this.runInAsyncScope(sendFailed, this.user, status);
      return;
    }
    if (this.unflushed === 0) this.becameOld();
    this.tellWaiting(null);
    if (this.needsDrain && this.unflushed === 0) {
      this.needsDrain = false;
      this.runInAsyncScope(drained, this.user);
    }
  }

  onShutdown(status: number): void {
    const callback = this.shutdownCallback;
    this.shutdownCallback = null;
    if (callback !== null && this.user !== null) this.runInAsyncScope(callback, undefined, status);
  }

  onClosed(): void {
    const callback = this.closedCallback;
    this.closedCallback = null;
    if (callback !== null) this.runInAsyncScope(callback);
  }

  onData(): void {
    // A message is never told as data.
  }

  onSlabData(): void {
    // Nor in a slab,
  }

  onDescriptors(): void {
    // Nobody asks for them here.
  }

  onTargetData(): void {
    // nor in a target.
  }

  onAccepted(): void {
    // Only listeners accept.
  }

  onDropped(): void {
    // Only listeners drop.
  }
}

function tell(callback: SendCallback, context: AsyncResource, error: Error | null): void {
  context.runInAsyncScope(callback, undefined, error);
}

function connected(this: MessageUser, status: number): void {
  this[onConnect](status);
}
function messages(this: MessageUser, first: number, count: number): void {
  this[onMessages](first, count);
}
function ended(this: MessageUser): void {
  this[onEnd]();
}
function readFailed(this: MessageUser, status: number): void {
  this[onReadError](status);
}
function drained(this: MessageUser): void {
  this[onDrained]();
}
function sendFailed(this: MessageUser, status: number): void {
  this[onWriteError](status);
}
