/**
 * Descriptors that travel with a stream's bytes: SCM_RIGHTS in unix(7). The kernel duplicates them into the receiver; they leave
 * with the first byte of what they are sent with, and a read never goes past them.
 */
import { Duplex } from 'node:stream';
import { wrongType, wrongValue } from '../checks';
import type { Descriptor } from '../descriptor';
import { claimDescriptors, type DescriptorLimits, type DescriptorQuota } from '../descriptor-quota';
import {
  checkDescriptors,
  closeAll,
  duplicateAll,
  MOST_WAITING,
  type DescriptorLike,
} from '../descriptor-sending';
import type { Connection } from './connection';
import type { SocketMethods } from './methods';

export interface DescriptorsInfo {
  /** Where in the stream the bytes begin that they came with: what `bytesRead` was before. */
  readonly offset: number;
  /** Where that chunk ends: they were sent with the bytes in front of it, and what comes from there on was sent later. */
  readonly end: number;
}

export type SendDescriptorsCallback = (error: NodeJS.ErrnoException | null | undefined) => void;

const kLoad = Symbol('descriptors that leave with it');
const kLeft = Symbol('they left');
export const kPaired = Symbol('descriptors whose bytes were not told');
const kWaiting = Symbol('descriptors that wait for the kernel');

interface Laden {
  [kLoad]?: readonly Descriptor[];
  /** They are not this process's any more. */
  [kLeft]?: () => void;
}

interface Sender {
  [kWaiting]?: number;
}

/** The descriptors that have to leave with `chunk`, if any. */
export function loadOf(chunk: string | Uint8Array): readonly Descriptor[] | undefined {
  return typeof chunk === 'string' ? undefined : (chunk as Laden)[kLoad];
}

/** Notes what became of a chunk's descriptors, together with its bytes; returns the status. */
export function leftWith(chunk: string | Uint8Array, status: number): number {
  if (typeof chunk !== 'string') (chunk as Laden)[kLeft]?.();
  return status;
}

/** Not Socket's own, whose short way knows nothing of descriptors. */
const writeOfDuplex = Duplex.prototype.write as (...given: unknown[]) => boolean;

/** The method of Socket. */
export function sendDescriptors(
  this: SocketMethods,
  descriptors: readonly DescriptorLike[],
  bytes: string | Uint8Array,
  callback?: SendDescriptorsCallback,
): boolean {
  checkDescriptors(descriptors);
  if (typeof bytes !== 'string' && !(bytes instanceof Uint8Array)) {
    throw wrongType('bytes', 'of type string or an instance of Uint8Array', bytes);
  }
  if (bytes.length === 0) {
    throw wrongValue(
      'bytes',
      bytes,
      'must not be empty: on a stream descriptors travel with a byte',
    );
  }
  if (callback !== undefined && typeof callback !== 'function') {
    throw wrongType('callback', 'of type function', callback);
  }
  const copies = duplicateAll(descriptors);
  // A buffer of its own: the stream passes on this very object.
  const chunk = Buffer.from(bytes as string);
  const sender = this as Sender;
  const count = copies.length;
  sender[kWaiting] = (sender[kWaiting] ?? 0) + count;
  let waits = true;
  const left = (): void => {
    if (waits) sender[kWaiting] = (sender[kWaiting] ?? 0) - count;
    waits = false;
  };
  Object.assign(chunk, { [kLoad]: copies, [kLeft]: left } satisfies Laden);
  const done = (error?: Error | null): void => {
    // Those that never left.
    closeAll(copies);
    left();
    callback?.(error);
  };
  const hasRoom = Reflect.apply(writeOfDuplex, this, [chunk, undefined, done]);
  if ((sender[kWaiting] ?? 0) < MOST_WAITING || this.destroyed) return hasRoom;
  this._writableState.needDrain = true;
  return false;
}

/** `count` descriptors at `place` of the table came with the bytes that are told next; a negative count is an error. */
export function receiveDescriptors(
  socket: SocketMethods,
  connection: Connection,
  place: number,
  count: number,
  bytes: number,
  limits: DescriptorLimits,
): void {
  const quota = connection.quotaFor(limits);
  if (count < 0) {
    const refuse = (): void => void socket.destroy(quota.refusal(count));
    if (connection.holdsBack) connection.holdBack({ tell: refuse });
    else refuse();
    return;
  }
  const received = claimDescriptors(place, count);
  const isHeard = (): boolean => !socket.destroyed && socket.listenerCount('descriptors') > 0;
  const mayBeTold = (): boolean => !isHeard() || quota.hasRoomFor(count);
  const tell = (): void => {
    // Nobody would ever close them.
    if (!isHeard()) closeAll(received);
    else tellDescriptors(socket, quota, received, bytes);
  };
  if (!connection.holdsBack && mayBeTold()) tell();
  else connection.holdBack({ mayBeTold, tell, descriptors: received });
}

function tellDescriptors(
  socket: SocketMethods,
  quota: DescriptorQuota,
  received: Descriptor[],
  bytes: number,
): void {
  const refused = quota.admit(received);
  if (refused !== null) {
    socket.destroy(refused);
    return;
  }
  const info = { offset: socket.bytesRead, end: socket.bytesRead + bytes };
  // They come right before their bytes, which wait for whoever reads.
  const waits = socket.readableFlowing === false || socket.readableLength > 0;
  if (waits && socket.readableFlowing !== null) pairUp(socket, { received, info });
  else socket.emit('descriptors', received, info);
}

/** Descriptors whose bytes the stream holds back. */
export interface Paired {
  readonly received: Descriptor[];
  readonly info: DescriptorsInfo;
}

function pairUp(socket: SocketMethods, paired: Paired): void {
  if (socket[kPaired] === undefined) {
    socket[kPaired] = [];
    socket.once('close', () => {
      for (const { received } of socket[kPaired] ?? []) closeAll(received);
      socket[kPaired] = undefined;
    });
  }
  socket[kPaired].push(paired);
}

/** The stream is about to give away what `read(size)` gives: those that came with it go first. */
export function tellPaired(socket: SocketMethods, size: number | undefined): void {
  const paired = socket[kPaired];
  if (paired === undefined) return;
  const end = readEnd(socket, size);
  for (let [first] = paired; first !== undefined && first.info.offset < end; [first] = paired) {
    paired.shift();
    if (!socket.emit('descriptors', first.received, first.info)) closeAll(first.received);
  }
}

/** The place in the stream behind what is read. */
function readEnd(socket: SocketMethods, size: number | undefined): number {
  const { readableLength: held, readableEncoding } = socket;
  // Decoded text has another length than its bytes.
  if (readableEncoding !== null) return Infinity;
  const start = socket.bytesRead - held;
  if (size === undefined || Number.isNaN(size)) {
    // A stream that flows gives chunk by chunk, any other all at once.
    return held > 0 && socket.readableFlowing === true ? start + 1 : socket.bytesRead;
  }
  return size <= held || socket.readableEnded ? start + Math.min(size, held) : start;
}
