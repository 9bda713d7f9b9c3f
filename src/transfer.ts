/**
 * Connections and listeners for other threads of this process. On its way a descriptor belongs to the process; what goes through
 * `postMessage()` or `workerData` is a ticket for it.
 */
import { checkInteger, requireAddon, wrongType } from './checks';
import { cannotGuard } from './credentials/expectation';
import { Descriptor } from './descriptor';
import './descriptor-casts';
import { engine } from './engine/engine';
import { addHint, codedError, errnoException } from './errors';
import { isGuarded, kSocketType, ServerMethods, shareListener } from './server/methods';
import { STREAM } from './binding';
import type { ServerOptions } from './server/options';
import type { ConnectionListener, Server } from './server/server';
import { SocketMethods } from './socket/methods';
import type { SocketOptions } from './socket/options';
import { Socket } from './socket/socket';
import { Departure, type Departing } from './transit';

/** A connection on its way, which has to be received once. */
export interface TransferredSocket {
  readonly transferred: 'socket';
  /** What receive() finds it by. */
  readonly ticket: number;
  /** What had been received and not been read. */
  readonly head: Uint8Array;
}

/** A listener on its way, beside the one that it is a copy of. */
export interface TransferredServer {
  readonly transferred: 'server';
  /** What receive() finds it by. */
  readonly ticket: number;
  /** It asks who connects: whoever receives it has to say whom to let in, too. */
  readonly guarded: boolean;
}

/**
 * The socket is destroyed, and its connection goes on wherever it is received. Until it is put into a message it is closed if this thread ends
 * or lets go of what was returned, with a warning; after `to(worker)` also if that worker ends without having received it. Otherwise nobody
 * can know that a message came to nothing: Node-API has no word of one that is dropped with its port. Errors: as `detach()`.
 */
export function transfer(socket: Socket): Departing<TransferredSocket>;
/**
 * The server goes on listening; whoever receives the copy listens on the same path, and the kernel gives each connection to one of them.
 * The path is free when all are closed; its file goes with the first. The copy is closed as a transferred socket is. Errors:
 * ERR_SERVER_NOT_RUNNING, EMFILE.
 */
export function transfer(server: Server): Departing<TransferredServer>;
export function transfer(
  given: Socket | Server,
): Departing<TransferredSocket> | Departing<TransferredServer> {
  if (given instanceof SocketMethods) {
    const { descriptor, head } = (given as unknown as Socket).detach();
    // A copy: the rest of a pool must not go along.
    return Departure.of(descriptor, { transferred: 'socket', head: new Uint8Array(head) });
  }
  const type = given instanceof ServerMethods ? given[kSocketType] : STREAM;
  if (!(given instanceof ServerMethods) || type !== STREAM) {
    throw wrongType(
      'given',
      'a Socket or Server of afunix on a path (those of afunix/seqpacket stay in their thread)',
      given,
    );
  }
  const listening = shareListener(given);
  if (listening < 0) throw codedError(Error, 'ERR_SERVER_NOT_RUNNING', 'Server is not running.');
  const copy = engine().duplicate(listening);
  if (copy < 0) throw errnoException(copy, 'fcntl');
  return Departure.of(new Descriptor(copy), { transferred: 'server', guarded: isGuarded(given) });
}

/**
 * The connection, in this thread. EBADF: it has been received already, or was closed on its way. If anything else is wrong it can be received
 * again, and is closed if this thread ends before.
 */
export function receive(
  transferred: TransferredSocket,
  options?: Omit<SocketOptions, 'fd'>,
): Socket;
/** A server that listens, in this thread. Errors: as for a socket, and ERR_AFUNIX_UNGUARDED. */
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
  const addon = requireAddon('receive()');
  const { ticket: given } = Departure.ticketOf(transferred);
  const ticket = checkInteger('transferred.ticket', given, 1, Number.MAX_SAFE_INTEGER);
  const fd = addon.arrive(ticket);
  if (fd < 0) {
    const error = errnoException(fd, 'receive');
    addHint(
      error,
      'it has been received already, or nobody was left to receive it and it was closed',
    );
    throw error;
  }
  const descriptor = new Descriptor(fd);
  try {
    if (transferred.transferred === 'server') return descriptor.toServer(options, listener);
    return Socket.from({ descriptor, head: Buffer.from(transferred.head) }, options);
  } catch (error) {
    if (!descriptor.closed) Departure.giveBack(transferred, descriptor);
    throw error;
  }
}

export type { Departing };
