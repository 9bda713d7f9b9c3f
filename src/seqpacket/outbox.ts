/** Outbox: what a message socket sends, looked at before anything of it goes, and what becomes of sending. Inbox is the other way. */
import {
  checkDescriptors,
  duplicateAll,
  MOST_WAITING,
  type DescriptorLike,
} from '../descriptor-sending';
import { codedError } from '../errors';
import type { MessageConnection, SendCallback } from './connection';
import { byteLengthOf, bytesOf, checkCallback, refusal, type Message } from './outgoing';
import { nextTick } from '../real-time';

/** The socket, as its outbox sees it. */
export interface OutboxUser {
  readonly destroyed: boolean;
  readonly readableEnded: boolean;
  readonly writableEnded: boolean;
  readonly writableFinished: boolean;
  readonly errored: Error | null;
  readonly writableHighWaterMark: number;
  destroy(error: Error): unknown;
}

export class Outbox {
  /** Where it goes; null before there is a connection, and after. */
  connection: MessageConnection | null = null;
  /** The longest message that can be sent; 0 before there is a connection. */
  longest = 0;
  /** What sending failed with, once and for all. */
  failure: Error | null = null;

  constructor(
    private readonly user: OutboxUser,
    /** Something is being sent. */
    private readonly active: () => void,
  ) {}

  send(message: Message, callback: SendCallback | undefined): boolean {
    checkCallback(callback);
    const bytes = bytesOf(message, -1);
    const connection = this.#sendable(callback);
    if (connection === null) return false;
    const size = byteLengthOf(bytes);
    if (isRefused(refusal(bytes, size, this.longest, -1), callback)) return !connection.needsDrain;
    this.active();
    if (typeof bytes === 'string') connection.sendText(bytes, size, callback ?? null);
    else connection.send(bytes, callback ?? null);
    return this.#hasRoom(connection);
  }

  sendDescriptors(
    descriptors: readonly DescriptorLike[],
    message: Message,
    callback: SendCallback | undefined,
  ): boolean {
    checkCallback(callback);
    checkDescriptors(descriptors);
    const bytes = bytesOf(message, -1);
    const connection = this.#sendable(callback);
    if (connection === null) return false;
    const size = byteLengthOf(bytes);
    if (isRefused(refusal(bytes, size, this.longest, -1), callback)) return !connection.needsDrain;
    const load = duplicateAll(descriptors);
    this.active();
    connection.sendLaden(
      typeof bytes === 'string' ? Buffer.from(bytes) : bytes,
      load,
      callback ?? null,
    );
    return this.#hasRoom(connection);
  }

  sendBatch(messages: Iterable<Message>, callback: SendCallback | undefined): boolean {
    checkCallback(callback);
    const all: (Uint8Array | string)[] = [];
    const sizes: number[] = [];
    for (const message of messages) {
      const bytes = bytesOf(message, all.length);
      all.push(bytes);
      sizes.push(byteLengthOf(bytes));
    }
    const connection = this.#sendable(callback);
    if (connection === null) return false;
    for (let i = 0; i < all.length; ++i) {
      const refused = isRefused(refusal(all[i], sizes[i], this.longest, i), callback);
      if (refused) return !connection.needsDrain;
    }
    this.active();
    const last = all.length - 1;
    for (let i = 0; i <= last; ++i) {
      const bytes = all[i];
      const told = i === last ? (callback ?? null) : null;
      if (typeof bytes === 'string') connection.sendText(bytes, sizes[i], told);
      else connection.send(bytes, told);
    }
    if (last < 0 && callback !== undefined) nextTick(callback, null);
    return this.#hasRoom(connection);
  }

  #hasRoom(connection: MessageConnection): boolean {
    const hasRoom =
      connection.queued < this.user.writableHighWaterMark &&
      connection.waitingDescriptors < MOST_WAITING;
    if (hasRoom) return !connection.needsDrain;
    connection.needsDrain = true;
    return false;
  }

  /** The connection, if it can be sent on; otherwise what `stream.Writable` would do happens. */
  #sendable(callback: SendCallback | undefined): MessageConnection | null {
    const { connection, user } = this;
    let error: Error;
    let fatal = false;
    if (connection === null) {
      error = codedError(Error, 'ERR_SOCKET_CLOSED', 'Socket is closed');
      // One that was never connected is misused; one that is gone is only late.
      if (!user.destroyed && callback === undefined) throw error;
    } else if (this.failure !== null) {
      error = this.failure;
    } else if (user.writableEnded) {
      fatal = true;
      error = user.readableEnded
        ? codedError(Error, 'EPIPE', 'This socket has been ended by the other party')
        : codedError(Error, 'ERR_STREAM_WRITE_AFTER_END', 'send after end');
    } else {
      return connection;
    }
    if (callback !== undefined) nextTick(callback, error);
    if (fatal) user.destroy(error);
    return null;
  }

  /** `callback` runs once nothing waits for the kernel. */
  whenFlushed(callback: SendCallback): void {
    const { connection, failure, user } = this;
    if (user.writableFinished) {
      nextTick(callback, null);
    } else if (connection === null || failure !== null) {
      const closed = codedError(Error, 'ERR_SOCKET_CLOSED', 'Socket is closed');
      nextTick(callback, failure ?? user.errored ?? closed);
    } else {
      connection.whenFlushed((error) => {
        const waits = error === null && this.connection === connection && connection.queued > 0;
        if (waits) this.whenFlushed(callback);
        else callback(error);
      });
    }
  }

  /** Nothing more can be sent, and what waits is told so. */
  fail(error: Error): void {
    this.failure ??= error;
    this.connection?.abandon(this.failure);
  }
}

/** Whether a message is not sent, for this reason: the callback, or who called, is told. */
function isRefused(refused: Error | null, callback: SendCallback | undefined): boolean {
  if (refused === null) return false;
  if (callback === undefined) throw refused;
  nextTick(callback, refused);
  return true;
}
