/**
 * Descriptors that travel with a stream's bytes: SCM_RIGHTS in unix(7). The kernel duplicates them into the receiver; they leave
 * with the first byte of what they are sent with, and a read never goes past them.
 */
import { Duplex } from 'node:stream';
import { wrongType, wrongValue } from '../checks';
import type { Descriptor } from '../descriptor';
import { claimDescriptors, DescriptorQuota, type DescriptorLimits } from '../descriptor-quota';
import {
  checkDescriptors,
  closeAll,
  duplicateAll,
  type DescriptorLike,
} from '../descriptor-sending';
import type { SocketMethods } from './methods';

export interface DescriptorsInfo {
  /** Where in the stream the bytes begin that they came with: what `bytesRead` was before. */
  readonly offset: number;
}

export type SendDescriptorsCallback = (error: Error | null | undefined) => void;

const kLoad = Symbol('descriptors that leave with it');
const kQuota = Symbol('descriptors that were received');

interface Laden {
  [kLoad]?: readonly Descriptor[];
}

interface Receiver {
  [kQuota]?: DescriptorQuota;
}

/** The descriptors that have to leave with `chunk`, if any. */
export function loadOf(chunk: string | Uint8Array): readonly Descriptor[] | undefined {
  return typeof chunk === 'string' ? undefined : (chunk as Laden)[kLoad];
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
  (chunk as Laden)[kLoad] = copies;
  const done = (error?: Error | null): void => {
    // Those that never left.
    closeAll(copies);
    callback?.(error);
  };
  return Reflect.apply(writeOfDuplex, this, [chunk, undefined, done]);
}

/** `count` descriptors at `place` of the table came with the bytes that are told next; a negative count is an error. */
export function receiveDescriptors(
  socket: SocketMethods & Receiver,
  place: number,
  count: number,
  limits: DescriptorLimits,
): void {
  const quota = (socket[kQuota] ??= new DescriptorQuota(limits));
  if (count < 0) {
    socket.destroy(quota.refusal(count));
    return;
  }
  const received = claimDescriptors(place, count);
  // Nobody would ever close them.
  if (socket.destroyed || socket.listenerCount('descriptors') === 0) {
    closeAll(received);
    return;
  }
  const refused = quota.admit(received);
  if (refused !== null) {
    socket.destroy(refused);
    return;
  }
  socket.emit('descriptors', received, { offset: socket.bytesRead } satisfies DescriptorsInfo);
}
