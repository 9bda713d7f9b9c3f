/** `require('afunix/http')`: `node:http`, `node:http2` and undici over sockets of ours. */
import cluster from 'node:cluster';
import http from 'node:http';
import nodeNet from 'node:net';
import type { Duplex } from 'node:stream';
import { parseAddress, withAddress } from './address-string';
import { missingBecause, native } from './binding';
import { wrongValue } from './checks';
import { configureOnce } from './configure';
import type { ExpectationOptions } from './credentials/expectation';
import type * as Policies from './credentials/policies';
import { codedError } from './errors';
import { guardsAmong, guardsOf, refuseGuards, SERVER_GUARDS } from './guards';
import { connect } from './net';
import { authorizeKey } from './pool-key';
import { listenBehind } from './server/behind';
import { takeConnections } from './server/cluster-worker';
import { taken } from './server/taken';
import type { ServerListenOptions, ServerOptions } from './server/options';
import type { SocketConnectOptions, SocketOptions } from './socket/options';

configureOnce();

/** What `listen()` takes, and what a server of ours can be told about its sockets. */
export type ServeOptions = ServerListenOptions & ServerOptions;

/**
 * `server.listen(options)` for an `http.Server`, an `http2` server, or any other `net.Server`: on a path, its connections are
 * `afunix.Socket`s. The server stays what it is: time-outs, `close()`, `closeIdleConnections()`, `address()` and the rest work
 * as they do with `net`. Ports go to `net`. Returns `server`. Errors: as `listen()`, by `'error'`.
 */
export function serve<S extends nodeNet.Server>(
  server: S,
  where: string | ServeOptions,
  callback?: () => void,
): S {
  const options = taken(targetOf<ServeOptions>(where));
  takeServerOptions(server, options);
  const args = callback === undefined ? [options] : [options, callback];
  if (native === null) {
    const guards = { ...guardsOf(server), ...options };
    refuseGuards(guardsAmong(SERVER_GUARDS, guards), missingBecause ?? '');
  }
  if (native === null || !listenBehind(server, args, options)) {
    if (native !== null && cluster.isWorker) takeConnections(server, args, options);
    Reflect.apply(server.listen as (...forwarded: unknown[]) => unknown, server, args);
  }
  return server;
}

/** What `net.Server` is told when it is made, and looks at for each connection. */
const SERVER_OPTIONS = [
  'allowHalfOpen',
  'pauseOnConnect',
  'highWaterMark',
  'noDelay',
  'keepAlive',
  'keepAliveInitialDelay',
] as const;

/** Those that are given count from now on as if `server` had been made with them. */
function takeServerOptions(server: nodeNet.Server, options: ServeOptions): void {
  const given = SERVER_OPTIONS.filter((name) => options[name] !== undefined);
  if (given.length === 0) return;
  // It checks them, and makes of each what it makes of it.
  const made = new nodeNet.Server(Object.fromEntries(given.map((name) => [name, options[name]])));
  for (const name of given) Reflect.set(server, name, Reflect.get(made, name));
}

/** A path by itself, or one of the addresses that `connect()` and `listen()` take as strings. */
function targetOf<Options extends object>(where: string | Options): Options {
  const [target] = withAddress([where]) as [string | Options];
  return typeof target === 'string' ? ({ path: target } as unknown as Options) : target;
}

export interface AgentOptions extends http.AgentOptions, ExpectationOptions {
  /** Where every request of this agent goes. Without, each request's own `socketPath`, host and port count. */
  socketPath?: string;
  /** The same as a string that `parseAddress()` reads: `unix:/path` or `tcp://host:port`. Instead of `socketPath`. */
  address?: string;
  /** As of `connect()`. */
  connectTimeout?: number;
  /** As of `connect()`. */
  abstractLength?: SocketConnectOptions['abstractLength'];
  /** As of `new Socket()`. */
  busyPoll?: number;
}

/** Where all requests of an agent go. */
function place(socketPath?: string, address?: string): object {
  if (address === undefined) return socketPath === undefined ? {} : { path: socketPath };
  if (socketPath !== undefined) {
    throw wrongValue('options.address', address, 'cannot be combined with socketPath');
  }
  // The request's own path must not be taken for one.
  return { path: undefined, ...parseAddress(address) };
}

type OnCreate = (error: Error | null, stream: Duplex) => void;

/** `http.Agent` whose connections to paths are `afunix.Socket`s. */
export class Agent extends http.Agent {
  private readonly own: Readonly<Record<string, unknown>>;

  private readonly guards: ExpectationOptions;

  constructor(options: AgentOptions = {}) {
    const { socketPath, address, connectTimeout, abstractLength, busyPoll, ...others } =
      taken(options);
    // They would be put in the place of the request's own.
    const { authorize, authorizeTimeout, ...rest } = others;
    super(rest);
    this.own = { connectTimeout, abstractLength, busyPoll, ...place(socketPath, address) };
    this.guards = { authorize, authorizeTimeout };
  }

  /** A pooled connection has been asked for its server by one `authorize`; a request with another one asks again. */
  override getName(options?: http.ClientRequestArgs): string {
    return `${super.getName(options)}${authorizeKey(options)}`;
  }

  override createConnection(options: http.ClientRequestArgs, _callback?: OnCreate): Duplex {
    // The agent has put the request's `socketPath` into `path`.
    const guards = bothOf(this.guards, options as ExpectationOptions);
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- a Socket is one, by way of an intersection
    return connect({ ...options, ...this.own, ...guards } as SocketConnectOptions & SocketOptions);
  }
}

/** What the agent and the request say of the server: both count. */
function bothOf(agent: ExpectationOptions, request: ExpectationOptions): ExpectationOptions {
  const authorizeTimeout = request.authorizeTimeout ?? agent.authorizeTimeout;
  if (agent.authorize === undefined || request.authorize === undefined) {
    const { authorize } = request.authorize === undefined ? agent : request;
    return { authorize, authorizeTimeout };
  }
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const { allOf } = require('./credentials/policies') as typeof Policies;
  return { authorize: allOf(agent.authorize, request.authorize), authorizeTimeout };
}

/** What undici asks its connector for; the part of it that counts here. */
export interface ConnectorRequest {
  readonly protocol: string;
  readonly hostname: string;
  readonly port: string;
}

export type Connector = (
  request: ConnectorRequest,
  callback: (
    ...result: [error: null, socket: nodeNet.Socket] | [error: Error, socket: null]
  ) => void,
) => void;

/**
 * For undici: `new undici.Agent({ connect: connector('/run/app.sock') })`. Every connection goes to that path, whatever the URL says. Only
 * `http:`: others fail with ERR_INVALID_PROTOCOL.
 */
export function connector(where: string | (SocketConnectOptions & SocketOptions)): Connector {
  const options = taken(targetOf<SocketConnectOptions & SocketOptions>(where));
  return ({ protocol }, callback) => {
    if (protocol !== 'http:') {
      const message = `Protocol "${protocol}" not supported. Expected "http:"`;
      process.nextTick(callback, codedError(TypeError, 'ERR_INVALID_PROTOCOL', message), null);
      return;
    }
    const socket = connect(options);
    const failed = (error: Error): void => callback(error, null);
    socket.once('error', failed);
    socket.once('connect', () => {
      socket.off('error', failed);
      // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- a Socket is one, by way of an intersection
      callback(null, socket);
    });
  };
}
