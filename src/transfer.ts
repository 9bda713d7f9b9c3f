/**
 * Connections and listeners for other threads of this process. A descriptor belongs to the process, so its number is all that has to be
 * passed on; what `transfer()` returns goes through `postMessage()` or `workerData`.
 */
import { cannotGuard } from './credentials/expectation';
import { Descriptor } from './descriptor';
import './descriptor-casts';
import { engine } from './engine/engine';
import { codedError, errnoException } from './errors';
import { wrongType } from './checks';
import { isGuarded, ServerMethods, shareListener } from './server/methods';
import type { ServerOptions } from './server/options';
import type { ConnectionListener, Server } from './server/server';
import { SocketMethods } from './socket/methods';
import type { SocketOptions } from './socket/options';
import { Socket } from './socket/socket';

/** A connection on its way. Whoever has it has to `receive()` it once, or close `fd`. */
export interface TransferredSocket {
  readonly transferred: 'socket';
  readonly fd: number;
  /** What had been received and not been read. */
  readonly head: Uint8Array;
}

/** A listener on its way, beside the one that it is a copy of. */
export interface TransferredServer {
  readonly transferred: 'server';
  readonly fd: number;
  /** It asks who connects: whoever receives it has to say whom to let in, too. */
  readonly guarded: boolean;
}

/** The socket is destroyed, and its connection goes on wherever it is received. Errors: as `detach()`. */
export function transfer(socket: Socket): TransferredSocket;
/**
 * The server goes on listening; whoever receives the copy listens on the same path, and the kernel gives each connection to one of them.
 * The path is free when all are closed; its file goes with the first. Errors: ERR_SERVER_NOT_RUNNING, EMFILE.
 */
export function transfer(server: Server): TransferredServer;
export function transfer(given: Socket | Server): TransferredSocket | TransferredServer {
  if (given instanceof SocketMethods) {
    const { descriptor, head } = (given as unknown as Socket).detach();
    // A copy: the rest of a pool must not go along.
    return { transferred: 'socket', fd: descriptor.take(), head: new Uint8Array(head) };
  }
  if (!(given instanceof ServerMethods)) {
    throw wrongType('given', 'an afunix Socket or Server on a path', given);
  }
  const listening = shareListener(given);
  if (listening < 0) throw codedError(Error, 'ERR_SERVER_NOT_RUNNING', 'Server is not running.');
  const copy = engine().duplicate(listening);
  if (copy < 0) throw errnoException(copy, 'fcntl');
  return { transferred: 'server', fd: new Descriptor(copy).take(), guarded: isGuarded(given) };
}

/** The connection, in this thread. */
export function receive(
  transferred: TransferredSocket,
  options?: Omit<SocketOptions, 'fd'>,
): Socket;
/** A server that listens, in this thread. */
export function receive(
  transferred: TransferredServer,
  options?: ServerOptions,
  listener?: ConnectionListener,
): Server;
export function receive(
  transferred: TransferredSocket | TransferredServer,
  options: object = {},
  listener?: ConnectionListener,
): Socket | Server {
  if (transferred.transferred === 'server' && transferred.guarded) {
    const { authorize, maxConnectionsPerUid } = options as ServerOptions;
    if (authorize === undefined && maxConnectionsPerUid === undefined) {
      throw cannotGuard(
        'the authorize or maxConnectionsPerUid of a server that was transferred',
        'functions do not go along; give receive() its own',
      );
    }
  }
  const descriptor = new Descriptor(transferred.fd);
  if (transferred.transferred === 'server') return descriptor.toServer(options, listener);
  return Socket.from({ descriptor, head: Buffer.from(transferred.head) }, options);
}
