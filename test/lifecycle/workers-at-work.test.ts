/** Worker threads use the library side by side: they talk to each other, end by themselves, and share nothing. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import * as afunix from 'afunix';
import { type Afunix, afunixSpecifier } from '../helpers/lone-process';
import { freshDirectory, freshPath } from '../helpers/socket-paths';
import { closeServer, happens, pattern } from '../helpers/sockets';

interface WorkerContext {
  readonly net: Afunix;
  readonly address: string;
  tell(value: unknown): void;
}

type WorkerBody = (context: WorkerContext) => unknown;

/** Runs `body`, which uses nothing else from this file, in a worker. */
function startWorker(t: TestContext, address: string, body: WorkerBody): Worker {
  const program = `
    const { parentPort, workerData } = require('node:worker_threads');
    const net = require(workerData.specifier);
    const tell = (value) => parentPort.postMessage(value);
    (${body.toString()})({ net, address: workerData.address, tell });
  `;
  const workerData = { specifier: afunixSpecifier, address };
  const worker = new Worker(program, { eval: true, workerData });
  t.after(() => worker.terminate());
  return worker;
}

test('four workers talk with the main thread, both ways at once', async (t) => {
  const directory = freshDirectory(t);
  const bytes = pattern(1 << 20);
  const wanted = createHash('sha256').update(bytes).digest('hex');
  const digest = (socket: Socket): Promise<string> =>
    new Promise((resolve, reject) => {
      const hash = createHash('sha256');
      socket.on('data', (chunk) => hash.update(chunk));
      socket.on('end', () => resolve(hash.digest('hex')));
      socket.on('error', reject);
    });
  const received: Promise<string>[] = [];
  const server = afunix.createServer((peer) => {
    received.push(digest(peer));
    peer.end(bytes);
  });
  t.after(() => server.close());
  server.listen(join(directory, 'main'));
  await happens(server, 'listening');
  const workers = [1, 2, 3, 4].map((number) =>
    startWorker(t, join(directory, String(number)), ({ net, address, tell }) => {
      // eslint-disable-next-line @typescript-eslint/no-require-imports -- programs under test do such things
      const { createHash } = require('node:crypto') as typeof import('node:crypto');
      // eslint-disable-next-line @typescript-eslint/no-require-imports -- programs under test do such things
      const { dirname, join } = require('node:path') as typeof import('node:path');
      const echo = net.createServer((peer) => {
        peer.pipe(peer);
        peer.on('close', () => echo.close());
      });
      echo.listen(address, () => {
        tell('listening');
        const hash = createHash('sha256');
        const client = net.connect(join(dirname(address), 'main'));
        client.on('data', (chunk) => {
          hash.update(chunk);
          client.write(chunk);
        });
        client.on('end', () => tell(hash.digest('hex')));
      });
    }),
  );
  const digests = await Promise.all(
    workers.map(async (worker, index) => {
      await happens(worker, 'message');
      const told = happens(worker, 'message');
      const ended = happens(worker, 'exit');
      const client = afunix.connect(join(directory, String(index + 1)));
      const echoed = digest(client);
      client.end(bytes);
      const [own] = await told;
      assert.deepEqual(await ended, [0], 'it ends by itself');
      return [own, await echoed];
    }),
  );
  assert.deepEqual(new Set(digests.flat()), new Set([wanted]));
  assert.deepEqual(await Promise.all(received), [wanted, wanted, wanted, wanted]);
  await closeServer(server);
  assert.deepEqual(readdirSync(directory), []);
});

test('workers exchange connections with each other while a third is terminated again and again', async (t) => {
  const address = freshPath(t);
  const echo = startWorker(t, address, ({ net, address, tell }) => {
    net.createServer((peer) => peer.pipe(peer)).listen(address, () => tell('listening'));
  });
  await happens(echo, 'message');
  const asker = startWorker(t, address, ({ net, address, tell }) => {
    const client = net.connect(address);
    let received = 0;
    client.on('data', (chunk) => {
      received += chunk.length;
      if (received === 5000) tell(received);
      else client.write('x');
    });
    client.on('close', () => tell('closed too early'));
    client.write('x');
  });
  const told = happens(asker, 'message');
  for (let count = 0; count < 20; count += 1) {
    const short = startWorker(t, address, ({ net, address, tell }) => {
      const client = net.connect(address);
      client.write('x');
      client.on('data', () => tell('answered'));
    });
    await happens(short, 'message');
    assert.equal(await short.terminate(), 1);
  }
  assert.deepEqual(await told, [5000]);
});

test('a worker ends by itself when its sockets are closed, or hold it no longer', async (t) => {
  const closed = startWorker(t, freshPath(t), ({ net, address }) => {
    const server = net.createServer((peer) => peer.resume().on('close', () => server.close()));
    server.listen(address);
    net.connect(address).end('x');
  });
  const unreferenced = startWorker(t, freshPath(t), ({ net, address }) => {
    const server = net.createServer((peer) => {
      peer.unref();
      server.unref();
    });
    server.listen(address);
    net.connect(address).unref();
  });
  const exited = startWorker(t, freshPath(t), ({ net, address }) => {
    net.createServer((peer) => peer.on('data', () => process.exit(5))).listen(address);
    net.connect(address).write('x');
  });
  const workers = [closed, unreferenced, exited];
  const codes = await Promise.all(workers.map((worker) => happens(worker, 'exit')));
  assert.deepEqual(codes, [[0], [0], [5]]);
});

test('what a worker wrote before process.exit() arrives', async (t) => {
  const address = freshPath(t);
  const server = afunix.createServer().listen(address);
  t.after(() => server.close());
  const accepted = happens(server, 'connection');
  const worker = startWorker(t, address, ({ net, address }) => {
    const client = net.connect(address, () => {
      client.write('the last ');
      client.write('words');
      process.exit(0);
    });
  });
  const ended = happens(worker, 'exit');
  const [peer] = (await accepted) as [Socket];
  let text = '';
  peer.on('data', (chunk) => (text += String(chunk))).on('error', () => undefined);
  await happens(peer, 'close');
  assert.deepEqual(await ended, [0]);
  assert.equal(text, 'the last words');
});

for (const [where, body] of Object.entries({
  "'data'": ({ net, address }: WorkerContext) => {
    const server = net.createServer((peer) => {
      peer.on('data', () => {
        throw new Error('from the worker');
      });
    });
    server.listen(address);
    net.connect(address).write('x');
  },
  "a tick after 'data'": ({ net, address }: WorkerContext) => {
    const fail = (): never => {
      throw new Error('from the worker');
    };
    const server = net.createServer((peer) => peer.on('data', () => process.nextTick(fail)));
    server.listen(address);
    net.connect(address).write('x');
  },
})) {
  test(`an exception in ${where} ends a worker, and the main thread goes on`, async (t) => {
    const [one, other] = afunix.socketpair();
    const worker = startWorker(t, freshPath(t), body);
    const errors: Error[] = [];
    worker.on('error', (error) => errors.push(error));
    assert.deepEqual(await happens(worker, 'exit'), [1]);
    assert.deepEqual(
      errors.map(({ message }) => message),
      ['from the worker'],
    );
    const answer = happens(other, 'data');
    one.write('still here');
    assert.equal(String((await answer)[0]), 'still here');
    one.destroy();
    other.destroy();
  });
}

test('counters and settings are of one thread only', async (t) => {
  const [one, other] = afunix.socketpair();
  const arrived = happens(other, 'data');
  one.write('x');
  await arrived;
  const { bytesRead, bytesWritten } = afunix.stats();
  assert.ok(bytesRead >= 1 && bytesWritten >= 1);
  const worker = startWorker(t, freshPath(t), ({ net, tell }) => {
    const before = net.stats();
    net.configure({ busyPoll: 1000, engine: 'epoll' });
    const [one, other] = net.socketpair();
    other.on('data', () => {
      one.destroy();
      other.destroy();
      tell([before, net.stats()]);
    });
    one.write('four');
  });
  const [[before, after]] = (await happens(worker, 'message')) as [[afunix.Stats, afunix.Stats]];
  assert.deepEqual([before.bytesRead, before.bytesWritten, before.wakeups], [0, 0, 0]);
  assert.deepEqual([after.bytesRead, after.bytesWritten], [4, 4]);
  // Only the engine's counters of this thread matter to it: this one did nothing meanwhile.
  assert.deepEqual(
    [afunix.stats().bytesRead, afunix.stats().bytesWritten],
    [bytesRead, bytesWritten],
  );
  one.destroy();
  other.destroy();
});
