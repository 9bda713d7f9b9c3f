/** `require('afunix/seqpacket')`: connections that keep the boundaries of messages. */
import { missingBecause, native, SEQPACKET } from './binding';
import { configureOnce } from './configure';
import { refuseExpectation } from './credentials/expectation';
import { engine } from './engine/engine';
import { codedError, errnoException } from './errors';
import { AcceptedOptions } from './seqpacket/accepted';
import { MessageConnection } from './seqpacket/connection';
import { startMessages } from './seqpacket/memory';
import {
  checkMessageOptions,
  type MessageOptions,
  type ServerOptions,
  type SocketConnectOptions,
  type SocketOptions,
} from './seqpacket/options';
import { MessageRing } from './seqpacket/ring-reader';
import { Server, type ConnectionListener } from './seqpacket/server';
import { Socket } from './seqpacket/socket';

configureOnce();

function needAddon(what: string): void {
  if (native !== null) return;
  throw codedError(
    Error,
    'ERR_AFUNIX_NO_ADDON',
    `${what} of afunix/seqpacket needs the addon: ${missingBecause ?? ''}`,
  );
}

/** A socket on its way to an address. */
export function connect(path: string, listener?: () => void): Socket;
export function connect(
  options: SocketConnectOptions & SocketOptions,
  listener?: () => void,
): Socket;
export function connect(
  target: string | (SocketConnectOptions & SocketOptions),
  listener?: () => void,
): Socket {
  needAddon('connect()');
  const options = typeof target === 'object' && target !== null ? target : {};
  return new Socket(options).connect(target as SocketConnectOptions, listener);
}

export const createConnection: typeof connect = connect;

export function createServer(connectionListener?: ConnectionListener): Server;
export function createServer(
  options?: ServerOptions,
  connectionListener?: ConnectionListener,
): Server;
export function createServer(
  options?: ServerOptions | ConnectionListener,
  connectionListener?: ConnectionListener,
): Server {
  needAddon('createServer()');
  return new Server(options as ServerOptions, connectionListener);
}

/** Two sockets connected to each other, without an address. Errors: EMFILE, ENFILE. */
export function socketpair(options: MessageOptions = {}): [Socket, Socket] {
  needAddon('socketpair()');
  checkMessageOptions(options);
  refuseExpectation(options);
  const handles = new Int32Array(2);
  let status = startMessages();
  if (status === 0) status = engine().socketpair(handles, SEQPACKET);
  if (status < 0) throw errnoException(status, 'socketpair');
  const [first, second] = Array.from(
    handles,
    (handle) => new Socket(new AcceptedOptions(new MessageConnection(handle), options, null)),
  );
  return [first, second];
}

const seqpacket = {
  connect,
  createConnection,
  createServer,
  MessageRing,
  Server,
  Socket,
  socketpair,
};

export { MessageRing, Server, Socket };
export default seqpacket;
export type { AbstractLength } from './address';
export type { DescriptorLimits } from './descriptor-quota';
export type { DescriptorLike } from './descriptor-sending';
export type { SystemError } from './errors';
export type { MessageBatch, MessageInfo } from './seqpacket/batch';
export type { SendCallback } from './seqpacket/connection';
export type { Detached } from './seqpacket/detaching';
export type { BatchMemory } from './seqpacket/inbox';
export type {
  MessageOptions,
  ServerOptions,
  SocketConnectOptions,
  SocketOptions,
} from './seqpacket/options';
export type { Message, MessageSizeError } from './seqpacket/outgoing';
export type { ConnectionListener } from './seqpacket/server';
export type { BatchesOptions } from './seqpacket/socket';
export type { ServerListenOptions } from './server/options';
