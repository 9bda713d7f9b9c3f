/**
 * The shape of `node:net`: its names, with ours in the place of those that concern paths. Without the addon every
 * name is `net`'s own.
 */
import net from 'node:net';
import { withAddress } from './address-string';
import { normalizeArguments, packArguments } from './arguments';
import { missingBecause, native } from './binding';
import { tellOfMade } from './diagnostics';
import { CLIENT_GUARDS, guardsAmong, refuseGuards, refuseGuardsBehind } from './guards';
import { NetServer } from './server/net-server';
import {
  Server as AfunixServer,
  type ConnectionListener,
  type ServerConstructor,
} from './server/server';
import type { ServerOptions } from './server/options';
import {
  Socket as AfunixSocket,
  type Socket as SocketType,
  type SocketConstructor,
} from './socket/socket';
import type { SocketConnectOptions, SocketOptions } from './socket/options';

export const Socket: SocketConstructor =
  native === null ? (net.Socket as unknown as SocketConstructor) : AfunixSocket;
export type Socket = SocketType;

export const Server: ServerConstructor = native === null ? NetServer : AfunixServer;
export type Server = import('./server/server').Server;

export interface Connect {
  (
    options: (SocketConnectOptions & SocketOptions) | net.NetConnectOpts,
    listener?: () => void,
  ): SocketType;
  (port: number, host?: string, listener?: () => void): SocketType;
  /** A path, or `unix:/path` or `tcp://host:port`. */
  (address: string, listener?: () => void): SocketType;
}

/** A socket on its way to an address: `net.connect`. */
function connectAnywhere(...given: unknown[]): unknown {
  const args = withAddress(given);
  refuseGuardsBehind(CLIENT_GUARDS, args);
  const normalized = normalizeArguments(args);
  const { options } = normalized;
  if (native === null || (options['path'] === undefined && options['port'] !== undefined)) {
    const guards = guardsAmong(CLIENT_GUARDS, options);
    refuseGuards(guards, missingBecause ?? 'it is for pathnames and abstract names');
    return Reflect.apply(net.connect as (...forwarded: unknown[]) => net.Socket, net, args);
  }
  const socket = new Socket(options);
  tellOfMade(socket);
  const { timeout } = options;
  if (timeout) socket.setTimeout(timeout as number);
  return Reflect.apply(socket.connect as (packed: unknown) => unknown, socket, [
    packArguments(normalized),
  ]);
}

Object.defineProperty(connectAnywhere, 'name', { value: 'connect' });

export const connect = connectAnywhere as Connect;
export const createConnection = connect;

export interface CreateServer {
  (connectionListener?: ConnectionListener): import('./server/server').Server;
  (
    options?: ServerOptions,
    connectionListener?: ConnectionListener,
  ): import('./server/server').Server;
}

function serverFor(options?: unknown, connectionListener?: unknown): unknown {
  return new Server(options as ServerOptions, connectionListener as ConnectionListener);
}

Object.defineProperty(serverFor, 'name', { value: 'createServer' });

export const createServer = serverFor as CreateServer;
