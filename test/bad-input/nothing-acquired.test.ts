/** What is refused has opened nothing, has taken nothing away, and has changed nothing. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import { test } from 'node:test';
import { createServer, connect, receive, Server, Socket, socketpair, transfer } from 'afunix';
import { serve } from 'afunix/http';
import { RawSocket } from 'afunix/raw';
import seqpacket from 'afunix/seqpacket';
import { attempt } from '../helpers/attempt';
import { grown, leavesNothingOpen, takeCensus } from '../helpers/descriptors';
import { happens } from '../helpers/sockets';

const cannotBeRead = (): never => {
  throw new RangeError('cannot be read');
};

/** Options that some constructor or method refuses. */
const refused: readonly Readonly<Record<string, unknown>>[] = [
  { highWaterMark: -1 },
  { highWaterMark: 'x' },
  { readableHighWaterMark: -1 },
  { writableHighWaterMark: NaN },
  { busyPoll: -1 },
  { busyPoll: 'x' },
  { maxDescriptors: 254 },
  { maxDescriptors: 'x' },
  { maxOpenDescriptors: -1 },
  { signal: 'x' },
  { signal: {} },
  { authorize: 5 },
  { maxMessageSize: 0 },
  { batchSize: 'x' },
  { onread: { buffer: cannotBeRead, callback: () => true } },
];

/** Makes them all refuse what they can; what somebody takes is closed. */
function tryAll(take: (options: never) => unknown): number {
  let thrown = 0;
  for (const options of refused) {
    let result: unknown;
    const error = attempt(() => (result = take(options as never)));
    if (error instanceof Error) thrown += 1;
    for (const made of result === undefined ? [] : [result].flat()) {
      const socket = made as { destroy?(): void; close?(): void; on?(...args: unknown[]): void };
      socket.on?.('error', () => undefined);
      if (socket.destroy === undefined) socket.close?.();
      else socket.destroy();
    }
  }
  return thrown;
}

const makers: Readonly<Record<string, (options: never) => unknown>> = {
  'socketpair()': (options) => socketpair(options),
  'seqpacket.socketpair()': (options) => seqpacket.socketpair(options),
  'createServer().listen()': (options: object) =>
    createServer().listen({ ...options, path: '\0afunix-test-nothing-acquired' }),
  'serve()': (options: object) =>
    serve(net.createServer(), { ...options, path: '\0afunix-test-nothing-acquired' }),
};

for (const [name, make] of Object.entries(makers)) {
  test(`${name} that throws has opened nothing`, async () => {
    await leavesNothingOpen(async () => {
      const thrown = tryAll(make);
      assert.ok(thrown > 0, 'nothing was refused');
      await new Promise((resolve) => setImmediate(resolve));
    });
  });
}

const takers: Readonly<
  Record<string, { type: 'stream' | 'seqpacket'; take: (fd: number, options: object) => unknown }>
> = {
  'new Socket({ fd })': { type: 'stream', take: (fd, options) => new Socket({ ...options, fd }) },
  'Socket.from()': { type: 'stream', take: (fd, options) => Socket.from(fd, options) },
  'new seqpacket.Socket({ fd })': {
    type: 'seqpacket',
    take: (fd, options) => new seqpacket.Socket({ ...options, fd }),
  },
  'seqpacket.Socket.from()': {
    type: 'seqpacket',
    take: (fd, options) => seqpacket.Socket.from(fd, options),
  },
};

for (const [name, { type, take }] of Object.entries(takers)) {
  test(`${name} that throws leaves the descriptor to its owner`, () => {
    for (const options of refused) {
      const [mine, other] = RawSocket.socketpair(type);
      const fd = mine.detach().take();
      let socket: { destroy(): unknown } | undefined;
      const error = attempt(() => (socket = take(fd, options) as never));
      if (error instanceof Error) {
        // It is still the same connection.
        const again = RawSocket.fromFd(fd);
        assert.equal(again.send(Buffer.from('x')), 1);
        assert.equal(other.recv(Buffer.alloc(1)), 1);
        again.close();
      } else {
        socket?.destroy();
      }
      other.close();
    }
  });
}

test('receive() that throws can be tried again', async () => {
  for (const options of refused) {
    const [mine, other] = socketpair();
    const transferred = transfer(mine);
    let received: Socket | undefined;
    const error = attempt(() => (received = receive(transferred, options)));
    received ??= receive(transferred);
    assert.ok(error instanceof Error || error === 'nothing thrown');
    received.on('error', () => undefined);
    received.destroy();
    other.destroy();
    await happens(other, 'close');
  }
});

test('toNetSocket() that throws leaves the connection to its socket', async () => {
  for (const options of refused) {
    // This one `net` asks when it has the descriptor.
    if ('onread' in options) continue;
    const [mine, other] = socketpair();
    let theirs: net.Socket | undefined;
    const error = attempt(() => (theirs = mine.toNetSocket(options)));
    const end = theirs ?? mine;
    if (error instanceof Error) assert.equal(mine.destroyed, false);
    end.on('error', () => undefined);
    end.write('still there');
    assert.equal(String((await happens(other, 'data'))[0]), 'still there');
    end.destroy();
    other.destroy();
  }
});

test('connect() that throws leaves the socket as it was', async () => {
  const path = `\0afunix-test-${process.pid}-connecting`;
  const server = createServer((peer) => peer.end('hello'));
  server.listen(path);
  await happens(server, 'listening');
  const socket = new Socket();
  const called: string[] = [];
  socket.on('connectionAttempt', () => called.push('attempt'));
  for (const options of [
    { connectTimeout: -1 },
    { connectTimeout: 'x' },
    { connectTimeout: null as never, authorize: 5 },
    { authorize: 'x' },
  ]) {
    const error = attempt(() =>
      socket.connect({ path, ...options } as never, () => called.push('x')),
    );
    assert.ok(error instanceof Error);
    assert.equal(socket.connecting, false);
    assert.equal(socket.pending, true);
    assert.equal(socket.listenerCount('connect'), 0);
  }
  assert.deepEqual(called, []);
  socket.connect(path);
  assert.equal(String((await happens(socket, 'data'))[0]), 'hello');
  socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

test('connect() of a message socket that throws leaves it as it was', () => {
  const socket = new seqpacket.Socket();
  for (const options of [
    { connectTimeout: -1 },
    { timeout: -1 },
    { timeout: 'x' },
    { authorize: 5 },
  ]) {
    const path = '\0afunix-test-nobody';
    const error = attempt(() => socket.connect({ path, ...options } as never, () => undefined));
    assert.ok(error instanceof Error);
    assert.equal(socket.connecting, false);
    assert.equal(socket.listenerCount('connect'), 0);
    assert.equal(socket.destroyed, false);
  }
});

test('a connection that no socket can be made of is closed', async () => {
  const path = `\0afunix-test-${process.pid}-no-socket`;
  const server = new Server();
  server.listen(path);
  await happens(server, 'listening');
  const before = takeCensus();
  (server as unknown as { highWaterMark: number }).highWaterMark = -1;
  const uncaught: Error[] = [];
  // The exception belongs to nobody, as with `net`.
  const heard = (error: Error): void => void uncaught.push(error);
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException').on('uncaughtException', heard);
  try {
    const client = connect(path);
    client.resume();
    client.on('error', () => undefined);
    await happens(client, 'close');
  } finally {
    process.removeListener('uncaughtException', heard);
    for (const other of others) process.on('uncaughtException', other);
  }
  assert.equal((uncaught[0] as NodeJS.ErrnoException).code, 'ERR_INVALID_ARG_VALUE');
  assert.deepEqual(grown(before, takeCensus()), {});
  await new Promise((resolve) => server.close(resolve));
});

test('a cast that throws leaves the descriptor', () => {
  const [mine, other] = RawSocket.socketpair('stream');
  const descriptor = mine.detach();
  for (const options of refused) {
    const error = attempt(() => descriptor.toServer(options));
    assert.ok(error instanceof Error);
    assert.equal(descriptor.closed, false);
  }
  assert.ok(fs.fstatSync(descriptor.fd).isSocket());
  descriptor.close();
  other.close();
});
