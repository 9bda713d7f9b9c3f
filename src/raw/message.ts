/** Messages with more than one part, or with more than bytes: what sendmsg is given, and what recvmsg tells. */
import { Descriptor, MAXIMUM_DESCRIPTORS } from '../descriptor';
import { checkInteger, LARGEST_INT, outOfRange, wrongType } from '../checks';
import { type Memory, viewOf } from './memory';
import { MAXIMUM_PARTS, OUTCOME, type View } from './native';

export interface Credentials {
  /** 0 for a process in a pid namespace that cannot be seen from here. */
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

export interface SendMessageOptions {
  /** Sent with the message and duplicated by the kernel; they stay the sender's to close. At most 253. */
  descriptors?: readonly (number | { readonly fd: number })[];
  /** SCM_CREDENTIALS; the kernel checks that they are the sender's own (EPERM). */
  credentials?: Credentials;
  /** MSG_*. */
  flags?: number;
}

export interface ReceiveMessageOptions {
  /** How many descriptors to accept, 0 to 253. Not given: none, and the kernel closes what comes. */
  descriptors?: number;
  /** Whether to take SCM_CREDENTIALS in, which come if SO_PASSCRED is set. Default: false. */
  credentials?: boolean;
  /** MSG_*. */
  flags?: number;
}

export interface ReceivedMessage {
  /** Bytes placed in the buffers. */
  readonly bytes: number;
  /** Bytes that the message had. */
  readonly fullLength: number;
  /** The message was longer than the buffers, and the rest is lost. */
  readonly truncated: boolean;
  /** Control messages came that were not asked for or did not fit; what descriptors there were are closed. */
  readonly controlTruncated: boolean;
  /** This is not a message but the end of input. */
  readonly end: boolean;
  /** The receiver's to close. */
  readonly descriptors: Descriptor[];
  readonly credentials: Credentials | null;
}

const LARGEST_ID = 0xffffffff;

/** Filled by one call and read before the next. */
export const outcome: Int32Array = new Int32Array(OUTCOME.firstDescriptor + MAXIMUM_DESCRIPTORS);

function told(field: number): number {
  return outcome[field];
}

export const NO_INTEGERS: Int32Array = new Int32Array(0);

export function encodeCredentials({ pid, uid, gid }: Credentials): Int32Array {
  return Int32Array.of(
    checkInteger('options.credentials.pid', pid, 0, LARGEST_INT),
    checkInteger('options.credentials.uid', uid, 0, LARGEST_ID),
    checkInteger('options.credentials.gid', gid, 0, LARGEST_ID),
  );
}

export function receivedCredentials(): Credentials | null {
  if (told(OUTCOME.hasCredentials) !== 1) return null;
  return {
    pid: told(OUTCOME.pid),
    uid: told(OUTCOME.uid) >>> 0,
    gid: told(OUTCOME.gid) >>> 0,
  };
}

export function receivedDescriptors(): Descriptor[] {
  const first = OUTCOME.firstDescriptor;
  const numbers = outcome.subarray(first, first + told(OUTCOME.descriptors));
  return Array.from(numbers, (fd) => new Descriptor(fd));
}

/** The parts of a message as the addon takes them, and their bytes in all. */
export function viewsOf(parts: Memory | readonly Memory[]): [views: View[], size: number] {
  if (!Array.isArray(parts)) {
    if (typeof parts !== 'object') throw wrongType('parts', 'memory, or an array of it', parts);
    const view = viewOf('parts', parts as Memory);
    return [[view], view.byteLength];
  }
  if (parts.length > MAXIMUM_PARTS) {
    throw outOfRange('parts.length', `<= ${MAXIMUM_PARTS}`, parts.length);
  }
  let size = 0;
  const views = (parts as readonly Memory[]).map((part, index) => {
    const view = viewOf(`parts[${index}]`, part);
    size += view.byteLength;
    return view;
  });
  return [views, size];
}
