/**
 * Descriptors that travel with a stream's bytes: SCM_RIGHTS in unix(7). The kernel duplicates them into the receiver; they leave
 * with the first byte of what they are sent with, and a read never goes past them.
 */
import { Duplex } from 'node:stream';
import { Descriptor, descriptorOf, MAXIMUM_DESCRIPTORS } from '../descriptor';
import { engine, descriptorNumbers } from '../engine/engine';
import { addHint, codedError, errnoException } from '../errors';
import { checkInteger, wrongType, wrongValue } from '../checks';
import type { SocketMethods } from './methods';
import type { SocketOptions } from './options';

/** Something to send: a number, or an object with one (`Descriptor`, `FileHandle`, ...). It stays the sender's. */
export type DescriptorLike = number | { readonly fd: number };

export interface DescriptorsInfo {
  /** Where in the stream the bytes begin that they came with: what `bytesRead` was before. */
  readonly offset: number;
}

export type SendDescriptorsCallback = (error: Error | null | undefined) => void;

const EMFILE = -24;

const kLoad = Symbol('descriptors that leave with it');
const kOpen = Symbol('descriptors that were received');

interface Laden {
  [kLoad]?: Int32Array;
}

interface Receiver {
  /** Weak: a descriptor that nobody has any more is closed when it is collected. */
  [kOpen]?: Set<WeakRef<Descriptor>>;
}

/** Of the open descriptors of one connection, for each that one message may bring. */
const OPEN_PER_MESSAGE = 4;

/** The descriptors that have to leave with `chunk`, if any. */
export function loadOf(chunk: string | Uint8Array): Int32Array | undefined {
  return typeof chunk === 'string' ? undefined : (chunk as Laden)[kLoad];
}

type Passing = Pick<SocketOptions, 'maxDescriptors' | 'maxOpenDescriptors'>;

/** Throws for limits that are none. */
export function checkPassing({ maxDescriptors, maxOpenDescriptors }: Passing): void {
  if (maxDescriptors !== undefined) {
    checkInteger('options.maxDescriptors', maxDescriptors, 0, MAXIMUM_DESCRIPTORS);
  }
  if (maxOpenDescriptors !== undefined) {
    checkInteger('options.maxOpenDescriptors', maxOpenDescriptors, 0, 1_000_000);
  }
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
  if (!Array.isArray(descriptors)) throw wrongType('descriptors', 'an Array', descriptors);
  const count = descriptors.length;
  if (count < 1 || count > MAXIMUM_DESCRIPTORS) {
    throw wrongValue('descriptors', count, `must have 1 to ${MAXIMUM_DESCRIPTORS} elements`);
  }
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
  // Copies, so that the caller may close theirs at once, and ours stay open until the kernel has them.
  const copies = duplicateAll(descriptors);
  // A buffer of its own: the stream passes on this very object.
  const chunk = Buffer.from(bytes as string);
  (chunk as Laden)[kLoad] = Int32Array.from(copies, ({ fd }) => fd);
  const done = (error?: Error | null): void => {
    closeAll(copies);
    callback?.(error);
  };
  return Reflect.apply(writeOfDuplex, this, [chunk, undefined, done]);
}

function duplicateAll(descriptors: readonly DescriptorLike[]): Descriptor[] {
  const copies: Descriptor[] = [];
  try {
    for (const [index, given] of descriptors.entries()) {
      const name = `descriptors[${index}]`;
      const fd = descriptorOf(name, given);
      const copy = engine().duplicate(fd);
      if (copy < 0) {
        const error = errnoException(copy, 'fcntl');
        addHint(error, `${name} is ${fd}, which could not be duplicated`);
        throw error;
      }
      copies.push(new Descriptor(copy));
    }
  } catch (error) {
    closeAll(copies);
    throw error;
  }
  return copies;
}

function closeAll(descriptors: Iterable<Descriptor>): void {
  for (const descriptor of descriptors) descriptor.close();
}

/** `count` descriptors at `place` of the table came with the bytes that are told next; a negative count is an error. */
export function receiveDescriptors(
  socket: SocketMethods & Receiver,
  place: number,
  count: number,
  limits: Passing,
): void {
  if (count < 0) {
    socket.destroy(tooMany(count, limits));
    return;
  }
  const status = engine().claimDescriptors(place, count);
  if (status < 0) throw errnoException(status, 'recvmsg');
  const received = Array.from(
    descriptorNumbers.subarray(place, place + count),
    (fd) => new Descriptor(fd),
  );
  const open = (socket[kOpen] ??= new Set());
  const most = limits.maxOpenDescriptors ?? OPEN_PER_MESSAGE * (limits.maxDescriptors ?? 0);
  if (open.size + count > most) {
    for (const reference of open) if (reference.deref()?.closed !== false) open.delete(reference);
  }
  if (open.size + count > most) {
    closeAll(received);
    const held = open.size;
    socket.destroy(
      codedError(
        Error,
        'ERR_AFUNIX_DESCRIPTOR_LIMIT',
        `${count} descriptors came, ${held} of this connection are open, and maxOpenDescriptors is ${most}`,
      ),
    );
    return;
  }
  // Nobody would ever close them.
  if (socket.destroyed || socket.listenerCount('descriptors') === 0) {
    closeAll(received);
    return;
  }
  for (const descriptor of received) open.add(new WeakRef(descriptor));
  socket.emit('descriptors', received, { offset: socket.bytesRead } satisfies DescriptorsInfo);
}

function tooMany(status: number, { maxDescriptors }: Passing): Error {
  if (status === EMFILE) {
    const error = errnoException(status, 'recvmsg');
    addHint(error, 'descriptors came, and this process has no room for them; they were closed');
    return error;
  }
  return codedError(
    Error,
    'ERR_AFUNIX_DESCRIPTOR_LIMIT',
    `more descriptors came with one message than maxDescriptors, which is ${maxDescriptors ?? 0}`,
  );
}
