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
import type { Limits } from './server/gate-options';
import { kSocketType, rulesInForce, ServerMethods, shareListener } from './server/methods';
import { STREAM } from './binding';
import type { ServerOptions } from './server/options';
import type { ConnectionListener, Server } from './server/server';
import { taken } from './server/taken';
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
  /** It has rules about who connects: they go along, as far as they can. */
  readonly guarded: boolean;
  /** One of them is `authorize`: whoever receives it has to give one, too. */
  readonly authorized: boolean;
  /** The others, for whoever receives it and says nothing else. */
  readonly limits: Limits;
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
  const rules = rulesInForce(given);
  return Departure.of(new Descriptor(copy), {
    transferred: 'server',
    guarded: rules !== null,
    authorized: rules?.authorize !== undefined,
    limits: rules?.limits ?? {},
  });
}

/** What the server in this thread is made with. Throws if that is less than the one that it comes from asked for. */
function withRules(transferred: TransferredServer, given: ServerOptions): ServerOptions {
  const options = taken(given);
  // Of a message that somebody has put together, and left something out, the worst is assumed.
  const told: Partial<Pick<TransferredServer, 'guarded' | 'authorized'>> = transferred;
  const authorized = told.guarded !== false && told.authorized !== false;
  if (authorized && options.authorize === undefined) {
    throw cannotGuard(
      'the authorize of a server that was transferred',
      'functions do not go along; give receive() its own',
    );
  }
  for (const [name, limit] of Object.entries(transferred.limits ?? {})) {
    (options as Record<string, unknown>)[name] ??= limit;
  }
  return options;
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
  const ruled = transferred.transferred === 'server' ? withRules(transferred, options) : undefined;
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
    if (ruled !== undefined) return descriptor.toServer(ruled, listener);
    const { head } = transferred as TransferredSocket;
    return Socket.from({ descriptor, head: Buffer.from(head) }, options);
  } catch (error) {
    if (!descriptor.closed) Departure.giveBack(transferred, descriptor);
    throw error;
  }
}

export type { Departing };
