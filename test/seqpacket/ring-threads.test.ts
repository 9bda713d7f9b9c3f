/** A ring whose writer's thread ends: its reader is told, and the next socket may have it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import { listening, pairOf, seqpacket, until } from './support';

const OPTIONS = { maxMessageSize: 100, batchSize: 4 };

/** A thread that receives into the ring what its server sends. */
function writer(t: TestContext, path: string, memory: SharedArrayBuffer): Worker {
  const program = `
    const { workerData, parentPort } = require('node:worker_threads');
    const seqpacket = require(${JSON.stringify(require.resolve('afunix/seqpacket'))});
    const socket = seqpacket.connect({ path: workerData.path, ...${JSON.stringify(OPTIONS)} });
    socket.on('connect', () => {
      socket.receiveInto(workerData.memory);
      parentPort.postMessage('receiving');
    });
  `;
  const worker = new Worker(program, { eval: true, workerData: { path, memory } });
  t.after(() => worker.terminate());
  return worker;
}

for (const end of ['terminated', 'out of work'] as const) {
  test(`the writing thread is ${end}: what came is read, then it is an error, and another socket gets the ring`, async (t) => {
    const memory = new SharedArrayBuffer(1 << 16);
    const { path } = await listening(t, {}, (peer) => {
      peer.on('error', () => undefined).sendBatch(['a', 'b', 'c']);
      if (end === 'out of work') setImmediate(() => peer.end());
    });
    const worker = writer(t, path, memory);
    const exited = once(worker, 'exit');
    await once(worker, 'message');
    const ring = new seqpacket.MessageRing(memory);
    const [one, other] = pairOf(t, OPTIONS);
    const told: string[] = [];
    await until(() => {
      const batch = ring.read(0);
      if (batch !== null) told.push(...Array.from(batch, String));
      return told.length === 3;
    });
    ring.read(0);
    if (end === 'terminated') {
      assert.throws(() => other.receiveInto(memory), { code: 'ERR_AFUNIX_READING' });
      await worker.terminate();
    }
    await exited;
    assert.deepEqual(told, ['a', 'b', 'c']);
    if (end === 'terminated') {
      // However long it would wait.
      assert.throws(() => ring.read(), { code: 'ERR_SOCKET_CLOSED' });
    } else {
      assert.equal(ring.read(), null);
    }
    assert.equal(ring.ended, true);
    other.receiveInto(memory);
    one.send('again');
    const again = new seqpacket.MessageRing(memory);
    await until(() => {
      const batch = again.read(0);
      return batch !== null && String(batch.message(0)) === 'again';
    });
    assert.equal(again.ended, false);
  });
}

test('what a terminated writer left unread goes first: until then the ring is not free', async (t) => {
  const memory = new SharedArrayBuffer(1 << 16);
  const { path } = await listening(t, {}, (peer) => {
    peer.on('error', () => undefined).send('unread');
  });
  const worker = writer(t, path, memory);
  await once(worker, 'message');
  // The place of what was written last.
  const words = new Int32Array(memory);
  await until(() => Atomics.load(words, 2) !== Atomics.load(words, 3));
  await worker.terminate();
  const [, other] = pairOf(t, OPTIONS);
  assert.throws(() => other.receiveInto(memory), {
    code: 'ERR_AFUNIX_READING',
    message: /were not read/,
  });
  const ring = new seqpacket.MessageRing(memory);
  const batch = ring.read();
  assert.equal(String(batch?.message(0)), 'unread');
  batch?.release();
  assert.throws(() => ring.read(), { code: 'ERR_SOCKET_CLOSED' });
  other.receiveInto(memory);
});
