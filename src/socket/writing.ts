/** How Socket writes, beyond what Writable does: which writes are short, and who is told when. */
import { AsyncResource } from 'node:async_hooks';
import { Duplex } from 'node:stream';
import { codedError, errnoException } from '../errors';
import { DESTROYED_WRITES_FAIL } from '../net-version';
import type { Connection, Piece } from './connection';
import { STRING_ENCODINGS } from './encodings';
import type { SocketMethods } from './methods';
import { loadOf } from './passing';
import { ECANCELED, type Teller, type UserCallback } from './tellers';

type Encoding = BufferEncoding | null | undefined;

/**
 * The short way: nobody waits for this write and the stream holds nothing back, so all that Writable would do is
 * pass it on and forget it. False if it can't be taken.
 */
export function writeShort(
  socket: SocketMethods,
  connection: Connection | null,
  chunk: unknown,
  encoding: Encoding,
): boolean {
  if (
    connection === null ||
    socket.connecting ||
    socket._writableState.length !== 0 ||
    socket.writableCorked !== 0 ||
    socket.writableEnded ||
    // The kernel has refused an earlier one of this tick.
    socket.errored
  ) {
    return false;
  }
  let written: boolean;
  if (chunk instanceof Uint8Array) {
    // Bytes have no use for one, and some Nodes complain of what is none all the same.
    if (encoding && (encoding as string) !== 'buffer' && !STRING_ENCODINGS.has(encoding))
      return false;
    written = connection.writeShort(chunk, 'latin1');
  } else if (typeof chunk === 'string' && chunk !== '') {
    const known = encoding ?? socket._writableState.defaultEncoding;
    if (!STRING_ENCODINGS.has(known)) return false;
    written = connection.writeShort(chunk, known);
  } else {
    return false;
  }
  if (written) socket._unrefTimer();
  return written;
}

/** Through Writable. */
export function writeThrough(
  socket: SocketMethods,
  connection: Connection | null,
  chunk: unknown,
  encoding: Encoding,
  callback?: UserCallback,
): boolean {
  let teller: Teller | undefined;
  if (callback !== undefined && connection !== null) {
    // While the kernel has no room the stream itself is told only when it has taken everything.
    if (connection.blocked) connection.toldWhenTaken = true;
    else teller = connection.tellers.for(callback);
  }
  const given = teller === undefined ? callback : teller.tell;
  const more = Duplex.prototype.write.call(socket, chunk, encoding as BufferEncoding, given);
  if (connection === null) return more;
  teller?.wrote(socket._writableState.length === 0 ? connection.copied : Infinity);
  if (!more || !connection.blocked) return more;
  // What the stream is done with and the kernel has left counts, too.
  if (socket.writableLength < socket.writableHighWaterMark) return true;
  // 'drain' comes when the kernel has what the stream holds back now.
  socket._writableState.needDrain = true;
  return false;
}

/** What `_write` and `_writev` come to once there is a connection. */
export function writeOut(
  socket: SocketMethods,
  connection: Connection,
  data: string | Uint8Array | readonly Piece[],
  encoding: string,
  callback: (error?: Error | null) => void,
): void {
  if (encoding === 'buffer' && typeof data === 'string') {
    throw codedError(TypeError, 'ERR_INVALID_ARG_TYPE', 'Second argument must be a buffer');
  }
  socket._unrefTimer();
  const piece = data as string | Uint8Array;
  if (connection.toldWhenTaken) {
    connection.toldWhenTaken = false;
  } else if (
    Array.isArray(data)
      ? connection.writeShortMany(data)
      : loadOf(piece) === undefined && connection.writeShort(piece, encoding as BufferEncoding)
  ) {
    // As with `net`, the stream is done with it when write() returns. Of nothing there is only to know whether it could be sent.
    const status = connection.unflushed === 0 ? connection.flushNow() : 0;
    callback(status === 0 ? null : errnoException(status, 'write'));
    return;
  }
  // Whoever waits for a write is told in the context in which it was made.
  const context = new AsyncResource('AFUNIXWRITE');
  const done = (status: number): void => {
    let error: Error | null = null;
    if (status === 0 && !socket.destroyed) socket._unrefTimer();
    if (status === ECANCELED) error = connection.tellers.nextFailure();
    else if (status !== 0 && (DESTROYED_WRITES_FAIL || !socket.destroyed)) {
      error = errnoException(status, 'write');
    }
    context.runInAsyncScope(callback, undefined, error);
  };
  if (Array.isArray(data)) connection.writeLongMany(data, done);
  else connection.writeLong(piece, encoding as BufferEncoding, done);
}

/** `writableLength`: what the stream holds back, and what it is done with and the kernel has no room for. */
export function lengthToWrite(
  socket: SocketMethods,
  connection: Connection | null,
): number | undefined {
  const state = socket._writableState as { length: number } | undefined;
  return state && state.length + (connection?.untaken ?? 0);
}
