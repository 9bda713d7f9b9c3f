/** Small parts that the tests of message sockets are put together from. */
import type { EventEmitter } from 'node:events';
import type { TestContext } from 'node:test';
import seqpacket, {
  type MessageInfo,
  type MessageOptions,
  type Server,
  type ServerOptions,
  type Socket,
  type SocketOptions,
} from 'afunix/seqpacket';
import { freshPath } from '../helpers/socket-paths';

export { seqpacket };

export const LONG = process.env['AFUNIX_LONG'] === '1';

const ignore = (): void => undefined;

export function discard(t: TestContext, ...sockets: Socket[]): void {
  t.after(() => {
    for (const socket of sockets) socket.on('error', ignore).destroy();
  });
}

export function pairOf(t: TestContext, options?: MessageOptions): [Socket, Socket] {
  const pair = seqpacket.socketpair(options);
  discard(t, ...pair);
  return pair;
}

export interface Connected {
  readonly path: string;
  readonly server: Server;
  readonly client: Socket;
  readonly peer: Socket;
}

export async function listening(
  t: TestContext,
  options: ServerOptions = {},
  onConnection: (peer: Socket) => void = ignore,
): Promise<{ path: string; server: Server }> {
  const path = freshPath(t);
  const accepted: Socket[] = [];
  const server = seqpacket.createServer(options, (peer) => {
    accepted.push(peer);
    onConnection(peer);
  });
  t.after(async () => {
    for (const peer of accepted) peer.on('error', ignore).destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  server.listen(path);
  await happens(server, 'listening');
  return { path, server };
}

/** A client and what its server accepted. */
export async function connected(
  t: TestContext,
  options: { server?: ServerOptions; client?: SocketOptions } = {},
): Promise<Connected> {
  let accepted: (peer: Socket) => void = ignore;
  const peer = new Promise<Socket>((resolve) => (accepted = resolve));
  const { path, server } = await listening(t, options.server, (socket) => accepted(socket));
  const client = seqpacket.connect({ path, ...options.client });
  discard(t, client);
  await happens(client, 'connect');
  return { path, server, client, peer: await peer };
}

/** The arguments of the next such event. */
export function happens(
  emitter: EventEmitter | Socket | Server,
  event: string,
): Promise<unknown[]> {
  return new Promise((resolve) => {
    (emitter as EventEmitter).once(event, (...args: unknown[]) => resolve(args));
  });
}

export interface Told {
  readonly messages: Buffer[];
  readonly infos: MessageInfo[];
  readonly events: string[];
  error?: Error & { code?: string; syscall?: string };
}

/** Notes everything that a socket tells. */
export function listen(socket: Socket): Told {
  const told: Told = { messages: [], infos: [], events: [] };
  socket.on('message', (message, info) => {
    told.messages.push(message);
    told.infos.push(info);
    told.events.push('message');
  });
  socket.on('error', (error) => {
    told.error = error;
    told.events.push(`error ${String((error as { code?: string }).code)}`);
  });
  for (const event of ['end', 'finish'] as const) {
    socket.on(event, () => void told.events.push(event));
  }
  socket.on('close', (hadError) => void told.events.push(`close ${hadError}`));
  return told;
}

export function texts(told: Told): string[] {
  return told.messages.map(String);
}

export async function until(done: () => boolean, milliseconds = 20_000): Promise<void> {
  const deadline = Date.now() + milliseconds;
  while (!done()) {
    if (Date.now() > deadline) throw new Error('it did not come to pass');
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** The same numbers in every run, below `limit`. */
export function randomNumbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

/** A message that says which it is and what it should be: number, length, and bytes that follow from both. */
export function numbered(number: number, length: number): Buffer {
  const message = Buffer.allocUnsafe(length);
  message.fill((number * 31 + length) & 0xff);
  if (length >= 8) {
    message.writeUInt32LE(number, 0);
    message.writeUInt32LE(length, 4);
  }
  return message;
}

/** What is wrong with a message that should be `numbered(number, length)`; nothing if it is. */
export function fault(message: Buffer, number: number, length: number): string | undefined {
  if (message.length !== length) return `message ${number}: ${message.length} bytes, not ${length}`;
  return message.equals(numbered(number, length)) ? undefined : `message ${number}: other bytes`;
}
