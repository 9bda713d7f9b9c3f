/** What a system call said: Node's error for it, with what only raw sockets meet. */
import { addHint, errnoException, type SystemError } from '../errors';

const ERANGE = -34;

const HINTS: Readonly<Record<string, string>> = {
  ETOOMANYREFS:
    'this user has more descriptors in flight than one process may have open: wait until receivers took some, or raise `ulimit -n`',
  EPROTOTYPE: 'the socket is of another type than this one',
};

export function failure(status: number, syscall: string, address?: string): SystemError {
  const error = errnoException(status, syscall, address);
  Error.captureStackTrace(error, failure);
  const hint = HINTS[error.code];
  if (hint !== undefined) addHint(error, hint);
  return error;
}

/** EMSGSIZE, with both numbers that it is about. */
export interface MessageSizeError extends SystemError {
  /** Bytes of the message. */
  size: number;
  /** The most that the socket sends in one message, as it is set. */
  limit: number;
}

export function messageTooLong(
  status: number,
  syscall: string,
  size: number,
  limit: number,
): MessageSizeError {
  const error = Object.assign(failure(status, syscall), { size, limit });
  error.message += `: a message of ${size} bytes, and the limit is ${limit}`;
  addHint(error, `the limit is SO_SNDBUF less ${MESSAGE_OVERHEAD}, and can be raised`);
  return error;
}

/** ERANGE of getsockopt(2), with both numbers that it is about. */
export function optionTooLong(size: number, limit: number): MessageSizeError {
  const error = Object.assign(failure(ERANGE, 'getsockopt'), { size, limit });
  error.message += `: the value has ${size} bytes, and there is room for ${limit}`;
  addHint(error, `give \`into\` ${size} bytes`);
  return error;
}

/** What the kernel keeps of SO_SNDBUF for itself (unix_dgram_sendmsg). */
export const MESSAGE_OVERHEAD = 32;
