/** `require('afunix/http')`: `node:http`, `node:http2` and undici over sockets of ours. */
import cluster from 'node:cluster';
import http from 'node:http';
import nodeNet from 'node:net';
import type { Duplex } from 'node:stream';
import { parseAddress, withAddress } from './address-string';
import { missingBecause, native } from './binding';
import { wrongType, wrongValue } from './checks';
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
import { nextTick } from './real-time';

configureOnce();

/** What `listen()` takes, and what a server of ours can be told about its sockets. */
export type ServeOptions = ServerListenOptions & ServerOptions;

/**
 * `server.listen(options)` for an `http.Server`, an `http2` server, or any other `net.Server`: on a path, its connections are
 * `afunix.Socket`s. The server stays what it is: time-outs, `close()`, `closeIdleConnections()`, `address()` and the rest work
 * as they do with `net`. Ports go to `net`. Returns `server`. Errors: as `listen()`, by `'error'`; ERR_INVALID_ARG_TYPE and ERR_INVALID_ARG_VALUE
 * for what names neither a path nor a port.
 */
export function serve<S extends nodeNet.Server>(
  server: S,
  where: string | ServeOptions,
  callback?: () => void,
): S {
  const options = targetOf<ServeOptions>(where, ['fd', 'handle', '_handle']);
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

const isUnset = (value: unknown): boolean => value === undefined || value === null || value === '';

/**
 * A path by itself, one of the addresses that `connect()` and `listen()` take as strings, or options: a copy. What names no place is an
 * error: `net` would take a port of its own choice, for everybody to connect to, if a variable is not set.
 */
function targetOf<Options extends object>(
  where: string | Options,
  otherPlaces: readonly string[] = [],
): Options {
  const [target] = withAddress([where]);
  if (typeof target !== 'string' && (typeof target !== 'object' || target === null)) {
    throw wrongType('where', 'a path, an address or an object', where);
  }
  const options = taken<object>(typeof target === 'string' ? { path: target } : target) as Record<
    string,
    unknown
  >;
  if (!['path', 'port', ...otherPlaces].some((name) => !isUnset(options[name]))) {
    throw wrongValue('where', where, 'must name a path or a port');
  }
  if (isUnset(options['port'])) delete options['port'];
  return options as Options;
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
function place(options: AgentOptions): object {
  const { socketPath, address } = options;
  if (address !== undefined) {
    if (socketPath !== undefined) {
      throw wrongValue('options.address', address, 'cannot be combined with socketPath');
    }
    // The request's own path must not be taken for one.
    return { path: undefined, ...parseAddress(address) };
  }
  const [named] = (['socketPath', 'address'] as const).filter((name) => name in options);
  if (named === undefined) return {};
  // Given, and not set: the requests would go to whatever host their URLs name.
  if (typeof socketPath !== 'string')
    throw wrongType(`options.${named}`, 'of type string', socketPath);
  if (socketPath === '') throw wrongValue('options.socketPath', socketPath, 'must not be empty');
  return { path: socketPath };
}

type OnCreate = (error: Error | null, stream: Duplex) => void;

/** `http.Agent` whose connections to paths are `afunix.Socket`s. */
export class Agent extends http.Agent {
  private readonly own: Readonly<Record<string, unknown>>;

  private readonly guards: ExpectationOptions;

  constructor(options: AgentOptions = {}) {
    const {
      socketPath: _path,
      address: _address,
      connectTimeout,
      abstractLength,
      busyPoll,
      ...others
    } = taken(options);
    // They would be put in the place of the request's own.
    const { authorize, authorizeTimeout, ...rest } = others;
    super(rest);
    this.own = { connectTimeout, abstractLength, busyPoll, ...place(options) };
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
  const own = request.authorizeTimeout;
  const authorizeTimeout = own === undefined ? agent.authorizeTimeout : own;
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
  const options = targetOf<SocketConnectOptions & SocketOptions>(where);
  return ({ protocol }, callback) => {
    if (protocol !== 'http:') {
      const message = `Protocol "${protocol}" not supported. Expected "http:"`;
      nextTick(callback, codedError(TypeError, 'ERR_INVALID_PROTOCOL', message), null);
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
