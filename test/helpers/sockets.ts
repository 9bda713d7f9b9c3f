/** Small parts that scenarios are put together from: servers, connected pairs, waiting. */
import type { EventEmitter } from 'node:events';
import type { Server, ServerOpts, Socket, SocketConstructorOpts } from 'node:net';
import type { Stage } from '../conformance/scenario';

export interface Pair {
  readonly address: string;
  readonly server: Server;
  /** The end that connected. */
  readonly client: Socket;
  /** The end that was accepted. */
  readonly peer: Socket;
}

export interface PairOptions {
  readonly server?: ServerOpts;
  readonly client?: SocketConstructorOpts;
  /** Called with the client before it connects. */
  readonly beforeConnect?: (client: Socket) => void;
  /** Called with the accepted end inside 'connection'. */
  readonly onConnection?: (peer: Socket) => void;
}

const ignore = (): void => undefined;

/** Destroys the socket when the scenario is over, whatever state it is in by then. */
export function discard(stage: Stage, socket: Socket): void {
  stage.defer(() => {
    socket.on('error', ignore);
    socket.destroy();
  });
}

/** For a connection whose fate is not the scenario's subject: it may be reset without failing anything. */
export function tolerate(socket: Socket): void {
  socket.on('error', ignore);
}

/** A listening server; it and every connection it accepted are closed afterwards. */
export async function listen(
  stage: Stage,
  address: string,
  options: ServerOpts = {},
  onConnection: (peer: Socket) => void = tolerate,
): Promise<Server> {
  const server = stage.net.createServer(options, (peer) => {
    discard(stage, peer);
    onConnection(peer);
  });
  stage.defer(() => closeServer(server));
  server.listen(address);
  await happens(server, 'listening');
  return server;
}

export function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

/** Two connected ends. Resolves once both know of the connection. */
export async function pair(stage: Stage, options: PairOptions = {}): Promise<Pair> {
  const address = stage.address();
  let accept: (peer: Socket) => void = ignore;
  const accepted = new Promise<Socket>((resolve) => (accept = resolve));
  const server = await listen(stage, address, options.server, (peer) => {
    options.onConnection?.(peer);
    accept(peer);
  });
  const client = new stage.net.Socket(options.client);
  discard(stage, client);
  options.beforeConnect?.(client);
  const connected = happens(client, 'connect');
  client.connect(address);
  const [peer] = await Promise.all([accepted, connected]);
  return { address, server, client, peer };
}

/** Resolves with the arguments of the next such event; unlike `once`, it takes no interest in 'error'. */
export function happens(emitter: EventEmitter, event: string): Promise<unknown[]> {
  return new Promise((resolve) => emitter.once(event, (...args: unknown[]) => resolve(args)));
}

/** Everything the socket delivers until its 'end'. Sets the socket flowing. */
export async function received(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => void chunks.push(chunk));
  await happens(socket, 'end');
  return Buffer.concat(chunks);
}

/** Resolves as soon as the socket has delivered this many bytes. Sets the socket flowing. */
export function receives(socket: Socket, length: number): Promise<Buffer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let total = 0;
    const collect = (chunk: Buffer): void => {
      chunks.push(chunk);
      total += chunk.length;
      if (total < length) return;
      socket.off('data', collect);
      resolve(Buffer.concat(chunks));
    };
    socket.on('data', collect);
  });
}

/** Bytes in which no two places look alike for a long way, so that a lost or repeated piece shows. */
export function pattern(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let state = 0x2545f491;
  for (let index = 0; index < length; index += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
}

/** Events whose listeners libraries count, or would stumble over. */
export const countedEvents = [
  'data',
  'readable',
  'end',
  'close',
  'error',
  'drain',
  'finish',
  'timeout',
  'pause',
  'resume',
  'connect',
  'ready',
];

export function listenerCounts(socket: Socket): Record<string, number> {
  return Object.fromEntries(countedEvents.map((event) => [event, socket.listenerCount(event)]));
}
