/** Connecting to servers that have no room, or that go: a message sent meanwhile belongs to the connection or fails with it. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { RawSocket } from 'afunix/raw';
import type { SocketConnectOptions } from 'afunix/seqpacket';
import { freshPath } from '../helpers/socket-paths';
import { discard, happens, listen, seqpacket, texts, until } from './support';

/** A listener that accepts when it is told to, with as many waiting as the kernel lets it. */
function fullListener(t: TestContext, path: string): { listener: RawSocket; waiting: number } {
  const listener = RawSocket.socket('seqpacket');
  listener.bind(path);
  listener.listen(1);
  const fillers: RawSocket[] = [];
  t.after(() => [listener, ...fillers].forEach((socket) => socket.close()));
  for (;;) {
    const filler = RawSocket.socket('seqpacket');
    fillers.push(filler);
    if (!filler.connect(path)) return { listener, waiting: fillers.length - 1 };
  }
}

function connecting(t: TestContext, options: SocketConnectOptions) {
  const socket = seqpacket.connect(options);
  discard(t, socket);
  return { socket, told: listen(socket) };
}

test('a full backlog is waited for, and what was sent meanwhile goes to whoever accepts', async (t) => {
  const path = freshPath(t);
  const { listener, waiting } = fullListener(t, path);
  const { socket, told } = connecting(t, { path });
  let connected = false;
  socket.on('connect', () => (connected = true));
  socket.sendBatch(['one', 'two']);
  // Another one has been refused meanwhile, and this one not.
  const { told: other } = connecting(t, { path, connectTimeout: 0 });
  await until(() => other.error !== undefined);
  assert.deepEqual([connected, told.events], [false, []]);
  for (let i = 0; i < waiting; i += 1) listener.accept()?.close();
  await until(() => connected);
  const accepted = listener.accept();
  assert.ok(accepted !== null);
  const memory = Buffer.alloc(10);
  const received: string[] = [];
  await until(() => {
    const length = accepted.recv(memory);
    if (length !== null) received.push(memory.toString('utf8', 0, length));
    return received.length === 2;
  });
  assert.deepEqual(received, ['one', 'two']);
  accepted.close();
});

test('with a connectTimeout of 0 it fails at once: EAGAIN, with a hint', async (t) => {
  const path = freshPath(t);
  fullListener(t, path);
  const { socket, told } = connecting(t, { path, connectTimeout: 0 });
  await happens(socket, 'close');
  const error = told.error as NodeJS.ErrnoException & { hint?: string; address?: string };
  assert.deepEqual([error.code, error.syscall, error.address], ['EAGAIN', 'connect', path]);
  assert.match(error.hint ?? '', /backlog/);
});

test('destroyed while it waits for room: closed, and nothing else is told', async (t) => {
  const path = freshPath(t);
  fullListener(t, path);
  const { socket, told } = connecting(t, { path });
  const failed = new Promise((resolve) => socket.send('never', resolve));
  socket.destroy();
  await happens(socket, 'close');
  assert.match(String(await failed), /closed/);
  assert.deepEqual(told.events, ['close false']);
});

test('a server that closes before it accepts resets whoever waits', async (t) => {
  const path = freshPath(t);
  const listener = RawSocket.socket('seqpacket');
  listener.bind(path);
  listener.listen(5);
  const { socket, told } = connecting(t, { path });
  await happens(socket, 'connect');
  listener.close();
  await happens(socket, 'close');
  assert.equal(told.error?.code, 'ECONNRESET');
  assert.deepEqual(texts(told), []);
  const { socket: late, told: refused } = connecting(t, { path });
  await happens(late, 'close');
  assert.equal(refused.error?.code, 'ECONNREFUSED');
});
