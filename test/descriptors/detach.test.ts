/** Connections that are given away: detach(), Socket.from(), toNetSocket(), transfer() and receive(). */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import nodeNet from 'node:net';
import { test, type TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import net, { type Socket } from 'afunix';
import { Descriptor, RawSocket } from 'afunix/raw';
import { attempt } from '../helpers/attempt';
import { collectGarbage } from '../helpers/collect-garbage';
import { leavesNothingOpen } from '../helpers/descriptors';
import { freshPath } from '../helpers/socket-paths';
import { pattern } from '../helpers/sockets';

function pair(t: TestContext): [Socket, Socket] {
  const sockets = net.socketpair();
  t.after(() => sockets.forEach((socket) => socket.on('error', () => undefined).destroy()));
  return sockets;
}

async function collect(socket: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test('a detached connection goes on in another socket, and the peer notices nothing', async (t) => {
  const [one, other] = pair(t);
  one.write('before ');
  await once(other, 'data');
  const detached = other.detach();
  assert.equal(other.destroyed, true);
  const moved = net.Socket.from(detached);
  one.end('behind');
  moved.end('answer');
  assert.equal((await collect(moved as AsyncIterable<Buffer>)).toString(), 'behind');
  assert.equal((await collect(one as AsyncIterable<Buffer>)).toString(), 'answer');
});

for (const size of [1, 1000, 8192, 20_000, 150_000]) {
  for (const state of ['paused', 'flowing', 'never read', 'stopped at the mark'] as const) {
    test(`no byte is lost: ${size} under way, ${state}`, async (t) => {
      const [one, other] = pair(t);
      const content = pattern(size);
      const before: Buffer[] = [];
      if (state === 'paused') other.pause();
      if (state === 'flowing') other.on('data', (chunk: Buffer) => before.push(chunk));
      if (state === 'stopped at the mark') {
        other.pause();
        other.read(0);
      }
      one.write(content.subarray(0, size >> 1));
      if (state !== 'never read') await new Promise((resolve) => setImmediate(resolve));
      one.write(content.subarray(size >> 1));
      await new Promise((resolve) => setImmediate(resolve));
      const moved = net.Socket.from(other.detach());
      one.end();
      const rest = await collect(moved as AsyncIterable<Buffer>);
      assert.ok(Buffer.concat([...before, rest]).equals(content));
    });
  }
}

test('detached by the handler of its first bytes: what arrived with them is in the head, not lost', async (t) => {
  const [one, other] = pair(t);
  const content = pattern(60_000);
  const got: Buffer[] = [];
  let moved: Socket | undefined;
  other.once('data', (chunk: Buffer) => {
    got.push(chunk);
    moved = net.Socket.from(other.detach());
    one.end();
  });
  one.write(content);
  while (moved === undefined) await new Promise((resolve) => setImmediate(resolve));
  got.push(await collect(moved as AsyncIterable<Buffer>));
  assert.ok(Buffer.concat(got).equals(content));
});

test('many detached at once, with data under way in all of them', async (t) => {
  const pairs = Array.from({ length: 200 }, () => pair(t));
  const content = pattern(3000);
  for (const [one, other] of pairs) {
    other.pause();
    one.write(content);
  }
  await new Promise((resolve) => setImmediate(resolve));
  const moved = pairs.map(([, other]) => net.Socket.from(other.detach()));
  for (const [one] of pairs) one.end();
  for (const socket of moved) {
    assert.ok((await collect(socket as AsyncIterable<Buffer>)).equals(content));
  }
});

test('what was decoded already is part of the head', async (t) => {
  const [one, other] = pair(t);
  other.setEncoding('latin1').pause();
  one.write(Buffer.from([0xe9, 0xff]));
  while (other.readableLength === 0) await new Promise((resolve) => setImmediate(resolve));
  const { descriptor, head } = other.detach();
  descriptor.close();
  assert.deepEqual(head, Buffer.from([0xe9, 0xff]));
});

test('a socket without a connection cannot be detached', (t) => {
  const [one] = pair(t);
  one.destroy();
  for (const socket of [new net.Socket(), one]) {
    const error = attempt(() => socket.detach()) as NodeJS.ErrnoException;
    assert.equal(error.code, 'ERR_SOCKET_CLOSED');
  }
});

test('nor one that is connecting, and it goes on connecting', async (t) => {
  const address = freshPath(t);
  const server = net.createServer().listen(address);
  const client = net.connect(address);
  const error = attempt(() => client.detach()) as NodeJS.ErrnoException;
  assert.equal(error.code, 'ERR_SOCKET_CLOSED');
  await once(client, 'connect');
  client.destroy();
  server.close();
});

test('nor one that has something to write: it is told, and nothing is lost', async (t) => {
  const [one, other] = pair(t);
  const content = pattern(3_000_000);
  other.pause();
  one.write(content);
  const error = attempt(() => one.detach()) as NodeJS.ErrnoException;
  assert.equal(error.code, 'ERR_AFUNIX_PENDING_WRITES');
  assert.match(error.message, /bytes have not been taken/);
  one.end();
  assert.ok((await collect(other as AsyncIterable<Buffer>)).equals(content));
  const late = attempt(() => one.detach()) as NodeJS.ErrnoException;
  assert.ok(late.code === 'ERR_AFUNIX_PENDING_WRITES' || late.code === 'ERR_SOCKET_CLOSED');
});

test('Socket.from() takes a number, a Descriptor, and nothing that is no connected stream', async (t) => {
  const [one, other] = pair(t);
  const { descriptor } = other.detach();
  const moved = net.Socket.from(descriptor.take());
  assert.equal(descriptor.closed, true);
  one.end('x');
  assert.equal((await collect(moved as AsyncIterable<Buffer>)).toString(), 'x');
  const file = new Descriptor(fs.openSync(__filename, 'r'));
  const error = attempt(() => net.Socket.from(file)) as NodeJS.ErrnoException;
  assert.match(error.code ?? '', /^(ENOTSOCK|EPROTOTYPE)$/);
  assert.equal(file.closed, false);
  file.close();
});

test('a number that Socket.from() refuses stays open, and its owner closes it', async () => {
  const fd = fs.openSync(__filename, 'r');
  const error = attempt(() => net.Socket.from(fd)) as NodeJS.ErrnoException;
  assert.match(error.code ?? '', /^(ENOTSOCK|EPROTOTYPE)$/);
  for (let round = 0; round < 3; round += 1) {
    collectGarbage();
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(fs.fstatSync(fd).isFile());
  fs.closeSync(fd);
});

test('toNetSocket() goes on as a socket of node:net', async (t) => {
  const [one, other] = pair(t);
  other.pause();
  one.write('head ');
  await new Promise((resolve) => setTimeout(resolve, 20));
  const moved = other.toNetSocket();
  assert.ok(moved instanceof nodeNet.Socket);
  one.end('rest');
  assert.equal((await collect(moved as AsyncIterable<Buffer>)).toString(), 'head rest');
});

test('detaching leaves no descriptor open but the one', async (t) => {
  await leavesNothingOpen(async () => {
    const [one, other] = pair(t);
    one.write('x');
    const { descriptor } = other.detach();
    const closed = once(other, 'close');
    descriptor.close();
    one.on('error', () => undefined).resume();
    one.destroy();
    await closed;
  }, 50);
});

const echo = `
  const { parentPort, workerData } = require('node:worker_threads');
  const net = require(workerData.afunix);
  const serve = (socket) => socket.on('data', (chunk) => socket.write(chunk)).on('error', () => undefined);
  parentPort.on('message', (transferred) => {
    if (transferred === 'end') return parentPort.close();
    if (transferred.transferred === 'server') net.receive(transferred, {}, serve).unref();
    else serve(net.receive(transferred)).unref();
    parentPort.postMessage('received');
  });
`;

function startWorker(t: TestContext): Worker {
  const worker = new Worker(echo, {
    eval: true,
    workerData: { afunix: require.resolve('afunix') },
  });
  t.after(() => worker.terminate());
  return worker;
}

test('a live connection moves to a worker thread, with what was not read', async (t) => {
  const worker = startWorker(t);
  const [one, other] = pair(t);
  other.pause();
  one.write('head ');
  await new Promise((resolve) => setTimeout(resolve, 20));
  worker.postMessage(net.transfer(other));
  await once(worker, 'message');
  let text = '';
  one.setEncoding('utf8').on('data', (part: string) => (text += part));
  one.write('rest');
  while (text.length < 9) await once(one, 'data');
  assert.equal(text, 'head rest');
});

test('a listener is shared with worker threads: each connection is served once', async (t) => {
  const address = freshPath(t);
  let here = 0;
  const server = net.createServer((socket) => {
    here += 1;
    socket.on('data', (chunk: Buffer) => socket.write(chunk)).on('error', () => undefined);
  });
  server.listen(address);
  const workers = [startWorker(t), startWorker(t)];
  for (const worker of workers) {
    worker.postMessage(net.transfer(server));
    await once(worker, 'message');
  }
  const clients = Array.from({ length: 60 }, () => net.connect(address));
  for (const client of clients) client.write('x');
  await Promise.all(clients.map((client) => once(client, 'data')));
  assert.ok(here <= clients.length);
  // The main thread has had enough: the workers go on.
  const closed = once(server, 'close');
  server.close();
  for (const client of clients) client.destroy();
  await closed;
});

test('a listener that is received, or cast from a descriptor, knows its address; of a number net knows none', async (t) => {
  const address = freshPath(t);
  const server = net.createServer().listen(address);
  const { ...fields } = net.transfer(server);
  const received = net.receive(structuredClone(fields));
  await once(received, 'listening');
  assert.equal(received.address(), address);
  const listener = RawSocket.socket('stream');
  const name = `\0afunix-address-${process.pid}`;
  listener.bind(name, { abstractLength: 'exact' });
  listener.listen();
  const cast = listener.detach().toServer();
  assert.equal(cast.address(), name);
  const unnamed = [net, nodeNet].map((each) => each.createServer());
  for (const one of unnamed) {
    const copy = RawSocket.socket('stream');
    copy.bind(`${name}${unnamed.indexOf(one)}`);
    const fd = copy.detach().take();
    one.listen({ fd });
    await once(one, 'listening');
    assert.equal(one.address(), null);
  }
  for (const one of [server, received, cast, ...unnamed]) one.close();
});

test('a transferred listener goes on after the first one is closed', async (t) => {
  const address = `\0afunix-transfer-${process.pid}`;
  const server = net.createServer().listen(address);
  const worker = startWorker(t);
  worker.postMessage(net.transfer(server));
  await once(worker, 'message');
  server.close();
  await once(server, 'close');
  const client = net.connect(address);
  client.write('x');
  await once(client, 'data');
  client.destroy();
});

test('transfer() of what is not open, or no socket of ours, says so', (t) => {
  const [one] = pair(t);
  one.destroy();
  for (const [given, code] of [
    [one, 'ERR_SOCKET_CLOSED'],
    [net.createServer(), 'ERR_SERVER_NOT_RUNNING'],
    [new nodeNet.Socket(), 'ERR_INVALID_ARG_TYPE'],
    [null, 'ERR_INVALID_ARG_TYPE'],
  ] as const) {
    const error = attempt(() => net.transfer(given as Socket)) as NodeJS.ErrnoException;
    assert.equal(error.code, code);
  }
});
