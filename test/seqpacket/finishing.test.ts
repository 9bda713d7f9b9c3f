/** What end(callback) and streams over a socket say, whatever state it is in. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import type { Socket } from 'afunix/seqpacket';
import { happens, pairOf } from './support';

type EndCode = string | undefined;

function endCode(socket: Socket): Promise<EndCode> {
  return new Promise((resolve) => socket.end((error) => resolve(error?.code)));
}

test('end(callback) calls back on an open socket, one that is destroyed, and one that gets destroyed', async (t) => {
  const [a, b] = pairOf(t);
  b.resume();
  assert.equal(await endCode(a), undefined);
  const [destroyed] = pairOf(t);
  destroyed.destroy();
  assert.equal(await endCode(destroyed), 'ERR_STREAM_DESTROYED');
  const [waits, other] = pairOf(t);
  other.pause();
  // More than the kernel has room for keeps it from finishing.
  for (let i = 0; i < 1000; ++i) waits.send('x');
  const code = endCode(waits);
  waits.destroy();
  assert.equal(await code, 'ERR_STREAM_DESTROYED');
  const [fails] = pairOf(t);
  const reason = endCode(fails);
  fails.on('error', () => undefined).destroy(Object.assign(new Error('why'), { code: 'EWHY' }));
  assert.equal(await reason, 'EWHY');
});

test('end(callback) after the finish says so, and twice calls back twice', async (t) => {
  const [a, b] = pairOf(t, { allowHalfOpen: true });
  b.resume();
  assert.deepEqual(await Promise.all([endCode(a), endCode(a)]), [undefined, undefined]);
  assert.equal(await endCode(a), 'ERR_STREAM_ALREADY_FINISHED');
});

test('a stream over a socket that has ended ends, and over one that is gone closes', async (t) => {
  const [a, b] = pairOf(t, { allowHalfOpen: true });
  a.end();
  b.resume();
  await happens(b, 'end');
  const ended = b.toDuplex();
  ended.resume();
  await once(ended, 'end');
  ended.destroy();
  const [, gone] = pairOf(t);
  gone.destroy();
  await happens(gone, 'close');
  const closed = gone.toDuplex();
  if (!closed.closed) await once(closed, 'close');
});

test('two streams, or a stream beside batches(), are refused', (t) => {
  const [a, b] = pairOf(t);
  a.toDuplex();
  assert.throws(() => a.toDuplex(), { code: 'ERR_AFUNIX_READING' });
  assert.throws(() => a.toWeb(), { code: 'ERR_AFUNIX_READING' });
  assert.throws(() => a.batches(), { code: 'ERR_AFUNIX_READING' });
  b.batches();
  assert.throws(() => b.toDuplex(), { code: 'ERR_AFUNIX_READING' });
});

test('callbacks come in the order of their messages, however many wait', async (t) => {
  const [near, far] = pairOf(t);
  let received = 0;
  far.on('message', () => (received += 1));
  const told: number[] = [];
  const all = 5000;
  for (let i = 0; i < all; i += 1) near.send(`${i}`, () => told.push(i));
  near.end();
  await happens(far, 'end');
  assert.equal(received, all);
  while (told.length < all) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(
    told.every((number, at) => number === at),
    `the first is ${told[0]}`,
  );
});

test('what the kernel has by the time of destroy() has not failed', async (t) => {
  const [near, far] = pairOf(t);
  const received: string[] = [];
  far.on('message', (message) => received.push(String(message)));
  const told: unknown[] = [];
  near.send('a word', (error) => told.push(error));
  near.destroy();
  await happens(far, 'end');
  assert.deepEqual([received, told], [['a word'], [null]]);
});
