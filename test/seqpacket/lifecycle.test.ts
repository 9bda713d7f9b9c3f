/** Servers, states, adapters, and other programs at the other end. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Socket } from 'afunix/seqpacket';
import { leavesNothingOpen } from '../helpers/descriptors';
import { runLone } from '../helpers/lone-process';
import { freshPath } from '../helpers/socket-paths';
import {
  connected,
  discard,
  happens,
  listen,
  listening,
  pairOf,
  seqpacket,
  texts,
} from './support';

test('the default export has what the module has', async () => {
  const { default: byDefault, ...named } = await import('afunix/seqpacket');
  for (const name of Object.keys(byDefault) as (keyof typeof byDefault)[]) {
    assert.equal(named[name], byDefault[name]);
  }
  assert.equal(seqpacket.createConnection, seqpacket.connect);
});

test('a server listens, counts, refuses more than maxConnections, and closes', async (t) => {
  const { path, server } = await listening(t);
  assert.equal(server.address(), path);
  assert.equal(server.listening, true);
  server.maxConnections = 1;
  const dropped = happens(server, 'drop');
  const first = seqpacket.connect(path);
  await happens(first, 'connect');
  const second = seqpacket.connect(path);
  second.resume();
  assert.deepEqual(await dropped, []);
  await happens(second, 'close');
  const count = await new Promise((resolve) => server.getConnections((_, n) => resolve(n)));
  assert.equal(count, 1);
  server.close();
  assert.equal(existsSync(path), false);
  first.destroy();
});

test('an abstract name, and a listening descriptor given back to a server', async (t) => {
  const name = `\0afunix-seqpacket-${process.pid}`;
  const server = seqpacket.createServer((peer) => peer.on('message', (m) => void peer.end(m)));
  server.listen({ path: name, backlog: 3 });
  t.after(() => server.close());
  const client = seqpacket.connect({ path: name });
  client.send('abstract');
  const [message] = (await once(client, 'message')) as [Buffer];
  assert.equal(message.toString(), 'abstract');
  discard(t, client);
});

test('pauseOnConnect and the options of a server go to what it accepts', async (t) => {
  const { client, peer } = await connected(t, {
    server: { pauseOnConnect: true, maxMessageSize: 64, highWaterMark: 5, allowHalfOpen: true },
  });
  assert.equal(peer.isPaused(), true);
  assert.equal(peer.maxMessageSize, 64);
  assert.equal(peer.writableHighWaterMark, 5);
  assert.equal(peer.allowHalfOpen, true);
  assert.ok(peer.server instanceof seqpacket.Server);
  const told = listen(peer);
  client.send('x');
  await delay(20);
  assert.deepEqual(told.events, []);
  peer.resume();
  client.end();
  await happens(peer, 'end');
  assert.deepEqual(texts(told), ['x']);
  client.on('message', () => undefined);
  peer.send('half');
  peer.end('open');
  await happens(client, 'end');
  assert.equal(client.messagesRead, 2);
});

type Verb = (socket: Socket) => unknown;

const VERBS: Record<string, Verb> = {
  send: (socket) => socket.send('x', () => undefined),
  sendBatch: (socket) => socket.sendBatch(['x', 'y'], () => undefined),
  pause: (socket) => socket.pause(),
  resume: (socket) => socket.resume(),
  end: (socket) => socket.end(),
  destroy: (socket) => socket.destroy(),
  ref: (socket) => socket.ref(),
  unref: (socket) => socket.unref().ref(),
  setTimeout: (socket) => socket.setTimeout(0),
  batches: (socket) => socket.batches().return?.(),
};

const STATES: Record<string, (socket: Socket, other: Socket) => unknown> = {
  fresh: () => undefined,
  ended: (socket) => socket.end(),
  destroyed: (socket) => socket.destroy(),
  closed: async (socket) => {
    socket.destroy();
    await happens(socket, 'close');
  },
  paused: (socket) => socket.pause(),
  'peer ended': (_, other) => other.end(),
  'peer gone': async (_, other) => {
    other.destroy();
    await happens(other, 'close');
  },
};

for (const [state, enter] of Object.entries(STATES)) {
  test(`every verb on a socket that is ${state}, and it closes once`, async (t) => {
    for (const [verb, act] of Object.entries(VERBS)) {
      const [a, b] = pairOf(t);
      let closes = 0;
      a.on('close', () => (closes += 1)).on('error', () => undefined);
      b.on('error', () => undefined);
      await enter(a, b);
      act(a);
      await delay(2);
      a.destroy();
      if (!a.closed) await happens(a, 'close');
      await delay(1);
      assert.equal(closes, 1, verb);
      assert.equal(a.readyState, 'closed', verb);
      b.destroy();
    }
  });
}

test('every verb on a socket that connects', async (t) => {
  const { path } = await listening(t, {}, (peer) => peer.on('error', () => undefined).resume());
  for (const [verb, act] of Object.entries(VERBS)) {
    const socket = seqpacket.connect(path);
    socket.on('error', () => undefined);
    assert.equal(socket.readyState, 'opening');
    assert.equal(socket.pending, true);
    act(socket);
    if (verb !== 'destroy') await happens(socket, 'connect');
    socket.destroy();
    await happens(socket, 'close');
  }
  const never = new seqpacket.Socket();
  assert.throws(() => never.send('x'), { code: 'ERR_SOCKET_CLOSED' });
  assert.throws(() => never.batches(), { code: 'ERR_SOCKET_CLOSED' });
  assert.equal(never.maxMessageSize, 0);
  never.destroy();
  assert.throws(() => never.connect(path), { code: 'ERR_AFUNIX_CONNECTED' });
});

test("sending after end() is an error, as with a stream's write", async (t) => {
  const [a] = pairOf(t);
  a.end();
  a.send('x');
  const [error] = (await happens(a, 'error')) as [{ code: string }];
  assert.equal(error.code, 'ERR_STREAM_WRITE_AFTER_END');
});

test('async disposal, signals, and unref', async (t) => {
  const [a] = pairOf(t);
  await a[Symbol.asyncDispose]();
  assert.equal(a.closed, true);
  const { path } = await listening(t);
  const controller = new AbortController();
  const client = seqpacket.connect({ path, signal: controller.signal });
  controller.abort();
  const [error] = (await happens(client, 'error')) as [{ name: string; code: string }];
  assert.deepEqual([error.name, error.code], ['AbortError', 'ABORT_ERR']);
  await runLone(t, {}, ({ require }) => {
    const { socketpair } = require('afunix/seqpacket') as typeof import('afunix/seqpacket');
    for (const socket of socketpair()) {
      socket.unref();
      socket.resume();
    }
  });
});

test('as a Duplex each message is a chunk', async (t) => {
  const [a, b] = pairOf(t);
  const left = a.toDuplex();
  const right = b.toDuplex();
  right.on(
    'data',
    (chunk: Buffer) => void right.write(Buffer.concat([Buffer.from('re: '), chunk])),
  );
  const sent = Array.from({ length: 500 }, (_, i) => `message ${i}`);
  for (const text of sent) left.write(text);
  left.end();
  const seen: string[] = [];
  left.on('data', (chunk: Buffer) => void seen.push(chunk.toString()));
  await once(left, 'close');
  assert.deepEqual(
    seen,
    sent.map((text) => `re: ${text}`),
  );
});

test('as web streams each message is a chunk', async (t) => {
  const [a, b] = pairOf(t);
  const { writable } = a.toWeb();
  const { readable } = b.toWeb();
  const writer = writable.getWriter();
  const writing = (async () => {
    for (let i = 0; i < 100; ++i) await writer.write(`${i}`);
    await writer.close();
  })();
  const seen: string[] = [];
  for await (const chunk of readable) seen.push(Buffer.from(chunk).toString());
  await writing;
  assert.deepEqual(
    seen,
    Array.from({ length: 100 }, (_, i) => `${i}`),
  );
});

test('nothing stays open', async (t) => {
  const { path } = await listening(t, {}, (peer) => peer.on('error', () => undefined).resume());
  await leavesNothingOpen(async () => {
    const [a, b] = seqpacket.socketpair();
    a.destroy();
    b.destroy();
    const client = seqpacket.connect(path);
    client.send('x');
    await happens(client, 'connect');
    client.destroy();
    await happens(client, 'close');
  }, 50);
});

const PYTHON = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])
for m in (b'one', b'', b'two', b'x' * 100000, b'', b'', b'three'): s.send(m)
s.shutdown(socket.SHUT_WR)
got = []
while True:
    m = s.recv(300000)
    if not m: break
    got.append(m)
print([len(m) for m in got], got[0])
`;

test("Python's SOCK_SEQPACKET, with messages without bytes among the others", async (t) => {
  const { path, server } = await listening(t, { allowHalfOpen: true });
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const child = spawn('python3', ['-c', PYTHON, path]);
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [peer] = await accepted;
  const told = listen(peer);
  await happens(peer, 'end');
  assert.deepEqual(
    told.messages.map((message) => message.length),
    [3, 0, 3, 100_000, 0, 0, 5],
  );
  assert.deepEqual(told.infos.map((info) => info.truncated).includes(true), false);
  peer.sendBatch(['from Node', Buffer.alloc(212_960, 1), 'end']);
  peer.end();
  await once(child, 'close');
  assert.equal(output, "[9, 212960, 3] b'from Node'\n");
});

const PYTHON_SERVER = `
import socket, sys, array, os
l = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
l.bind(sys.argv[1]); l.listen(); print('ready', flush=True)
c, _ = l.accept()
try:
    c.sendmsg([b'with a descriptor'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0]))])
except PermissionError:
    c.send(b'refused')
while True:
    m = c.recv(1000)
    if not m: break
    c.send(m.upper())
c.close()
`;

test('a Python server: descriptors that nobody wants do not arrive', async (t) => {
  const path = freshPath(t);
  const child = spawn('python3', ['-c', PYTHON_SERVER, path]);
  await once(child.stdout, 'data');
  const client = seqpacket.connect(path);
  discard(t, client);
  const told = listen(client);
  client.sendBatch(['a', 'b', 'c']);
  client.end();
  await happens(client, 'close');
  const [first, ...others] = texts(told);
  assert.ok(first === 'refused' || told.infos[0]?.descriptorsDropped, first);
  assert.deepEqual(others, ['A', 'B', 'C']);
  await leavesNothingOpen(() => Promise.resolve(), 1);
});
