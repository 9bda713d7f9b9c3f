/** What makes no sense is refused with an error that names the value and the limit, and the connection lives. */
import assert from 'node:assert/strict';
import nodeNet from 'node:net';
import { test } from 'node:test';
import net from 'afunix';
import { freshPath } from '../helpers/socket-paths';
import { connected, discard, happens, listening, pairOf, seqpacket, type Told } from './support';
import { listen, texts, until } from './support';

interface Coded {
  code?: string;
  size?: number;
  limit?: number;
  index?: number;
  hint?: string;
  errno?: number;
  syscall?: string;
  message: string;
}

function thrownBy(act: () => unknown): Coded {
  try {
    act();
  } catch (error) {
    return error as Coded;
  }
  assert.fail('it threw nothing');
}

test('a message that is too long gives EMSGSIZE, and the connection lives', async (t) => {
  const [a, b] = pairOf(t);
  const told: Told = listen(b);
  const error = thrownBy(() => a.send(Buffer.alloc(212_961)));
  assert.equal(error.code, 'EMSGSIZE');
  assert.equal(error.errno, -90);
  assert.equal(error.syscall, 'send');
  assert.deepEqual([error.size, error.limit], [212_961, 212_960]);
  assert.match(error.message, /212961 bytes.*limit of 212960 bytes/);
  const [called] = await new Promise<[Coded | null]>((resolve) => {
    a.send(Buffer.alloc(1_000_000), (failure) => resolve([failure]));
  });
  assert.equal(called?.code, 'EMSGSIZE');
  assert.equal(called?.size, 1_000_000);
  a.send('still here');
  await until(() => texts(told).includes('still here'));
  assert.deepEqual(told.events, ['message']);
});

test('a message without bytes is refused, and the connection lives', async (t) => {
  const [a, b] = pairOf(t);
  const told = listen(b);
  for (const empty of ['', Buffer.alloc(0), new Uint32Array(0)]) {
    const error = thrownBy(() => a.send(empty));
    assert.equal(error.code, 'ERR_AFUNIX_EMPTY_MESSAGE');
    assert.match(error.message, /at least 1/);
  }
  const called = await new Promise<Coded | null>((resolve) => {
    a.send('', (failure) => resolve(failure));
  });
  assert.equal(called?.code, 'ERR_AFUNIX_EMPTY_MESSAGE');
  a.end('x');
  await happens(b, 'end');
  assert.deepEqual(texts(told), ['x']);
});

test('memory that was taken away is told apart', (t) => {
  const [a] = pairOf(t);
  const bytes = new Uint8Array(8);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  assert.match(thrownBy(() => a.send(bytes)).message, /detached/);
});

test('of a batch with one bad message none is sent', async (t) => {
  const [a, b] = pairOf(t);
  const told = listen(b);
  const long = thrownBy(() => a.sendBatch(['a', Buffer.alloc(300_000), 'c']));
  assert.deepEqual([long.code, long.index, long.size], ['EMSGSIZE', 1, 300_000]);
  const empty = thrownBy(() => a.sendBatch(['a', 'b', '']));
  assert.deepEqual([empty.code, empty.index], ['ERR_AFUNIX_EMPTY_MESSAGE', 2]);
  assert.match(empty.message, /messages\[2\]/);
  const wrong = thrownBy(() => a.sendBatch(['a', 5 as unknown as string]));
  assert.equal(wrong.code, 'ERR_INVALID_ARG_TYPE');
  assert.match(wrong.message, /messages\[1\].*type number \(5\)/);
  a.end('after');
  await happens(b, 'end');
  assert.deepEqual(texts(told), ['after']);
});

test('what is no message is refused by its type', (t) => {
  const [a] = pairOf(t);
  for (const wrong of [undefined, null, 7, {}, [], new ArrayBuffer(3), () => 1, Symbol('x'), 1n]) {
    const error = thrownBy(() => a.send(wrong as string));
    assert.equal(error.code, 'ERR_INVALID_ARG_TYPE');
  }
  assert.equal(
    thrownBy(() => a.send('x', 5 as unknown as () => void)).code,
    'ERR_INVALID_ARG_TYPE',
  );
  assert.throws(() => a.sendBatch(5 as unknown as string[]), TypeError);
});

test('options out of range are named with their limits', () => {
  const cases: [object, RegExp][] = [
    [{ maxMessageSize: 0 }, /maxMessageSize.*from 1 to 4194240\. Received 0/],
    [{ maxMessageSize: 4_194_241 }, /maxMessageSize.*from 1 to 4194240\. Received 4194241/],
    [{ maxMessageSize: 1.5 }, /maxMessageSize.*Received 1\.5/],
    [{ maxMessageSize: '1' }, /maxMessageSize.*number\. Received '1'/],
    [{ batchSize: 0 }, /batchSize.*from 1 to 1024/],
    [{ batchSize: 1025 }, /batchSize.*from 1 to 1024/],
    [{ sendBufferSize: 0 }, /sendBufferSize/],
    [{ recvBufferSize: -1 }, /recvBufferSize/],
    [{ highWaterMark: -1 }, /highWaterMark/],
    [{ busyPoll: -1 }, /busyPoll/],
  ];
  for (const [options, expected] of cases) {
    assert.match(thrownBy(() => new seqpacket.Socket(options)).message, expected);
    assert.match(thrownBy(() => seqpacket.createServer(options)).message, expected);
    assert.match(thrownBy(() => seqpacket.socketpair(options)).message, expected);
  }
});

test('a stream socket and a message socket do not connect to each other', async (t) => {
  const { path } = await listening(t);
  for (const connect of [net.connect, nodeNet.connect]) {
    const stream = connect(path);
    const [error] = (await happens(stream, 'error')) as [Coded];
    assert.equal(error.code, 'EPROTOTYPE');
  }
  const streamPath = freshPath(t);
  const server = net.createServer().listen(streamPath);
  t.after(() => new Promise((resolve) => server.close(resolve)));
  await happens(server, 'listening');
  const client = seqpacket.connect(streamPath);
  const [error] = (await happens(client, 'error')) as [Coded];
  assert.equal(error.code, 'EPROTOTYPE');
  assert.match(error.hint ?? '', /another type than SOCK_SEQPACKET/);
  assert.equal(error.message, `connect EPROTOTYPE ${streamPath}`);
});

test('connecting to what is not there fails as with net', async (t) => {
  const path = freshPath(t);
  const client = seqpacket.connect(path);
  let called: Coded | null | undefined;
  client.send('lost', (failure) => (called = failure as Coded));
  const [error] = (await happens(client, 'error')) as [Coded & { address?: string }];
  assert.deepEqual(
    [error.code, error.syscall, error.address, error.message],
    ['ENOENT', 'connect', path, `connect ENOENT ${path}`],
  );
  assert.deepEqual(await happens(client, 'close'), [true]);
  assert.equal(called?.code, 'ENOENT');
  const long = seqpacket.connect(`/tmp/${'x'.repeat(200)}`);
  const [tooLong] = (await happens(long, 'error')) as [Coded];
  assert.match(tooLong.hint ?? '', /205 bytes long and the limit is 107/);
});

test('ports, hosts and empty paths are refused', () => {
  for (const target of [{ port: 80 }, '', {}, 80, undefined, null]) {
    assert.equal(
      thrownBy(() => seqpacket.connect(target as unknown as string)).code,
      'ERR_INVALID_ARG_TYPE',
    );
  }
  for (const target of [{ port: 80 }, 80, {}, undefined]) {
    const error = thrownBy(() => seqpacket.createServer().listen(target as unknown as string));
    assert.equal(error.code, 'ERR_INVALID_ARG_VALUE');
    assert.match(error.message, /SOCK_SEQPACKET/);
  }
});

test('descriptors that are no message sockets are refused', async (t) => {
  await listening(t);
  for (const fd of [-1, 1.5, 999, 0, 1_000_000]) {
    assert.equal(thrownBy(() => new seqpacket.Socket({ fd })).code, 'ERR_INVALID_FD_TYPE');
  }
  assert.equal(
    thrownBy(() => seqpacket.createServer().listen({ fd: 999 })).code,
    'ERR_INVALID_FD_TYPE',
  );
});

test('a server at a path that is taken says so', async (t) => {
  const { path, server } = await listening(t);
  const second = seqpacket.createServer();
  second.listen(path);
  const [error] = (await happens(second, 'error')) as [Coded];
  assert.equal(error.code, 'EADDRINUSE');
  assert.equal(server.address(), path);
  assert.equal(thrownBy(() => server.listen(path)).code, 'ERR_SERVER_ALREADY_LISTEN');
});

test('two readers at a time are refused', async (t) => {
  const { client, peer } = await connected(t);
  discard(t, client, peer);
  const batches = peer.batches();
  assert.equal(thrownBy(() => peer.batches()).code, 'ERR_AFUNIX_READING');
  assert.equal(
    thrownBy(() => peer.receiveInto(new SharedArrayBuffer(1 << 20))).code,
    'ERR_AFUNIX_READING',
  );
  await batches.return?.();
  assert.ok(peer.batches());
  assert.equal(
    thrownBy(() => client.batches({ memory: 'mine' as 'owned' })).code,
    'ERR_INVALID_ARG_VALUE',
  );
  assert.equal(
    thrownBy(() => client.receiveInto(new ArrayBuffer(9) as unknown as SharedArrayBuffer)).code,
    'ERR_INVALID_ARG_TYPE',
  );
  assert.match(
    thrownBy(() => client.receiveInto(new SharedArrayBuffer(1000))).message,
    /has 1000 bytes and needs at least \d+/,
  );
});
