/** Several servers on one listener: one of them closes, and whoever has connected is served by it or by another. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import http from 'node:http';
import type { Server, Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import net from 'afunix';
import { serve } from 'afunix/http';
import { type Descriptor, RawSocket } from 'afunix/raw';
import seqpacket from 'afunix/seqpacket';
import { freshPath } from '../helpers/socket-paths';

/** A listener that nobody accepts from, as a primary has it. */
function listenerAt(
  t: TestContext,
  path: string,
  type: 'stream' | 'seqpacket' = 'stream',
): RawSocket {
  const listener = RawSocket.socket(type);
  t.after(() => listener.close());
  listener.bind(path);
  listener.listen(4096);
  return listener;
}

/** A descriptor of its own for the same listener. */
function copyOf(listener: RawSocket): { fd: number } {
  const [one, other] = RawSocket.socketpair('stream');
  one.sendmsg(Buffer.from('x'), { descriptors: [listener] });
  const received = other.recvmsg(Buffer.alloc(1), { descriptors: 1 });
  one.close();
  other.close();
  const [descriptor] = received?.descriptors ?? [];
  assert.ok(descriptor !== undefined);
  return { fd: descriptor.take() };
}

/** Everything that the server says to one connection. */
async function answerOf(path: string): Promise<string> {
  let text = '';
  for await (const piece of net.connect(path).setEncoding('utf8')) text += String(piece);
  return text;
}

function answers(name: string, onConnection?: (server: Server) => void): Server {
  const server = net.createServer((socket: Socket) => {
    onConnection?.(server);
    socket.end(name);
  });
  return server;
}

test('closed by the handler of the first of many: those that were accepted with it are served', async (t) => {
  const path = freshPath(t);
  const listener = listenerAt(t, path);
  const first = answers('first', (server) => {
    if (server.listening) server.close();
  });
  first.listen(copyOf(listener));
  await once(first, 'listening');
  const clients = Array.from({ length: 200 }, () => answerOf(path));
  await once(first, 'close');
  assert.equal(first.listening, false);
  const second = answers('second').listen(copyOf(listener));
  t.after(() => second.close());
  const got = await Promise.all(clients);
  assert.ok(got.includes('first'));
  assert.ok(
    got.every((text) => text === 'first' || text === 'second'),
    got.join(),
  );
  assert.equal(await answerOf(path), 'second');
});

test('thirty times handed on while clients connect without a pause: nobody is lost or refused', async (t) => {
  const path = freshPath(t);
  const listener = listenerAt(t, path);
  let current = answers('0').listen(copyOf(listener));
  await once(current, 'listening');
  let running = true;
  let served = 0;
  const client = async (): Promise<void> => {
    while (running) {
      assert.match(await answerOf(path), /^\d+$/);
      served += 1;
    }
  };
  const clients = Array.from({ length: 20 }, client);
  for (let round = 1; round <= 30; round += 1) {
    const next = answers(String(round)).listen(copyOf(listener));
    await once(next, 'listening');
    const closed = once(current, 'close');
    current.close();
    await closed;
    current = next;
    const goal = served + 20;
    while (served < goal) await new Promise((resolve) => setImmediate(resolve));
  }
  running = false;
  await Promise.all(clients);
  current.close();
  assert.ok(existsSync(path));
});

test("an http.Server behind serve(): 'close' comes when all that were accepted have been served", async (t) => {
  const path = freshPath(t);
  const listener = listenerAt(t, path);
  let requests = 0;
  const first = http.createServer((_request, response) => {
    requests += 1;
    response.end('x');
    if (first.listening) first.close();
  });
  serve(first, copyOf(listener));
  await once(first, 'listening');
  let closedAfter = -1;
  first.on('close', () => (closedAfter = requests));
  const get = (): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const request = http.get({ socketPath: path, agent: false }, (response) => {
        response.resume().on('end', () => resolve(response.statusCode));
      });
      request.on('error', reject);
    });
  const clients = Array.from({ length: 100 }, get);
  await once(first, 'close');
  const second = http.createServer((_request, response) => response.end('y'));
  serve(second, copyOf(listener));
  t.after(() => second.close());
  const statuses = await Promise.all(clients);
  assert.deepEqual(new Set(statuses), new Set([200]));
  assert.equal(closedAfter, requests);
});

test('messages: the same', async (t) => {
  const path = freshPath(t);
  const listener = listenerAt(t, path, 'seqpacket');
  const make = (name: string, closes: boolean): ReturnType<typeof seqpacket.createServer> => {
    const server = seqpacket.createServer((socket) => {
      if (closes && server.listening) server.close();
      socket.resume();
      socket.send(name);
      socket.end();
    });
    return server.listen(copyOf(listener));
  };
  const first = make('first', true);
  await once(first, 'listening');
  const clients = Array.from({ length: 100 }, async () => {
    const socket = seqpacket.connect(path);
    const [message] = (await once(socket, 'message')) as [Buffer];
    socket.destroy();
    return message.toString();
  });
  await once(first, 'close');
  const second = make('second', false);
  t.after(() => second.close());
  assert.ok((await Promise.all(clients)).every((text) => text === 'first' || text === 'second'));
});

test('handed to a successor over a socket: it goes on where the other one stops', async (t) => {
  const path = freshPath(t);
  const listener = listenerAt(t, path);
  const first = answers('first').listen(copyOf(listener));
  await once(first, 'listening');
  assert.equal(await answerOf(path), 'first');
  const [old, successor] = net.socketpair({ maxDescriptors: 1 });
  const received = once(successor, 'descriptors');
  old.sendDescriptors([listener], 'listener');
  successor.resume();
  const [[descriptor]] = (await received) as [[Descriptor]];
  const second = descriptor.toServer({}, (socket) => socket.end('second'));
  await once(second, 'listening');
  first.close();
  await once(first, 'close');
  assert.equal(await answerOf(path), 'second');
  second.close();
  old.destroy();
  successor.destroy();
});

const THREAD = `
  const { parentPort, workerData } = require('node:worker_threads');
  const net = require(workerData.afunix);
  const server = net.receive(workerData.transferred, {}, (socket) => socket.end('thread'));
  parentPort.once('message', () => server.close(() => parentPort.close()));
  parentPort.postMessage('listening');
`;

test('threads that share a listener come and go while clients connect', async (t) => {
  const path = freshPath(t);
  const server = answers('main').listen(path);
  await once(server, 'listening');
  let running = true;
  let served = 0;
  const client = async (): Promise<void> => {
    while (running) {
      assert.match(await answerOf(path), /^(?:main|thread)$/);
      served += 1;
    }
  };
  const clients = Array.from({ length: 10 }, client);
  for (let round = 0; round < 5; round += 1) {
    const workerData = { afunix: require.resolve('afunix'), transferred: net.transfer(server) };
    const worker = new Worker(THREAD, { eval: true, workerData });
    await once(worker, 'message');
    const goal = served + 50;
    while (served < goal) await new Promise((resolve) => setImmediate(resolve));
    worker.postMessage('finish');
    await once(worker, 'exit');
  }
  running = false;
  await Promise.all(clients);
  server.close();
});

test('while one of two threads is busy, the other serves everybody', async (t) => {
  const path = freshPath(t);
  const server = answers('main').listen(path);
  await once(server, 'listening');
  const served = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(
    `const net = require('afunix');
    const { parentPort, workerData } = require('node:worker_threads');
    const { transferred, path, served, clients } = workerData;
    const server = net.receive(transferred, {}, (socket) => {
      socket.resume().end();
      if (Atomics.add(served, 0, 1) + 1 === clients) Atomics.notify(served, 0);
    });
    parentPort.postMessage('listening');
    parentPort.once('message', () => {
      // One after the other: each finds the other thread, and this one, waiting.
      const next = (left) => {
        if (left === 0) return server.close(), parentPort.close();
        net.connect(path).resume().on('close', () => next(left - 1));
      };
      next(clients);
    });`,
    { eval: true, workerData: { transferred: net.transfer(server), path, served, clients: 20 } },
  );
  t.after(() => worker.terminate());
  await once(worker, 'message');
  worker.postMessage('go');
  // This thread does nothing else until then.
  const deadline = Date.now() + 20_000;
  for (let count = 0; count < 20 && Date.now() < deadline; count = Atomics.load(served, 0)) {
    Atomics.wait(served, 0, count, 1_000);
  }
  assert.equal(served[0], 20);
  await once(worker, 'exit');
  server.close();
  await once(server, 'close');
});
