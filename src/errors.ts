/**
 * Errors as Node makes them: `code`, negative `errno`, `syscall`, `address`, and a message of the same form. What
 * we add is `hint`, a sentence for the person who reads it.
 */
import util from 'node:util';
import { hintFor } from './hints';

export interface SystemError extends Error {
  code: string;
  errno: number;
  syscall: string;
  address?: string;
  port?: number;
  /** What is wrong, in one sentence, where that helps. */
  hint?: string;
}

/** Codes of the kernel's that libuv does not know. */
const KERNEL_CODES: Readonly<Record<number, string>> = { [-109]: 'ETOOMANYREFS' };

function codeOf(status: number): string {
  return KERNEL_CODES[status] ?? util.getSystemErrorName(status);
}

function systemErrorMessage(status: number): string {
  const known = (
    util as unknown as { getSystemErrorMap(): Map<number, [string, string]> }
  ).getSystemErrorMap();
  return known.get(status)?.[1] ?? 'unknown error';
}

function decorate(
  error: Error,
  status: number,
  syscall: string,
  address?: string,
  type?: string,
): SystemError {
  const decorated = error as SystemError;
  decorated.errno ??= status;
  decorated.code = codeOf(status);
  decorated.syscall = syscall;
  if (address !== undefined) decorated.address = address;
  const hint = hintFor(decorated.code, syscall, address, type);
  if (typeof hint === 'string') addHint(decorated, hint);
  else if (hint !== undefined) addLazyHint(decorated, hint);
  return decorated;
}

/** Not enumerable: printed errors look like Node's. */
export function addHint(error: Error, hint: string): void {
  Object.defineProperty(error, 'hint', { value: hint, configurable: true, writable: true });
}

/** Found out when somebody reads it: most errors are only looked at for their code, and the file system may be slow to answer. */
function addLazyHint(error: Error, find: () => string): void {
  let hint: string | undefined;
  Object.defineProperty(error, 'hint', {
    get: () => (hint ??= find()),
    set: (value: string) => {
      addHint(error, value);
    },
    configurable: true,
  });
}

/** `connect ENOENT /run/x.sock`: what `net` reports for a connection or a half-open operation. */
export function errnoException(
  status: number,
  syscall: string,
  address?: string,
  type?: 'SOCK_STREAM' | 'SOCK_SEQPACKET',
): SystemError {
  const where = address === undefined ? '' : ` ${address}`;
  const error = new Error(`${syscall} ${codeOf(status)}${where}`);
  Error.captureStackTrace(error, errnoException);
  return decorate(error, status, syscall, address, type);
}

/** `listen EADDRINUSE: address already in use /run/x.sock`: what `net` reports for a listener. */
export function listenException(status: number, address: string | undefined): SystemError {
  const where = address === undefined ? '' : ` ${address}`;
  const error = new Error(`listen ${codeOf(status)}: ${systemErrorMessage(status)}${where}`);
  Error.captureStackTrace(error, listenException);
  // The fields in the order in which `net` has them.
  Object.assign(error, { code: codeOf(status), errno: status });
  const decorated = decorate(error, status, 'listen', address);
  if (address !== undefined) decorated.port = -1;
  return decorated;
}

/** An error with one of Node's `ERR_*` codes (or ours, `ERR_AFUNIX_*`). */
/** What is rejected, or destroyed, because `signal` was aborted. */
export function abortError(signal: AbortSignal): Error {
  const error = new Error('The operation was aborted', { cause: signal.reason });
  return Object.assign(error, { name: 'AbortError', code: 'ABORT_ERR' });
}

export function codedError(
  Base: ErrorConstructor | TypeErrorConstructor | RangeErrorConstructor,
  code: string,
  message: string,
): Error & { code: string } {
  const error = new Base(message) as Error & { code: string };
  Error.captureStackTrace(error, codedError);
  error.code = code;
  // Node's own put the code into the heading but not into the name.
  Object.defineProperty(error, 'toString', {
    value: () => `${error.name} [${code}]: ${error.message}`,
    configurable: true,
    writable: true,
  });
  return error;
}

/** Whoever asks for a check where there is none must not believe that it was made. */
export function cannotGuard(what: string, why: string): Error {
  const error = codedError(Error, 'ERR_AFUNIX_UNGUARDED', `${what} has no effect here: ${why}`);
  Error.captureStackTrace(error, cannotGuard);
  return error;
}
