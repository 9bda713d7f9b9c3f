/** Servers of both kinds that are put somewhere with care, and what the file system has of them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { lstatSync } from 'node:fs';
import type { TestContext } from 'node:test';
import net, { type Server, type ServerListenOptions, type SystemError } from 'afunix';
import { RawSocket } from 'afunix/raw';
import seqpacket from 'afunix/seqpacket';

/** The second user: nobody. */
export const NOBODY = 65_534;

export const isRoot = process.geteuid?.() === 0;
/** Said out loud where it is. */
export const needsRoot = isRoot ? false : 'needs root, to become a second user';

/** What both kinds of server have. */
export type AnyServer = Pick<Server, 'listen' | 'close' | 'address' | 'listening'> &
  NodeJS.EventEmitter;

export const kinds: Readonly<Record<string, () => AnyServer>> = {
  stream: () =>
    net.createServer((socket) => {
      socket.on('error', () => undefined);
      socket.end('hello');
    }),
  seqpacket: () =>
    seqpacket.createServer((socket) => {
      socket.on('error', () => undefined);
      socket.resume();
      socket.send('hello');
      socket.end();
    }) as unknown as AnyServer,
};

export function makeServer(t: TestContext, make = kinds['stream']): AnyServer {
  const server = make();
  t.after(() => server.close());
  return server;
}

export async function listening(
  t: TestContext,
  options: ServerListenOptions,
  make?: () => AnyServer,
): Promise<AnyServer> {
  const server = makeServer(t, make).listen(options);
  await once(server, 'listening');
  return server;
}

export function closed(server: AnyServer): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

export type ListenError = SystemError & { cause?: SystemError; directory?: string };

/** How it fails; it must not listen. */
export async function listenError(
  t: TestContext,
  options: ServerListenOptions,
  make?: () => AnyServer,
): Promise<ListenError> {
  const server = makeServer(t, make);
  server.on('listening', () => assert.fail('it listens'));
  server.listen(options);
  const [error] = (await once(server, 'error')) as [ListenError];
  assert.equal(server.listening, false);
  return error;
}

export const modeOf = (path: string): string => (lstatSync(path).mode & 0o7777).toString(8);

/** What the server says to whoever connects, or the code of the error. */
export function greeting(path: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = net.connect(path);
    socket.on('data', (chunk) => (text += String(chunk)));
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
    socket.on('end', () => resolve(text));
  });
}

/** A socket file whose server is gone without a word. */
export function leaveBehind(path: string): void {
  const socket = RawSocket.socket('stream');
  socket.bind(path);
  socket.close();
}
