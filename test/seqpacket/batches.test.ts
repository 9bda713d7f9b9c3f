/** Batches: whose memory they are, how an iteration ends, and the ring. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { MessageBatch } from 'afunix/seqpacket';
import { runLone } from '../helpers/lone-process';
import { fault, happens, numbered, pairOf, seqpacket, until } from './support';

test('a batch describes its messages in columns', async (t) => {
  const [a, b] = pairOf(t, { maxMessageSize: 10 });
  const c = seqpacket.socketpair();
  t.after(() => c.forEach((socket) => socket.destroy()));
  a.sendBatch(['one', 'two!', 'x'.repeat(10)]);
  const { value } = (await b.batches().next()) as { value: MessageBatch };
  assert.equal(value.length, 3);
  assert.deepEqual([...value.lengths], [3, 4, 10]);
  assert.deepEqual([...value.fullLengths], [3, 4, 10]);
  assert.deepEqual([...value.flags], [0, 0, 0]);
  assert.deepEqual(Array.from(value, String), ['one', 'two!', 'x'.repeat(10)]);
  assert.equal(value.message(1).buffer, value.bytes.buffer);
  assert.equal(value.info(1).fullLength, 4);
  assert.equal(value.info(2).truncated, false);
  assert.throws(() => value.message(3), /from 0 to 2\. Received 3/);
  assert.throws(() => value.info(-1), { code: 'ERR_OUT_OF_RANGE' });
  value.release();
  assert.equal(String(value.message(0)), 'one');
});

test('leaving the loop leaves the socket, and nothing is lost', async (t) => {
  const [a, b] = pairOf(t, { batchSize: 1 });
  for (const memory of ['owned', 'borrowed'] as const) {
    a.sendBatch(Array.from({ length: 20 }, (_, i) => `${memory} ${i}`));
    let next = 0;
    while (next < 10) {
      for await (const batch of b.batches({ memory })) {
        assert.equal(String(batch.message(0)), `${memory} ${next++}`);
        break;
      }
    }
    const told: string[] = [];
    const listener = (message: Buffer): void => void told.push(message.toString());
    b.on('message', listener);
    await until(() => told.length === 10);
    b.off('message', listener);
    assert.equal(told[0], `${memory} 10`);
    assert.equal(told[9], `${memory} 19`);
  }
  assert.equal(b.destroyed, false);
});

test('an iteration ends with the connection, and throws what it failed with', async (t) => {
  const [a, b] = pairOf(t);
  a.end('last');
  const seen: string[] = [];
  for await (const batch of b.batches()) seen.push(...Array.from(batch, String));
  assert.deepEqual(seen, ['last']);
  const [c, d] = pairOf(t);
  const iteration = d.batches();
  const failed = iteration.next();
  d.destroy(new Error('of ours'));
  await assert.rejects(failed, /of ours/);
  assert.deepEqual(await iteration.next(), { done: true, value: undefined });
  c.destroy();
  await happens(c, 'close');
  const [, f] = pairOf(t);
  const ended = f.batches().next();
  f.destroy();
  assert.deepEqual(await ended, { done: true, value: undefined });
});

test('several next() at a time are served in order', async (t) => {
  const [a, b] = pairOf(t, { batchSize: 1 });
  const iteration = b.batches();
  const waiting = [iteration.next(), iteration.next(), iteration.next()];
  a.sendBatch(['1', '2']);
  a.end();
  const results = await Promise.all(waiting);
  assert.deepEqual(
    results.map(({ value }) => {
      const batch = value as MessageBatch | undefined;
      return batch === undefined ? null : String(batch.message(0));
    }),
    ['1', '2', null],
  );
});

test('a borrowed batch is gone with the next one, and with release()', async (t) => {
  const [a, b] = pairOf(t, { batchSize: 2 });
  a.sendBatch(['1', '2', '3', '4', '5', '6', '7', '8']);
  const iteration = b.batches({ memory: 'borrowed' });
  const first = (await iteration.next()).value as MessageBatch;
  assert.deepEqual(Array.from(first, String), ['1', '2']);
  const second = (await iteration.next()).value as MessageBatch;
  assert.deepEqual(Array.from(second, String), ['3', '4']);
  assert.equal(first.released, true);
  assert.throws(() => first.message(0), { code: 'ERR_AFUNIX_RELEASED' });
  second.release();
  second.release();
  assert.throws(() => [...second], { code: 'ERR_AFUNIX_RELEASED' });
  const third = (await iteration.next()).value as MessageBatch;
  assert.deepEqual(Array.from(third, String), ['5', '6']);
});

test('a slow consumer of borrowed batches stops the reading, and memory stays as it is', async (t) => {
  const [a, b] = pairOf(t);
  let next = 0;
  const total = 3000;
  const sending = (async () => {
    for (let i = 0; i < total; ++i) {
      if (!a.send(numbered(i, 500))) await happens(a, 'drain');
    }
    a.end();
  })();
  for await (const batch of b.batches({ memory: 'borrowed' })) {
    if (next % 7 === 0) await delay(2);
    for (const message of batch) assert.equal(fault(message, next++, 500), undefined);
  }
  await sending;
  assert.equal(next, total);
});

test('with AFUNIX_DEBUG=1 released memory is poisoned', async (t) => {
  const lines = await runLone(
    t,
    {},
    async ({ require, say }) => {
      const { socketpair } = require('afunix/seqpacket') as typeof import('afunix/seqpacket');
      const [a, b] = socketpair();
      a.send('secret');
      for await (const batch of b.batches({ memory: 'borrowed' })) {
        const view = batch.message(0);
        batch.release();
        say(view.toString('hex'));
        break;
      }
      a.destroy();
      b.destroy();
    },
    { env: { AFUNIX_DEBUG: '1' } },
  );
  assert.deepEqual(lines, ['db'.repeat(6)]);
});

const WORKER = `
  const { workerData, parentPort } = require('node:worker_threads');
  const { MessageRing } = require(workerData.entry);
  const ring = new MessageRing(workerData.memory);
  const seen = [];
  let ending = 'end';
  try {
    for (const batch of ring) {
      for (let i = 0; i < batch.length; ++i) {
        const message = batch.message(i);
        seen.push([message.length, message.length >= 4 ? message.readUInt32LE(0) : -1, batch.fullLengths[i]]);
      }
    }
  } catch (error) { ending = error.code; }
  parentPort.postMessage({ seen, ending, ended: ring.ended });
`;

for (const ending of ['end', 'ECONNRESET'] as const) {
  test(`a ring carries messages to another thread, to ${ending}`, async (t) => {
    const [a, b] = pairOf(t, { maxMessageSize: 20_000 });
    b.on('error', () => undefined);
    const memory = new SharedArrayBuffer(70_000);
    const workerData = { memory, entry: require.resolve('afunix/seqpacket') };
    const worker = new Worker(WORKER, { eval: true, workerData });
    t.after(() => worker.terminate());
    const told = once(worker, 'message') as Promise<
      [{ seen: [number, number, number][]; ending: string; ended: boolean }]
    >;
    const lengths = Array.from(
      { length: 4000 },
      (_, i) => 4 + ((i * 7919) % (i % 50 ? 900 : 20_000)),
    );
    b.receiveInto(memory);
    if (ending === 'ECONNRESET') b.send('never read');
    for (let i = 0; i < lengths.length; ++i) {
      const length = lengths[i] ?? 0;
      const message = Buffer.alloc(length);
      message.writeUInt32LE(i, 0);
      if (!a.send(message)) await happens(a, 'drain');
    }
    if (ending === 'end') a.end();
    else await new Promise((resolve) => a.send('last', resolve)).then(() => a.destroy());
    const [result] = await told;
    assert.equal(result.ending, ending);
    assert.equal(result.ended, true);
    const expected = lengths.map((length, i) => [length, i, length]);
    if (ending === 'ECONNRESET') expected.push([4, Buffer.from('last').readUInt32LE(0), 4]);
    assert.deepEqual(result.seen, expected);
  });
}

test('a ring takes what had been received before', async (t) => {
  const [a, b] = pairOf(t, { maxMessageSize: 1000 });
  const first = once(b, 'message');
  a.sendBatch(Array.from({ length: 50 }, (_, i) => `message ${i}`));
  await first;
  await delay(5);
  const memory = new SharedArrayBuffer(100_000);
  b.receiveInto(memory);
  a.end('last');
  await happens(b, 'end');
  const seen: string[] = [];
  for (const batch of new seqpacket.MessageRing(memory)) seen.push(...Array.from(batch, String));
  assert.deepEqual(seen, [...Array.from({ length: 49 }, (_, i) => `message ${i + 1}`), 'last']);
});

test('reading a ring waits no longer than it is told to', () => {
  const ring = new seqpacket.MessageRing(new SharedArrayBuffer(1000));
  const before = performance.now();
  assert.equal(ring.read(30), null);
  assert.ok(performance.now() - before >= 29);
  assert.equal(ring.ended, false);
  assert.throws(
    () => new seqpacket.MessageRing(new ArrayBuffer(9) as unknown as SharedArrayBuffer),
    {
      code: 'ERR_INVALID_ARG_TYPE',
    },
  );
});

test('a ring has one writer at a time, and the next one overwrites nothing', async (t) => {
  const memory = new SharedArrayBuffer(64 * 1024);
  const limits = { maxMessageSize: 64, batchSize: 16 };
  const [one, other] = pairOf(t, limits);
  const [third, fourth] = pairOf(t, limits);
  other.receiveInto(memory);
  assert.throws(() => fourth.receiveInto(memory), { code: 'ERR_AFUNIX_READING' });
  one.sendBatch(['1', '2']);
  one.end();
  await happens(other, 'close');
  assert.throws(() => fourth.receiveInto(memory), {
    code: 'ERR_AFUNIX_READING',
    message: /not read/,
  });
  const ring = new seqpacket.MessageRing(memory);
  const read = (): string[] => {
    const seen: string[] = [];
    for (const batch of ring) seen.push(...Array.from(batch, String));
    return seen;
  };
  assert.deepEqual(read(), ['1', '2']);
  fourth.receiveInto(memory);
  third.sendBatch(['3', '4']);
  third.end();
  await happens(fourth, 'close');
  assert.deepEqual(read(), ['3', '4']);
});
