/** The forms that `connect` takes, and the opening of a connection. */
import { inspect } from 'node:util';
import { encodeAddress, isPadded } from '../address';
import { SEQPACKET } from '../binding';
import { engine } from '../engine/engine';
import { codedError } from '../errors';
import type { SocketConnectOptions } from './options';

export type ConnectArguments = [
  target: string | SocketConnectOptions,
  listener?: (() => void) | undefined,
];

/** Milliseconds. */
const DEFAULT_CONNECT_TIMEOUT = 30_000;
/** What the engine counts in nanoseconds has to fit; this is 24 days. */
const LONGEST_TIMEOUT = 2 ** 31;

export interface Opening {
  readonly path: string;
  readonly timeout: number | undefined;
  /** A handle, or −errno. */
  open(): number;
}

export function openConnection([target]: ConnectArguments): Opening {
  const options = typeof target === 'string' ? { path: target } : target;
  const { path, timeout, abstractLength } = options ?? {};
  const patience: unknown = options?.connectTimeout ?? DEFAULT_CONNECT_TIMEOUT;
  if (typeof path !== 'string' || path === '') {
    throw codedError(
      TypeError,
      'ERR_INVALID_ARG_TYPE',
      `The "path" to connect to must be a string that is not empty: SOCK_SEQPACKET has pathnames and abstract names only. Received ${inspect(path)}`,
    );
  }
  if (typeof patience !== 'number' || !(patience >= 0)) {
    throw codedError(
      RangeError,
      'ERR_OUT_OF_RANGE',
      `The value of "options.connectTimeout" is out of range. It must be a non-negative number of milliseconds. Received ${inspect(patience)}`,
    );
  }
  const padded = isPadded(abstractLength);
  return {
    path,
    timeout,
    open: () =>
      engine().connect(
        encodeAddress(path),
        padded,
        Math.min(patience, LONGEST_TIMEOUT),
        SEQPACKET,
        false,
      ),
  };
}

interface Abortable {
  destroy(error: Error): unknown;
  once(event: 'close', listener: () => void): unknown;
}

export function destroyOnAbort(socket: Abortable, signal: unknown): void {
  if (!(signal instanceof AbortSignal)) {
    throw codedError(
      TypeError,
      'ERR_INVALID_ARG_TYPE',
      'The "options.signal" property must be an instance of AbortSignal',
    );
  }
  const abort = (): void => {
    const error = new Error('The operation was aborted', { cause: signal.reason });
    socket.destroy(Object.assign(error, { name: 'AbortError', code: 'ABORT_ERR' }));
  };
  if (signal.aborted) {
    abort();
    return;
  }
  signal.addEventListener('abort', abort, { once: true });
  socket.once('close', () => signal.removeEventListener('abort', abort));
}
