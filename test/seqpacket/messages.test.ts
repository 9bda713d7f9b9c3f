/** Messages arrive as they were sent, whatever their sizes and however many are sent at once. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Socket } from 'afunix/seqpacket';
import { connected, fault, happens, LONG, numbered, pairOf, randomNumbers } from './support';

const TOTAL = LONG ? 2_000_000 : 100_000;
const LIMIT = 212_960;

/** Sizes around every limit that there is on the way. */
const EDGES = [
  1,
  2,
  7,
  8,
  9,
  63,
  64,
  65,
  127,
  128,
  129,
  255,
  256,
  257,
  4095,
  4096,
  4097,
  8191,
  8192,
  8193,
  16383,
  16384,
  16385,
  65535,
  65536,
  65537,
  131072,
  LIMIT - 1,
  LIMIT,
];

async function sendAll(
  socket: Socket,
  lengths: readonly number[],
  batchSize: number,
): Promise<void> {
  for (let next = 0; next < lengths.length;) {
    const batch = lengths
      .slice(next, next + batchSize)
      .map((length, i) => numbered(next + i, length));
    next += batch.length;
    if (!socket.sendBatch(batch)) await happens(socket, 'drain');
  }
}

async function receiveAll(
  socket: Socket,
  lengths: readonly number[],
  memory: 'owned' | 'borrowed',
): Promise<void> {
  let next = 0;
  for await (const batch of socket.batches({ memory })) {
    for (let i = 0; i < batch.length; ++i) {
      const length = lengths[next] ?? -1;
      assert.equal(fault(batch.message(i), next, length), undefined);
      assert.equal(batch.fullLengths[i], length);
      assert.equal(batch.flags[i], 0);
      next += 1;
    }
    if (next >= lengths.length) break;
  }
  assert.equal(next, lengths.length);
}

async function carry(
  t: TestContext,
  lengths: readonly number[],
  batchSize: number,
  memory: 'owned' | 'borrowed' = 'owned',
): Promise<void> {
  const [a, b] = pairOf(t);
  await Promise.all([sendAll(a, lengths, batchSize), receiveAll(b, lengths, memory)]);
  assert.equal(a.messagesWritten, lengths.length);
  assert.equal(b.messagesRead, lengths.length);
  assert.equal(
    b.bytesRead,
    lengths.reduce((sum, length) => sum + length, 0),
  );
  assert.equal(a.bytesWritten, b.bytesRead);
}

test(`${TOTAL} messages, over all batch sizes from 1 to 64`, { timeout: 600_000 }, async (t) => {
  const random = randomNumbers(7);
  const share = Math.ceil(TOTAL / 64);
  for (let batchSize = 1; batchSize <= 64; ++batchSize) {
    const lengths = Array.from({ length: share }, () => 1 + random(random(8) === 0 ? 3000 : 200));
    await carry(t, lengths, batchSize, batchSize % 2 === 0 ? 'owned' : 'borrowed');
  }
});

for (const memory of ['owned', 'borrowed'] as const) {
  test(`sizes around every limit, ${memory}`, async (t) => {
    const lengths = [...EDGES, ...EDGES.toReversed(), ...EDGES.flatMap((edge) => [edge, 1, edge])];
    for (const batchSize of [1, 3, 64]) await carry(t, lengths, batchSize, memory);
  });
}

test('messages by event, in order, each with its own bytes', async (t) => {
  const { client, peer } = await connected(t);
  const random = randomNumbers(3);
  const lengths = Array.from({ length: 5000 }, () => 1 + random(6000));
  let next = 0;
  const done = new Promise<void>((resolve, reject) => {
    peer.on('message', (message, info) => {
      const wrong = fault(message, next, lengths[next] ?? -1);
      if (wrong !== undefined) reject(new Error(wrong));
      if (info.truncated || info.fullLength !== message.length) reject(new Error('cut'));
      // It is ours: what we do to it must not be felt by those that follow.
      message.fill(0xee);
      next += 1;
      if (next === lengths.length) resolve();
    });
  });
  await Promise.all([sendAll(client, lengths, 17), done]);
});

test('a batch that is owned stays as it is while others come', async (t) => {
  const [a, b] = pairOf(t);
  const kept: Buffer[] = [];
  const lengths = Array.from({ length: 3000 }, (_, i) => 1 + ((i * 37) % 5000));
  const sending = sendAll(a, lengths, 9);
  for await (const batch of b.batches()) {
    kept.push(...batch);
    if (kept.length === lengths.length) break;
  }
  await sending;
  kept.forEach((message, i) => assert.equal(fault(message, i, lengths[i] ?? -1), undefined));
});

test('batchSize bounds how many messages are told at once', async (t) => {
  const [a, b] = pairOf(t, { batchSize: 5 });
  a.sendBatch(Array.from({ length: 23 }, (_, i) => `message ${i}`));
  const seen: string[] = [];
  for await (const batch of b.batches()) {
    assert.ok(batch.length <= 5, `${batch.length}`);
    seen.push(...Array.from(batch, String));
    if (seen.length === 23) break;
  }
  assert.deepEqual(
    seen,
    Array.from({ length: 23 }, (_, i) => `message ${i}`),
  );
});

test('a message that is longer than maxMessageSize is cut, and told to be', async (t) => {
  const { client, peer } = await connected(t, { server: { maxMessageSize: 100 } });
  const told: [number, boolean, number][] = [];
  peer.on('message', (message, info) => {
    told.push([message.length, info.truncated, info.fullLength]);
  });
  client.sendBatch([
    Buffer.alloc(99),
    Buffer.alloc(100),
    Buffer.alloc(101),
    Buffer.alloc(70_000),
    'x',
  ]);
  client.end();
  await happens(peer, 'end');
  assert.deepEqual(told, [
    [99, false, 99],
    [100, false, 100],
    [100, true, 101],
    [100, true, 70_000],
    [1, false, 1],
  ]);
});

test('maxMessageSize raises what can be sent, as far as the system lets it', async (t) => {
  const [a, b] = pairOf(t, { maxMessageSize: 400_000 });
  assert.ok(a.maxMessageSize > LIMIT && a.maxMessageSize <= 400_000, `${a.maxMessageSize}`);
  const message = numbered(1, a.maxMessageSize);
  a.send(message);
  const [received] = await happens(b, 'message');
  assert.ok(message.equals(received as Buffer));
});

test('text is sent as UTF-8, and any view of memory as its bytes', async (t) => {
  const [a, b] = pairOf(t);
  const told: Buffer[] = [];
  b.on('message', (message) => void told.push(message));
  const words = new Uint16Array([1, 2, 3]);
  a.send('grüße ☂');
  a.send(words);
  a.send(new DataView(words.buffer, 2, 2));
  a.send(new Uint8Array(new SharedArrayBuffer(3)).fill(9));
  a.send('é'.repeat(20_000));
  a.end(Buffer.from('last'));
  await happens(b, 'end');
  assert.equal(told[0]?.toString(), 'grüße ☂');
  assert.deepEqual([...(told[1] ?? [])], [1, 0, 2, 0, 3, 0]);
  assert.deepEqual([...(told[2] ?? [])], [2, 0]);
  assert.deepEqual([...(told[3] ?? [])], [9, 9, 9]);
  assert.equal(told[4]?.toString(), 'é'.repeat(20_000));
  assert.equal(told[5]?.toString(), 'last');
});

test('a message may be changed once it was sent, also while it waits', async (t) => {
  const [a, b] = pairOf(t);
  b.pause();
  const count = 40;
  for (let i = 0; i < count; ++i) {
    const message = numbered(i, 30_000);
    a.send(message);
    message.fill(0);
  }
  assert.ok(a.writableNeedDrain);
  let next = 0;
  b.on('message', (message) => assert.equal(fault(message, next++, 30_000), undefined));
  b.resume();
  a.end();
  await happens(b, 'end');
  assert.equal(next, count);
});
