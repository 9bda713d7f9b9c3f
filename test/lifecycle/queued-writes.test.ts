/** What is queued costs what it is, however much there is of it. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import net from 'afunix';
import { freshPath } from '../helpers/socket-paths';
import { happens, pattern } from '../helpers/sockets';

interface Queued {
  /** Microseconds of processor time. */
  readonly cost: number;
  readonly bytes: Buffer;
}

/** Writes so many pieces in one turn, and an end behind them. */
async function queue(t: TestContext, pieces: readonly (string | Buffer)[]): Promise<Queued> {
  const path = freshPath(t);
  const chunks: Buffer[] = [];
  const server = net.createServer((peer) => peer.on('data', (chunk) => chunks.push(chunk)));
  await happens(server.listen(path), 'listening');
  const client = net.connect(path);
  await happens(client, 'connect');
  const before = process.cpuUsage();
  let told = 0;
  for (const piece of pieces) client.write(piece, () => (told += 1));
  client.end();
  await happens(client, 'close');
  const { user, system } = process.cpuUsage(before);
  assert.equal(told, pieces.length);
  await new Promise((resolve) => server.close(resolve));
  return { cost: user + system, bytes: Buffer.concat(chunks) };
}

test('four times as many queued writes cost about four times as much', async (t) => {
  const few = 20_000;
  const pieces = (count: number): string[] => Array.from({ length: count }, () => 'hello world');
  await queue(t, pieces(few));
  const { cost } = await queue(t, pieces(few));
  const { cost: ofMany, bytes } = await queue(t, pieces(4 * few));
  assert.equal(bytes.toString(), 'hello world'.repeat(4 * few));
  // If each looked at those before it, it would be sixteen times as much.
  assert.ok(ofMany < 10 * cost, `${cost} and ${ofMany} µs`);
});

test('pieces of all sizes that are queued arrive in order, in the memory they were written from or not', async (t) => {
  const whole = pattern(3_000_000);
  const pieces: (string | Buffer)[] = [];
  const sizes = [1, 20_000, 0, 300, 16_384, 16_385, 70_000, 5, 5, 0, 9_000];
  let at = 0;
  for (let count = 0; at < whole.length; count += 1) {
    const piece = whole.subarray(at, at + (sizes[count % sizes.length] ?? 1));
    at += piece.length;
    pieces.push(count % 3 === 0 ? piece.toString('latin1') : piece);
  }
  // Strings are UTF-8 on their way.
  const expected = Buffer.concat(pieces.map((piece) => Buffer.from(piece as string)));
  const { bytes } = await queue(t, pieces);
  assert.ok(bytes.equals(expected));
});

test('short pieces that wait may be detached: what was written is sent', async (t) => {
  const path = freshPath(t);
  const chunks: Buffer[] = [];
  const peers: Socket[] = [];
  const server = net.createServer({ pauseOnConnect: true }, (peer) => {
    peers.push(peer);
    peer.on('data', (chunk) => chunks.push(chunk));
  });
  const accepted = happens(server, 'connection');
  await happens(server.listen(path), 'listening');
  const client = net.connect(path);
  await Promise.all([accepted, happens(client, 'connect')]);
  const pieces = Array.from({ length: 60 }, (_, n) => new Uint8Array(10_000).fill(n));
  const expected = Buffer.concat(pieces);
  client.cork();
  for (const piece of pieces) client.write(piece);
  client.uncork();
  assert.ok(client.writableLength > 0, 'the kernel has room for everything');
  for (const { buffer } of pieces) structuredClone(buffer, { transfer: [buffer] });
  for (const peer of peers) peer.resume();
  client.end();
  await happens(client, 'close');
  await new Promise((resolve) => server.close(resolve));
  assert.ok(Buffer.concat(chunks).equals(expected));
});
