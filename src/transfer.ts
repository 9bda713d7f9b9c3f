/**
 * Connections and listeners for other threads of this process. On its way a descriptor belongs to the process; what goes through
 * `postMessage()` or `workerData` is a ticket for it.
 */
import { checkInteger, requireAddon, wrongType } from './checks';
import { Descriptor } from './descriptor';
import './descriptor-casts';
import { engine } from './engine/engine';
import { addHint, cannotGuard, codedError, errnoException } from './errors';
import type { LoneMessage } from './seqpacket/batch';
import { kKeepsMessages } from './seqpacket/brand';
import type {
  ServerOptions as MessageServerOptions,
  SocketOptions as MessageSocketOptions,
} from './seqpacket/options';
import type {
  ConnectionListener as MessageConnectionListener,
  Server as MessageServer,
} from './seqpacket/server';
import type { Socket as MessageSocket } from './seqpacket/socket';
import type * as Transferring from './seqpacket/transferring';
import type { GateOptions, Limits } from './server/gate-options';
import { kSocketType, rulesInForce, ServerMethods, shareListener } from './server/methods';
import { SEQPACKET } from './binding';
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

/** The same of `afunix/seqpacket`. */
export interface TransferredMessageSocket {
  readonly transferred: 'messageSocket';
  /** What receive() finds it by. */
  readonly ticket: number;
  /** What had been received and not been told, without its descriptors, and without who sent it. */
  readonly head: readonly LoneMessage[];
}

/** A listener on its way, beside the one that it is a copy of. */
export interface TransferredServer {
  readonly transferred: 'server';
  /** Its type is SOCK_SEQPACKET. */
  readonly ofMessages?: false;
  /** What receive() finds it by. */
  readonly ticket: number;
  /** It has rules about who connects: they go along, as far as they can. */
  readonly guarded: boolean;
  /** One of them is `authorize`: whoever receives it has to give one, too. */
  readonly authorized: boolean;
  /** The others, for whoever receives it and says nothing else. */
  readonly limits: Limits;
}

/** The same of `afunix/seqpacket`. */
export interface TransferredMessageServer extends Omit<TransferredServer, 'ofMessages'> {
  readonly ofMessages: true;
}

/** Loaded with the first of them: few have both kinds. */
function ofMessages(): typeof Transferring {
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  return require('./seqpacket/transferring') as typeof Transferring;
}

/**
 * The socket is destroyed, and its connection goes on wherever it is received. Until it is put into a message it is closed if this thread ends
 * or lets go of what was returned, with a warning; after `to(worker)` also if that worker ends without having received it. Otherwise nobody
 * can know that a message came to nothing: Node-API has no word of one that is dropped with its port. Errors: as `detach()`.
 */
export function transfer(socket: Socket): Departing<TransferredSocket>;
/** The same; descriptors that came with messages that were not told are closed. */
export function transfer(socket: MessageSocket): Departing<TransferredMessageSocket>;
/**
 * The server goes on listening; whoever receives the copy listens on the same path, and the kernel gives each connection to one of them.
 * The path is free when all are closed; its file goes with the first. The copy is closed as a transferred socket is. Errors:
 * ERR_SERVER_NOT_RUNNING, EMFILE.
 */
export function transfer(server: Server): Departing<TransferredServer>;
export function transfer(server: MessageServer): Departing<TransferredMessageServer>;
export function transfer(
  given: Socket | MessageSocket | Server | MessageServer,
):
  | Departing<TransferredSocket>
  | Departing<TransferredMessageSocket>
  | Departing<TransferredServer>
  | Departing<TransferredMessageServer> {
  if (given instanceof SocketMethods) {
    const { descriptor, head } = (given as unknown as Socket).detach();
    // A copy: the rest of a pool must not go along.
    return Departure.of(descriptor, { transferred: 'socket', head: new Uint8Array(head) });
  }
  if (isMessageSocket(given)) {
    const { descriptor, head } = ofMessages().detached(given);
    return Departure.of(descriptor, { transferred: 'messageSocket', head });
  }
  if (!(given instanceof ServerMethods)) {
    throw wrongType('given', 'a Socket or Server of afunix or afunix/seqpacket on a path', given);
  }
  const listening = shareListener(given);
  if (listening < 0) throw codedError(Error, 'ERR_SERVER_NOT_RUNNING', 'Server is not running.');
  const copy = engine().duplicate(listening);
  if (copy < 0) throw errnoException(copy, 'fcntl');
  const rules = rulesInForce(given);
  return Departure.of(new Descriptor(copy), {
    transferred: 'server',
    ...(given[kSocketType] === SEQPACKET ? { ofMessages: true } : {}),
    guarded: rules !== null,
    authorized: rules?.authorize !== undefined,
    limits: rules?.limits ?? {},
  }) as Departing<TransferredServer> | Departing<TransferredMessageServer>;
}

function isMessageSocket(given: unknown): given is MessageSocket {
  return typeof given === 'object' && given !== null && kKeepsMessages in given;
}

/** What the server in this thread is made with. Throws if that is less than the one that it comes from asked for. */
function withRules<Options extends GateOptions>(
  transferred: TransferredServer | TransferredMessageServer,
  given: Options,
): Options {
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
export function receive(
  transferred: TransferredMessageSocket,
  options?: Omit<MessageSocketOptions, 'fd'>,
): MessageSocket;
/** A server that listens, in this thread. Errors: as for a socket, and ERR_AFUNIX_UNGUARDED. */
export function receive(
  transferred: TransferredServer,
  options?: ServerOptions,
  listener?: ConnectionListener,
): Server;
export function receive(
  transferred: TransferredMessageServer,
  options?: MessageServerOptions,
  listener?: MessageConnectionListener,
): MessageServer;
export function receive(
  transferred:
    TransferredSocket | TransferredMessageSocket | TransferredServer | TransferredMessageServer,
  options: object = {},
  listener?: ConnectionListener | MessageConnectionListener,
): Socket | MessageSocket | Server | MessageServer {
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
    if (transferred.transferred === 'server') {
      return transferred.ofMessages === true
        ? ofMessages().serverOf(descriptor, ruled ?? {}, listener as MessageConnectionListener)
        : descriptor.toServer(ruled, listener as ConnectionListener);
    }
    const { head } = transferred;
    if (transferred.transferred === 'messageSocket') {
      return ofMessages().socketOf({ descriptor, head: transferred.head }, options);
    }
    return Socket.from({ descriptor, head: Buffer.from(head as Uint8Array) }, options);
  } catch (error) {
    if (!descriptor.closed) Departure.giveBack(transferred, descriptor);
    throw error;
  }
}

export type { Departing };
