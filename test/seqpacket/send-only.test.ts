/** Sockets that nobody reads: they hear of the end, and of nothing else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { stats } from 'afunix';
import type { Socket } from 'afunix/seqpacket';
import { grown, takeCensus } from '../helpers/descriptors';
import { startLone } from '../helpers/lone-process';
import { connected, happens, listening, pairOf, seqpacket, until } from './support';

test('a server that only sends: 200 clients come and go, and nothing is left of them', async (t) => {
  let closed = 0;
  const { path } = await listening(t, {}, (peer) => {
    peer.on('close', () => (closed += 1));
    peer.end('hi');
  });
  const warm = seqpacket.connect(path).resume();
  await happens(warm, 'close');
  await until(() => closed === 1);
  const before = takeCensus();
  const clients = Array.from({ length: 200 }, () => seqpacket.connect(path).resume());
  await Promise.all(clients.map((client) => happens(client, 'close')));
  assert.ok(clients.every((client) => client.messagesRead === 1));
  await until(() => closed === 201);
  assert.deepEqual(grown(before, takeCensus()), {});
});

test('the end and the close are told where nobody reads', async (t) => {
  const { client, peer } = await connected(t, { server: { allowHalfOpen: true } });
  const ended = happens(peer, 'end');
  client.end();
  await ended;
  assert.equal(peer.readableEnded, true);
  peer.end();
  assert.deepEqual(await happens(peer, 'close'), [false]);
});

test('a reset is told where nobody reads', async (t) => {
  const [a, b] = pairOf(t);
  b.send('never read');
  const failed = happens(b, 'error');
  await delay(5);
  a.destroy();
  const [error] = (await failed) as [Error & { code: string }];
  assert.equal(error.code, 'ECONNRESET');
});

test('messages in front of the end wait for a reader, and come before it', async (t) => {
  for (const count of [1, 3, 200]) {
    const [a, b] = pairOf(t);
    const events: string[] = [];
    b.on('end', () => void events.push('end'));
    await new Promise((resolve) => a.sendBatch(Array.from({ length: count }, String), resolve));
    a.end();
    await delay(20);
    assert.equal(events.length, 0);
    b.on('message', (message) => void events.push(message.toString()));
    await happens(b, 'end');
    assert.deepEqual(events, [...Array.from({ length: count }, String), 'end']);
  }
});

test('who stops listening in the middle hears of the end when everything before it was told', async (t) => {
  const [a, b] = pairOf(t);
  a.sendBatch(['1', '2']);
  const [first] = await happens(b, 'message');
  assert.equal(String(first), '1');
  // Nobody listens any more; the second has been received already.
  await delay(5);
  a.end();
  await delay(20);
  assert.equal(b.readableEnded, false);
  const [second] = await happens(b, 'message');
  assert.equal(String(second), '2');
  if (!b.readableEnded) await happens(b, 'end');
});

test('paused, the end waits for resume() as before', async (t) => {
  const [a, b] = pairOf(t);
  b.pause();
  a.end();
  await delay(20);
  assert.equal(b.readableEnded, false);
  const ended = happens(b, 'end');
  b.resume();
  await ended;
});

test('a burst of messages that nobody reads keeps nobody busy', async (t) => {
  const [a, b] = pairOf(t);
  for (let i = 0; i < 50; ++i) a.send('x');
  await delay(50);
  const { syscalls } = stats();
  await delay(50);
  // Asking takes none.
  assert.equal(stats().syscalls, syscalls);
  assert.equal(b.messagesRead, 0);
});

interface Program {
  path: string;
}

test('a client that only waits keeps the process until the server goes', async (t) => {
  const accepted: Socket[] = [];
  const { path } = await listening(t, {}, (peer) => void accepted.push(peer));
  const { ended, said } = startLone<Program>(t, { path }, ({ require, parameters, say }) => {
    const { connect } = require('afunix/seqpacket') as typeof import('afunix/seqpacket');
    const socket = connect(parameters.path);
    socket.on('close', (hadError) => say(`closed ${hadError}`));
    socket.send('I am here', () => say('sent'));
  });
  await said('sent');
  await until(() => accepted.length === 1);
  const [peer] = accepted;
  assert.ok(peer);
  await happens(peer, 'message');
  let over = false;
  void ended.then(() => (over = true));
  await delay(100);
  assert.equal(over, false);
  peer.end();
  const { code, lines } = await ended;
  assert.deepEqual([code, lines], [0, ['sent', 'closed false']]);
});
