/** What the integration tests share: places, bytes, texts, and waiting. */
import { createHash } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import type { ListenOptions, Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

/** The root of the repository, where `package.json` is. */
export const root = path.dirname(require.resolve('afunix/package.json'));

/** A fresh folder that everybody may look into, removed when the test is over. */
export function folder(t: TestContext): string {
  const made = mkdtempSync(path.join(tmpdir(), 'afu-'));
  chmodSync(made, 0o755);
  t.after(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** A path for one socket. */
export function address(t: TestContext): string {
  return path.join(folder(t), 's');
}

let names = 0;

/** An abstract name that nobody else has. */
export function abstractName(): string {
  names += 1;
  return `\0afunix-integration-${process.pid}-${names}`;
}

/** The arguments of the next such event; an 'error' before it fails the test. */
export function happens(emitter: EventEmitter, event: string): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    const settle = (args: unknown[]): void => {
      emitter.off('error', reject);
      resolve(args);
    };
    emitter.once(event, (...args: unknown[]) => settle(args));
    if (event !== 'error') emitter.once('error', reject);
  });
}

/** Listens, and closes when the test is over, with whatever connections it has by then. */
export async function listening<S extends Server>(
  t: TestContext,
  server: S,
  where: string | (ListenOptions & { abstractLength?: 'exact' | 'padded' }),
): Promise<S> {
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  t.after(() => {
    for (const socket of open) socket.on('error', () => {}).destroy();
    return closed(server);
  });
  server.listen(typeof where === 'string' ? { path: where } : where);
  await happens(server, 'listening');
  return server;
}

export function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

/** Resolves when what `measured` says has not changed for a while. */
export async function settled(measured: () => number): Promise<void> {
  for (let quiet = 0, before = NaN; quiet < 5; quiet += 1) {
    await delay(5);
    const now = measured();
    if (now !== before) quiet = 0;
    before = now;
  }
}

/** Numbers that look random and are the same in every run. */
export function generator(seed: number): (limit: number) => number {
  let state = seed >>> 0;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

/** Bytes of which no two stretches are alike; `seed` decides which. */
export function bytes(length: number, seed = 1): Buffer {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = (seed * 0x9e3779b9) >>> 0 || 1;
  for (let i = 0; i < words.length; i += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return Buffer.from(words.buffer, 0, length);
}

export function sha256(data: Uint8Array | string): string {
  return createHash('sha256').update(data).digest('hex');
}

/** The hash of everything that a stream gives. */
export async function hashOf(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of stream) hash.update(chunk);
  return hash.digest('hex');
}

export async function collected(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const WORDS = 'wind sea ship sail harbour captain whale storm Bürger λόγος 船 ☂ 🐋'.split(' ');

/** Lines of different lengths, some empty, some long, in several scripts; `size` bytes in all. */
export function linesOf(size: number, seed: number): string[] {
  const random = generator(seed);
  const lines: string[] = [];
  for (let total = 0; total < size;) {
    // One line in a hundred is longer than a read; one in twelve is empty.
    const words = random(100) === 0 ? random(20_000) : random(12);
    const line = Array.from({ length: words }, () => WORDS[random(WORDS.length)]).join(' ');
    lines.push(line);
    total += Buffer.byteLength(line) + 1;
  }
  return lines;
}

/**
 * Calls `each` for every line that arrives, and waits for 'drain' if it returns false. A plain `for await` would
 * destroy the socket at the end of its input, and with it what was written but has not left.
 */
export async function readLines(
  socket: Socket,
  each: (line: string) => boolean | undefined,
): Promise<void> {
  socket.setEncoding('utf8');
  let rest = '';
  const texts = socket.iterator({ destroyOnReturn: false }) as AsyncIterable<string>;
  for await (const text of texts) {
    const pieces = (rest + text).split('\n');
    rest = pieces.pop() ?? '';
    for (const line of pieces) {
      if (each(line) === false) await happens(socket, 'drain');
    }
  }
  if (rest !== '') throw new Error(`half a line at the end: ${rest.slice(0, 80)}`);
}

/** Writes everything, waiting for 'drain' whenever write() says so, and ends. */
export async function send(socket: Socket, pieces: Iterable<string | Uint8Array>): Promise<void> {
  for (const piece of pieces) {
    if (!socket.write(piece)) await happens(socket, 'drain');
  }
  socket.end();
}
