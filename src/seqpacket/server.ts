/** Server: what `afunix`'s Server is, for SOCK_SEQPACKET. */
import type { EventEmitter } from 'node:events';
import { inspect } from 'node:util';
import { native, SEQPACKET, type SocketType } from '../binding';
import type { LooseOptions } from '../arguments';
import type { PeerCredentials } from '../credentials/peer';
import type { Refusal } from '../server/refusal';
import { startMessages } from './memory';
import { messageServerChannel } from '../diagnostics';
import { codedError } from '../errors';
import { connectionFor, type Accepted } from '../server/listener';
import {
  initializeServer,
  kElsewhere,
  kSocketFor,
  kSocketType,
  kTell,
  ServerMethods,
  type AcceptedSocket,
} from '../server/methods';
import { checkPassing } from '../server/passing';
import type { ServerListenOptions } from '../server/options';
import { takenByConstructor } from '../server/taken';
import { AcceptedOptions } from './accepted';
import { MessageConnection } from './connection';
import { checkMessageOptions, type ServerOptions } from './options';
import { Socket } from './socket';

export type ConnectionListener = (socket: Socket) => void;

export interface ServerEvents {
  listening: [];
  connection: [socket: Socket];
  close: [];
  error: [error: Error];
  /** A connection was refused: because of `maxConnections`, or for want of what the error says. */
  drop: [error?: Error];
  /** `authorize` or a limit refused a connection, before anything was made of it. */
  refused: [peer: PeerCredentials, refusal: Refusal];
}

/** As `Server` of the main entry, as far as it concerns paths. */
export interface Server extends EventEmitter<ServerEvents> {
  readonly listening: boolean;
  maxConnections?: number;
  listen(path: string, backlog?: number, listener?: () => void): this;
  listen(path: string, listener?: () => void): this;
  listen(options: ServerListenOptions, listener?: () => void): this;
  address(): string | null;
  close(callback?: (error?: Error) => void): this;
  getConnections(callback: (error: Error | null, count: number) => void): this;
  ref(): this;
  unref(): this;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface ServerConstructor {
  new (connectionListener?: ConnectionListener): Server;
  new (options?: ServerOptions, connectionListener?: ConnectionListener): Server;
  readonly prototype: Server;
}

class MessageServer extends ServerMethods {
  readonly #options: ServerOptions;

  constructor(first?: ServerOptions | ConnectionListener, second?: ConnectionListener) {
    const options = takenByConstructor(typeof first === 'object' && first !== null ? first : {});
    const listener = typeof first === 'function' ? first : second;
    checkMessageOptions(options);
    checkPassing(options);
    super(options);
    if (listener !== undefined) {
      if (typeof listener !== 'function') {
        throw codedError(
          TypeError,
          'ERR_INVALID_ARG_TYPE',
          `The "connectionListener" argument must be of type function. Received ${inspect(listener)}`,
        );
      }
      this.on('connection', listener);
    }
    initializeServer(this, options);
    this.#options = options;
  }

  override get [kSocketType](): SocketType {
    return SEQPACKET;
  }

  override listen(...args: unknown[]): this {
    // If there is no engine, the other listen() says so in its way.
    if (native !== null) startMessages();
    return super.listen(...args);
  }

  protected override [kElsewhere](args: readonly unknown[]): this {
    const [given] = args;
    const { fd } = (typeof given === 'object' && given !== null ? given : {}) as LooseOptions;
    if (fd !== undefined) {
      throw codedError(
        TypeError,
        'ERR_INVALID_FD_TYPE',
        `The descriptor ${inspect(fd)} is not a bound SOCK_SEQPACKET socket`,
      );
    }
    throw codedError(
      TypeError,
      'ERR_INVALID_ARG_VALUE',
      `A SOCK_SEQPACKET server listens on a path (readableAll and writableAll are for files), an abstract name, or a descriptor. Received ${inspect(given)}`,
    );
  }

  override [connectionFor](handle: number): Accepted {
    return new MessageConnection(handle);
  }

  protected override [kSocketFor](connection: Accepted): AcceptedSocket {
    const gone = (): void => {
      this._connections -= 1;
      this._emitCloseIfDrained();
    };
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- what connectionFor() made
    const messages = connection as MessageConnection;
    const socket = new Socket(
      new AcceptedOptions(messages, this.#options, gone, Boolean(this.#options.passCredentials)),
    );
    socket.server = this;
    if (this.pauseOnConnect) socket.pause();
    return socket;
  }

  protected override [kTell](socket: AcceptedSocket): void {
    if (!messageServerChannel.hasSubscribers) return;
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- what kSocketFor made
    messageServerChannel.publish({ socket: socket as Socket });
  }
}

Object.defineProperty(MessageServer, 'name', { value: 'Server' });

export const Server = MessageServer as unknown as ServerConstructor;
