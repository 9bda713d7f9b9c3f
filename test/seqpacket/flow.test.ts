/** Backpressure, pausing, callbacks, and code of users that throws in the middle. */
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { connected, happens, listen, pairOf, texts, until } from './support';

test("send returns false at the high-water mark, and 'drain' follows when the kernel has it all", async (t) => {
  const [a, b] = pairOf(t, { highWaterMark: 50_000 });
  let sent = 0;
  while (a.send(Buffer.alloc(1000, sent))) sent += 1;
  assert.equal(sent, 49);
  assert.equal(a.writableNeedDrain, true);
  assert.equal(a.writableLength, 50_000);
  await happens(a, 'drain');
  assert.equal(a.writableLength, 0);
  // Until its queue is full, too.
  while (a.send(Buffer.alloc(1000, sent)) || !a.writableNeedDrain) sent += 1;
  for (;;) {
    const drained = await Promise.race([happens(a, 'drain').then(() => true), delay(50, false)]);
    if (!drained) break;
    while (a.send(Buffer.alloc(1000))) sent += 1;
  }
  const told = listen(b);
  await happens(a, 'drain');
  a.end();
  await happens(b, 'end');
  assert.equal(told.messages.length, a.messagesWritten);
});

test('a high-water mark of 0 says false every time', async (t) => {
  const [a, b] = pairOf(t, { highWaterMark: 0 });
  b.resume();
  for (let i = 0; i < 3; ++i) {
    assert.equal(a.send('x'), false);
    await happens(a, 'drain');
  }
});

test('the callback runs once the kernel has the message, in order, with the context of its send', async (t) => {
  const [a, b] = pairOf(t);
  const storage = new AsyncLocalStorage<number>();
  const order: [number, number | undefined, unknown][] = [];
  for (let i = 0; i < 5; ++i) {
    storage.run(i, () => {
      a.send(`${i}`, (error) => void order.push([i, storage.getStore(), error]));
    });
  }
  assert.deepEqual(order, []);
  await until(() => order.length === 5);
  assert.deepEqual(
    order,
    [0, 1, 2, 3, 4].map((i) => [i, i, null]),
  );
  b.pause();
  // Behind a full queue it waits.
  let filled = false;
  for (let i = 0; i < 400; ++i) a.send(Buffer.alloc(2000), () => (filled = true));
  await delay(30);
  let late = false;
  a.send('late', () => (late = true));
  await delay(30);
  assert.equal(late, false);
  b.resume();
  await until(() => late);
  assert.equal(filled, true);
});

test('an empty batch is sent at once', async (t) => {
  const [a] = pairOf(t);
  const told = new Promise((resolve) => a.sendBatch([], resolve));
  assert.equal(await told, null);
});

test('pause() inside a listener keeps what came with the same batch', async (t) => {
  const [a, b] = pairOf(t);
  const told: string[] = [];
  b.on('message', (message) => {
    told.push(message.toString());
    if (told.length === 2) b.pause();
  });
  a.sendBatch(['1', '2', '3', '4', '5']);
  await delay(30);
  assert.deepEqual(told, ['1', '2']);
  assert.equal(b.isPaused(), true);
  b.resume();
  a.end();
  await happens(b, 'end');
  assert.deepEqual(told, ['1', '2', '3', '4', '5']);
});

test('a paused socket tells neither messages nor end until it is resumed', async (t) => {
  const [a, b] = pairOf(t);
  const told = listen(b);
  b.pause();
  a.sendBatch(['1', '2']);
  a.end();
  await delay(30);
  assert.deepEqual(told.events, []);
  b.resume();
  await happens(b, 'close');
  assert.deepEqual(told.events, ['message', 'message', 'end', 'finish', 'close false']);
});

test('what comes while nobody listens waits, and once() takes one at a time', async (t) => {
  const [a, b] = pairOf(t);
  a.sendBatch(['1', '2', '3', '4']);
  a.end();
  await delay(20);
  for (const expected of ['1', '2', '3', '4']) {
    const [message] = (await once(b, 'message')) as [Buffer];
    assert.equal(message.toString(), expected);
    await delay(1);
  }
});

test('resume() without a listener throws messages away, and the end is told', async (t) => {
  const [a, b] = pairOf(t);
  a.sendBatch(['1', '2']);
  a.end();
  b.resume();
  await happens(b, 'end');
  assert.equal(b.messagesRead, 2);
});

test('destroy() inside a listener tells nothing more', async (t) => {
  const [a, b] = pairOf(t);
  const told = listen(b);
  b.on('message', () => b.destroy());
  a.sendBatch(['1', '2', '3']);
  await happens(b, 'close');
  assert.deepEqual(told.events, ['message', 'close false']);
});

test('a listener that throws loses no message', async (t) => {
  const [a, b] = pairOf(t);
  const uncaught: string[] = [];
  const before = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => void uncaught.push(error.message));
  t.after(() => {
    process.removeAllListeners('uncaughtException');
    for (const listener of before) process.on('uncaughtException', listener);
  });
  const told: string[] = [];
  b.on('message', (message) => {
    told.push(message.toString());
    if (told.length % 2 === 1) throw new Error(`at ${message.toString()}`);
  });
  a.sendBatch(['1', '2', '3', '4', '5', '6', '7']);
  a.end();
  await happens(b, 'end');
  assert.deepEqual(told, ['1', '2', '3', '4', '5', '6', '7']);
  assert.deepEqual(uncaught, ['at 1', 'at 3', 'at 5', 'at 7']);
});

test('each message has memory that can be taken away without harm to the others', async (t) => {
  const [a, b] = pairOf(t);
  const told: string[] = [];
  b.on('message', (message) => {
    told.push(message.toString());
    try {
      structuredClone(message.buffer, { transfer: [message.buffer as ArrayBuffer] });
    } catch {
      // Memory that several share is not for moving.
    }
  });
  for (let i = 0; i < 50; ++i) a.send(`message ${i}`.repeat(1 + (i % 7) * 100));
  a.end();
  await happens(b, 'end');
  told.forEach((text, i) => assert.equal(text, `message ${i}`.repeat(1 + (i % 7) * 100)));
  assert.equal(told.length, 50);
});

test("messages sent before 'connect' go first, and a half-close behind them", async (t) => {
  const { path, server } = await connected(t);
  const { seqpacket, discard } = await import('./support.js');
  const accepted = happens(server, 'connection');
  const client = seqpacket.connect(path);
  discard(t, client);
  assert.equal(client.connecting, true);
  client.send('1');
  client.sendBatch(['2', Buffer.alloc(100_000, 3)]);
  client.end('4');
  const [peer] = (await accepted) as [typeof client];
  const told = listen(peer);
  await happens(peer, 'close');
  assert.deepEqual(texts(told), ['1', '2', '\x03'.repeat(100_000), '4']);
  assert.deepEqual(told.events.slice(4), ['end', 'finish', 'close false']);
});

test('an idle socket times out, and one that receives or sends does not', async (t) => {
  const [a, b] = pairOf(t);
  b.resume();
  let expired = 0;
  a.setTimeout(120, () => (expired += 1));
  for (let i = 0; i < 10; ++i) {
    a.send('x');
    await delay(30);
  }
  assert.equal(expired, 0);
  await happens(a, 'timeout');
  assert.equal(a.timeout, 120);
});
