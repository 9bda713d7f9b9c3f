/** MessageConnection: the engine's side of one message socket. */
import { AsyncResource } from 'node:async_hooks';
import type { Descriptor } from '../descriptor';
import { attachAll } from '../descriptor-sending';
import type { Expectation } from '../credentials/expectation';
import {
  flush,
  payloads,
  reserveMessage,
  sendArea,
  submit,
  submitMessage,
  targets,
} from '../engine/engine';
import { Ask, ReadStop } from '../engine/records';
import { EngineConnection, type ConnectionUser } from '../engine/connection';
import { errnoException } from '../errors';
import type { Attention } from './inbox';
import { LENGTHS, received } from './memory';
import { Withheld, type SendCallback, type Waiting } from './withheld';
import { nextTick } from '../real-time';

export type { SendCallback };

export const onMessages = Symbol('onMessages');
export const onDrained = Symbol('onDrained');
export const onDescriptorsRefused = Symbol('onDescriptorsRefused');

/** A message socket, as its connection sees it. */
export interface MessageUser extends ConnectionUser {
  /** Rows of the table of received messages, valid until this returns. */
  [onMessages](first: number, count: number): void;
  /** Descriptors that came with one of the messages just told were too many, and are closed. */
  [onDescriptorsRefused](status: number): void;
  /** The kernel has taken everything that was sent. */
  [onDrained](): void;
}

/** Longer messages go to the kernel from where they are, without a copy of ours. */
const LONGEST_COPIED = 16 * 1024;

/** A tick may gather this much for one socket before the kernel is asked to take it. */
const LONGEST_UNFLUSHED = 64 * 1024;

const STOPS = {
  watch: ReadStop.watchEnd,
  held: ReadStop.awaitUser,
  none: ReadStop.plain,
} as const satisfies Record<Exclude<Attention, 'read'>, number>;

export class MessageConnection extends EngineConnection<MessageUser> {
  messagesRead = 0;
  messagesWritten = 0;
  /** What of it is of interest now. */
  attention: Attention = 'none';
  /** Somebody was told to wait for 'drain'. */
  needsDrain = false;

  /** Descriptors that wait for the kernel, with their messages. */
  waitingDescriptors = 0;

  /** Bytes sent since the kernel last took everything. */
  private held = 0;
  /** Whoever waits for messages that the kernel has, for those that it has not taken, and for those that were gathered last. */
  private taken: Waiting[] = [];
  private waiting: Waiting[] = [];
  private fresh: Waiting[] = [];
  /** What the other end must not have before it is known who it is. */
  private withheld: Withheld | null = null;

  constructor(handle: number) {
    super(handle, 'AFUNIXMESSAGES');
  }

  override get awaitsWrite(): boolean {
    return this.needsDrain || this.fresh.length + this.taken.length + this.waiting.length > 0;
  }

  override expect(expectation: Expectation | null): this {
    if (expectation !== null) this.withheld ??= new Withheld();
    return super.expect(expectation);
  }

  protected override letGo(): void {
    const { withheld } = this;
    if (withheld === null) return;
    this.withheld = null;
    this.waitingDescriptors = 0;
    this.bytesWritten -= withheld.bytes;
    this.messagesWritten -= withheld.count;
    for (const { message, load, waiting } of withheld.take()) {
      if (load === null) this.sendBytes(message, waiting);
      else this.sendWithLoad(message, load, waiting);
    }
    for (const waiting of withheld.flushing.splice(0)) this.awaitFlush(waiting);
    this.attendNow();
  }

  /** `callback` runs once the kernel has everything that was sent so far, or with an error if it never will. */
  whenFlushed(callback: SendCallback): void {
    const waiting = { callback, context: new AsyncResource('AFUNIXSEND') };
    if (this.withheld === null) this.awaitFlush(waiting);
    else this.withheld.flushing.push(waiting);
  }

  private awaitFlush(waiting: Waiting): void {
    flush();
    if (this.blocked || this.writeOutcome !== 0) this.waiting.push(waiting);
    else nextTick(tell, waiting.callback, waiting.context, null);
  }

  /** Bytes that the kernel has not taken, as far as we know. */
  get queued(): number {
    if (this.withheld !== null) return this.withheld.bytes;
    return this.blocked ? this.held : this.unflushed;
  }

  /** Reads, or waits for nothing but the end, or for nothing at all. */
  attend(attention: Attention): void {
    if (attention === this.attention) return;
    this.attention = attention;
    this.reading = attention === 'read';
    // Until it is known who is there, nothing is taken from them.
    if (this.withheld === null) this.attendNow();
  }

  private attendNow(): void {
    const { attention } = this;
    if (attention === 'read') submit(this.handle, Ask.readStart, 0, 0);
    else submit(this.handle, Ask.readStop, 0, STOPS[attention]);
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
    const waiting = waitingFor(callback);
    if (this.withheld !== null) this.withhold(this.withheld, Buffer.from(message), null, waiting);
    else this.sendBytes(message, waiting);
  }

  /** The same for a string that has `length` bytes. */
  sendText(text: string, length: number, callback: SendCallback | null): void {
    const waiting = waitingFor(callback);
    if (this.withheld !== null) {
      this.withhold(this.withheld, Buffer.from(text), null, waiting);
    } else if (length > LONGEST_COPIED) {
      this.sendPayload(Buffer.from(text), waiting);
    } else {
      const offset = this.reserve(length);
      sendArea.write(text, offset, length, 'utf8');
      this.sendReserved(length, waiting);
    }
  }

  /** The same with descriptors, which are not the caller's any more. */
  sendLaden(message: Uint8Array, load: readonly Descriptor[], callback: SendCallback | null): void {
    const waiting = waitingFor(callback);
    if (this.withheld !== null) this.withhold(this.withheld, Buffer.from(message), load, waiting);
    else this.sendWithLoad(message, load, waiting);
  }

  private withhold(
    withheld: Withheld,
    message: Uint8Array,
    load: readonly Descriptor[] | null,
    waiting: Waiting | null,
  ): void {
    this.bytesWritten += message.byteLength;
    this.messagesWritten += 1;
    this.waitingDescriptors += load?.length ?? 0;
    withheld.add({ message, load, waiting });
  }

  private sendBytes(message: Uint8Array, waiting: Waiting | null): void {
    const length = message.byteLength;
    if (length > LONGEST_COPIED) {
      this.sendPayload(message, waiting);
      return;
    }
    const offset = this.reserve(length);
    sendArea.set(message, offset);
    this.sendReserved(length, waiting);
  }

  private sendWithLoad(
    message: Uint8Array,
    load: readonly Descriptor[],
    waiting: Waiting | null,
  ): void {
    const status = attachAll(this.handle, load);
    if (status < 0) throw errnoException(status, 'sendmsg');
    this.sendPayload(message, waiting);
    if (this.blocked) this.waitingDescriptors += load.length;
  }

  private reserve(length: number): number {
    if (this.unflushed + length > LONGEST_UNFLUSHED) flush();
    return reserveMessage(length);
  }

  private sendReserved(length: number, waiting: Waiting | null): void {
    this.count(length, waiting);
    submitMessage(this.handle, this, length);
  }

  private sendPayload(message: Uint8Array, waiting: Waiting | null): void {
    // What was gathered goes first.
    if (this.unflushed > 0) flush();
    this.count(message.byteLength, waiting);
    payloads[this.handle] = message;
    submit(this.handle, Ask.sendPayload, 0, message.byteLength);
    flush();
    payloads[this.handle] = undefined;
  }

  private count(length: number, waiting: Waiting | null): void {
    this.held = length + (this.blocked ? this.held : this.unflushed);
    this.bytesWritten += length;
    this.messagesWritten += 1;
    if (this.unflushed === 0 && this.fresh.length > 0) this.sortFlushed(this.writeOutcome);
    if (waiting !== null) this.fresh.push(waiting);
  }

  /** What was gathered last has been flushed: each message has an outcome of its own, whatever becomes of those behind it. */
  private sortFlushed(outcome: number): void {
    // Behind those that wait nobody is told first.
    const waits = this.blocked || outcome !== 0 || this.waiting.length > 0;
    const flushed = waits ? this.waiting : this.taken;
    flushed.push(...this.fresh);
    this.fresh = [];
  }

  /** Tells whoever still waits for a message that it is too late. */
  abandon(error: Error): void {
    // The close would hand it over as well, when nobody can be told any more.
    if (this.unflushed > 0) flush();
    if (this.unflushed === 0) this.sortFlushed(this.writeOutcome);
    this.waiting.push(...this.fresh, ...(this.withheld?.drop() ?? []));
    this.fresh = [];
    this.needsDrain = false;
    this.tellAll(error);
  }

  private tellAll(error: Error | null): void {
    const { taken, waiting } = this;
    this.taken = [];
    this.waiting = [];
    // One tick each: what one of them throws is its own affair.
    for (const { callback, context } of taken) nextTick(tell, callback, context, null);
    for (const { callback, context } of waiting) nextTick(tell, callback, context, error);
  }

  override onMessages(first: number, count: number): void {
    this.messagesRead += count;
    for (let row = LENGTHS + first; row < LENGTHS + first + count; ++row) {
      this.bytesRead += received[row];
    }
    if (this.user !== null) this.runInAsyncScope(messages, this.user, first, count);
  }

  override onWritten(status: number): void {
    if (this.user !== null && this.unflushed === 0) this.sortFlushed(status);
    this.writeOutcome = 0;
    if (this.user === null) return;
    if (status !== 0) {
      // Its callbacks are told by whoever knows what became of the connection.
      this.tellWriteError(status);
      return;
    }
    if (!this.blocked) this.waitingDescriptors = 0;
    this.tellAll(null);
    if (this.needsDrain && this.unflushed === 0) {
      this.needsDrain = false;
      this.runInAsyncScope(drained, this.user);
    }
  }

  override onDescriptors(_place: number, status: number): void {
    if (this.user !== null) this.runInAsyncScope(descriptorsRefused, this.user, status);
  }
}

/** Whoever waits is told in the context in which it sent. */
function waitingFor(callback: SendCallback | null): Waiting | null {
  return callback === null ? null : { callback, context: new AsyncResource('AFUNIXSEND') };
}

function tell(callback: SendCallback, context: AsyncResource, error: Error | null): void {
  context.runInAsyncScope(callback, undefined, error);
}

function messages(this: MessageUser, first: number, count: number): void {
  this[onMessages](first, count);
}
function descriptorsRefused(this: MessageUser, status: number): void {
  this[onDescriptorsRefused](status);
}
function drained(this: MessageUser): void {
  this[onDrained]();
}
