/** A fast writer and a slow reader: what lies between them is bounded, on either side. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leanEnvironment, runLone } from '../helpers/lone-process';
import { freshPath } from '../helpers/socket-paths';

interface Sample {
  readonly resident: number;
  readonly buffered: number;
  readonly received: number;
}

/** As little as fits what the collector and the allocator do in their own time, and far less than was offered. */
const mayGrow = 24 << 20;
const offered = 512 << 20;

const execArgv = ['--expose-gc', '--max-semi-space-size=2', '--min-semi-space-size=2'];

function assertBounded(lines: readonly string[], mark: number): void {
  const samples = lines.map((line) => JSON.parse(line) as Sample);
  const shown = samples.map(({ resident }) => resident >> 10).join(' ');
  // The first of them are taken while code is still being compiled.
  const [first, ...rest] = samples.slice(3);
  assert.ok(first !== undefined && rest.length > 5);
  for (const { resident, buffered } of rest) {
    assert.ok(resident - first.resident < mayGrow, `KiB resident: ${shown}`);
    assert.ok(buffered <= mark, `${buffered} bytes buffered`);
  }
}

test('a reader that takes a chunk now and then holds its mark and one read, no more', async (t) => {
  const lines = await runLone(
    t,
    { address: freshPath(t), offered },
    async ({ net, require, parameters, say }) => {
      const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads');
      const { address, offered } = parameters;
      const gc = (globalThis as unknown as { gc(): void }).gc;
      // From another thread, by the other implementation: it writes as much as anybody takes.
      const flood = `
        const { workerData } = require('node:worker_threads');
        const client = require('node:net').connect(workerData.address);
        const block = Buffer.alloc(1 << 16);
        let left = workerData.offered;
        const go = () => {
          while (left > 0 && client.write(block)) left -= block.length;
        };
        client.on('drain', go).on('error', () => undefined);
        go();
      `;
      const server = net.createServer();
      await new Promise<void>((resolve) => server.listen(address, () => resolve()));
      const worker = new Worker(flood, { eval: true, workerData: { address, offered } });
      const peer = await new Promise<import('node:net').Socket>((resolve) =>
        server.once('connection', resolve),
      );
      let received = 0;
      const sample = (): void => {
        gc();
        const { rss } = process.memoryUsage();
        say(JSON.stringify({ resident: rss, buffered: peer.readableLength, received }));
      };
      // Paused in each chunk, so that the stream's own buffer fills.
      peer.on('data', (chunk: Buffer) => {
        received += chunk.length;
        peer.pause();
        setTimeout(() => peer.resume(), 1);
      });
      for (let count = 0; count < 12; count += 1) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        sample();
      }
      peer.destroy();
      await worker.terminate();
      server.close();
    },
    { execArgv, env: leanEnvironment() },
  );
  assertBounded(lines, (64 << 10) + (64 << 10));
  const { received } = JSON.parse(lines.at(-1) ?? '{}') as Sample;
  assert.ok(received > 0 && received < offered, `${received} bytes of ${offered}`);
});

test("a writer that heeds write()'s answer holds its mark and one write, no more", async (t) => {
  const lines = await runLone(
    t,
    { address: freshPath(t) },
    async ({ net, parameters, say }) => {
      const gc = (globalThis as unknown as { gc(): void }).gc;
      const server = net.createServer((peer) => {
        // It reads a little, and then waits.
        peer.on('data', () => {
          peer.pause();
          setTimeout(() => peer.resume(), 1);
        });
      });
      await new Promise<void>((resolve) => server.listen(parameters.address, () => resolve()));
      const sizes = [100, 5_000, 60_000];
      const clients = sizes.map((size) => {
        const client = net.connect(parameters.address);
        const write = (): void => {
          while (client.write(Buffer.alloc(size)));
        };
        client.on('drain', write);
        write();
        return client;
      });
      for (let count = 0; count < 12; count += 1) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        gc();
        const { rss } = process.memoryUsage();
        const buffered = Math.max(...clients.map(({ writableLength }) => writableLength));
        const received = clients.reduce((sum, client) => sum + client.bytesWritten, 0);
        say(JSON.stringify({ resident: rss, buffered, received }));
      }
      for (const client of clients) client.destroy();
      server.close();
    },
    { execArgv, env: leanEnvironment() },
  );
  assertBounded(lines, (64 << 10) + 60_000);
});
