/** The forms that `connect` takes, and the opening of a connection. */
import { inspect } from 'node:util';
import { encodeAddress, isPadded } from '../address';
import { withAddress } from '../address-string';
import { SEQPACKET } from '../binding';
import { connectPatience } from '../connect-timeout';
import { expectationOf, type Expectation } from '../credentials/expectation';
import { debug, debugging, shown } from '../debug';
import { messageClientChannel } from '../diagnostics';
import { engine } from '../engine/engine';
import { abortError, codedError, errnoException } from '../errors';
import { CLIENT_GUARDS, refuseGuardsBehind } from '../guards';
import { startMessages } from './memory';
import type { SocketConnectOptions } from './options';
import type { Socket } from './socket';

export type ConnectArguments = [
  target: string | SocketConnectOptions,
  listener?: (() => void) | undefined,
];

const EBADF = -9;

export interface Opening {
  readonly path: string;
  readonly timeout: number | undefined;
  readonly expectation: Expectation | null;
  /** A handle, or −errno. With `descriptors` the other end may send some. */
  open(descriptors: boolean): number;
}

/** Looks at what `socket` was told to connect to. */
export function openConnection(socket: Socket, args: ConnectArguments): Opening {
  refuseGuardsBehind(CLIENT_GUARDS, args);
  const [given] = args;
  const [target] = withAddress([given]) as ConnectArguments;
  const options = typeof target === 'string' ? { path: target } : target;
  const { path, timeout, abstractLength } = options ?? {};
  if (typeof path !== 'string' || path === '') {
    throw codedError(
      TypeError,
      'ERR_INVALID_ARG_TYPE',
      `The "path" to connect to must be a string that is not empty: SOCK_SEQPACKET has pathnames and abstract names only. Received ${inspect(path ?? given)}`,
    );
  }
  const patience = connectPatience(options?.connectTimeout);
  const padded = isPadded(abstractLength);
  const expectation = expectationOf(options);
  if (messageClientChannel.hasSubscribers) messageClientChannel.publish({ socket });
  return {
    path,
    timeout,
    expectation,
    open(descriptors) {
      const address = encodeAddress(path);
      const handle = engine().connect(address, padded, patience, SEQPACKET, descriptors);
      if (debugging) debug('#%d: connect %s (SOCK_SEQPACKET)', handle, shown(path));
      return handle;
    },
  };
}

/** The handle of a connection that exists already, and whose descriptor is ours from here on. */
export function adopt(fd: number): number {
  const status = startMessages();
  if (status < 0) throw errnoException(status, 'open');
  const kind = Number.isInteger(fd) && fd >= 0 ? engine().describe(fd) : EBADF;
  if (kind !== SEQPACKET) {
    throw codedError(
      TypeError,
      'ERR_INVALID_FD_TYPE',
      `The descriptor ${String(fd)} is not a connected SOCK_SEQPACKET socket`,
    );
  }
  const handle = engine().adopt(fd);
  if (handle < 0) throw errnoException(handle, 'open');
  return handle;
}

interface Abortable {
  destroy(error: Error): unknown;
  once(event: 'close', listener: () => void): unknown;
}

/** Throws for what is no signal. */
export function checkSignal(signal: unknown): void {
  if (signal === undefined || signal instanceof AbortSignal) return;
  throw codedError(
    TypeError,
    'ERR_INVALID_ARG_TYPE',
    'The "options.signal" property must be an instance of AbortSignal',
  );
}

export function destroyOnAbort(socket: Abortable, signal: AbortSignal): void {
  const abort = (): void => {
    socket.destroy(abortError(signal));
  };
  if (signal.aborted) {
    abort();
    return;
  }
  signal.addEventListener('abort', abort, { once: true });
  socket.once('close', () => signal.removeEventListener('abort', abort));
}

/** Fulfilled when it is connected, or never will be. */
export function whenConnected(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const settled = (): void => {
      socket.off('connect', settled).off('close', settled);
      resolve();
    };
    socket.once('connect', settled).once('close', settled);
  });
}
