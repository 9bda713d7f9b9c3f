/** bytesWritten, bytesRead, bufferSize, writableLength. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { bothFamilies, scenario } from './scenario';
import { discard, happens, listen, pair, pattern, received, receives } from '../helpers/sockets';

const encodedTexts: readonly [string, BufferEncoding, number][] = [
  ['plain', 'utf8', 5],
  ['\u00e9\u20ac', 'utf8', 5],
  ['\u00e9\u00e8', 'latin1', 2],
  ['abc', 'ascii', 3],
  ['00ff10', 'hex', 3],
  ['aGVsbG8=', 'base64', 5],
  ['aGVsbG8', 'base64url', 5],
  ['\u00e9\u20ac', 'utf16le', 4],
  ['\ud83d\ude00', 'utf8', 4],
];

scenario(
  'bytesWritten counts strings by their encoding, as soon as write() returns',
  async (stage) => {
    const { client, peer } = await pair(stage);
    peer.resume();
    let expected = 0;
    for (const [text, encoding, length] of encodedTexts) {
      client.write(text, encoding);
      expected += length;
      assert.equal(client.bytesWritten, expected, encoding);
      stage.trace('client', encoding, client.bytesWritten);
    }
    const closed = happens(client, 'close');
    client.end(Buffer.alloc(10));
    assert.equal(client.bytesWritten, expected + 10);
    await closed;
    assert.equal(client.bytesWritten, expected + 10, "still there after 'close'");
  },
  { over: bothFamilies },
);

scenario('bytesWritten counts corked data', async (stage) => {
  const { client, peer } = await pair(stage);
  const arrived = receives(peer, 14);
  client.cork();
  client.write('abc');
  client.write('\u00e9');
  client.write(Buffer.alloc(5));
  client.write('0001', 'hex');
  client.write('ab', 'latin1');
  const corked = client.bytesWritten;
  stage.trace('client', corked);
  assert.equal(corked, 14);
  client.uncork();
  assert.equal(client.bytesWritten, 14);
  await arrived;
  assert.equal(client.bytesWritten, 14);
});

scenario(
  'bytesWritten counts 20 MB of corked data, before and after it has left',
  async (stage) => {
    const { client, peer } = await pair(stage);
    const total = 20_000_000;
    const piece = pattern(1_000_000);
    const arrived = receives(peer, total);
    client.cork();
    for (let sent = 0; sent < total; sent += piece.length) client.write(piece);
    assert.equal(client.bytesWritten, total);
    client.uncork();
    assert.equal(client.bytesWritten, total);
    await arrived;
    assert.equal(client.bytesWritten, total);
  },
);

scenario('bytesWritten counts what is written before connect', async (stage) => {
  const address = stage.address();
  await listen(stage, address, {}, (peer) => peer.resume());
  const client = stage.net.connect(address);
  discard(stage, client);
  const counts: number[] = [client.bytesWritten];
  client.write('\u20ac');
  counts.push(client.bytesWritten);
  client.write(Buffer.alloc(7));
  counts.push(client.bytesWritten);
  client.write('ff', 'hex');
  counts.push(client.bytesWritten);
  client.cork();
  client.write('corked');
  counts.push(client.bytesWritten);
  client.uncork();
  client.on('connect', () => counts.push(client.bytesWritten));
  client.on('close', () => counts.push(client.bytesWritten));
  const closed = happens(client, 'close');
  client.end('!');
  counts.push(client.bytesWritten);
  await closed;
  stage.trace('client', counts);
  assert.deepEqual(counts, [0, 3, 10, 11, 17, 18, 18, 18]);
});

scenario(
  "bytesRead has grown before each 'data'",
  async (stage) => {
    const { client, peer } = await pair(stage);
    const texts = ['a', 'bcd', 'efghijk', 'l'];
    let total = 0;
    for (const text of texts) {
      const counted = new Promise<number>((resolve) =>
        client.once('data', () => resolve(client.bytesRead)),
      );
      peer.write(text);
      total += text.length;
      const count = await counted;
      stage.trace('client', count);
      assert.equal(count, total);
    }
  },
  { over: bothFamilies },
);

scenario("bytesRead is never behind what 'data' has delivered", async (stage) => {
  const { client, peer } = await pair(stage);
  const total = 5_000_000;
  let delivered = 0;
  client.on('data', (chunk: Buffer) => {
    delivered += chunk.length;
    assert.ok(client.bytesRead >= delivered, `${client.bytesRead} read, ${delivered} delivered`);
  });
  const ended = happens(client, 'end');
  peer.end(pattern(total));
  await ended;
  assert.equal(client.bytesRead, total);
});

scenario("both counters are right in 'end' and after 'close'", async (stage) => {
  const { client, peer } = await pair(stage);
  const counts: Record<string, [number, number]> = {};
  for (const event of ['end', 'finish', 'close']) {
    client.on(event, () => (counts[event] = [client.bytesRead, client.bytesWritten]));
  }
  client.resume();
  client.write('12345');
  await receives(peer, 5);
  const closed = happens(client, 'close');
  peer.end('123456789');
  await closed;
  stage.trace('client', counts);
  assert.deepEqual(counts, { end: [9, 5], finish: [9, 5], close: [9, 5] });
  await stage.settled();
  assert.deepEqual([client.bytesRead, client.bytesWritten], [9, 5]);
});

scenario('both counters are kept by destroy()', async (stage) => {
  const { client, peer } = await pair(stage);
  const arrived = receives(peer, 3);
  client.write('abc');
  await arrived;
  const data = receives(client, 4);
  peer.write('wxyz');
  await data;
  const closed = happens(client, 'close');
  client.destroy();
  assert.deepEqual([client.bytesRead, client.bytesWritten], [4, 3]);
  await closed;
  assert.deepEqual([client.bytesRead, client.bytesWritten], [4, 3]);
  stage.trace('client', client.bytesRead, client.bytesWritten);
});

scenario('the counters of both ends agree after an exchange of megabytes', async (stage) => {
  const { client, peer } = await pair(stage);
  const up = pattern(3_000_000);
  const down = pattern(2_000_000);
  const [gotUp, gotDown] = [received(peer), received(client)];
  client.end(up);
  peer.end(down);
  const [atPeer, atClient] = await Promise.all([gotUp, gotDown]);
  assert.equal(atPeer.equals(up), true);
  assert.equal(atClient.equals(down), true);
  assert.deepEqual(
    [client.bytesWritten, client.bytesRead, peer.bytesWritten, peer.bytesRead],
    [up.length, down.length, down.length, up.length],
  );
});

scenario(
  "while connecting, bufferSize and writableLength grow by one per one-byte write, and are 0 in 'finish'",
  async (stage) => {
    const address = stage.address();
    await listen(stage, address, {}, (peer) => peer.resume());
    const client = stage.net.connect(address);
    discard(stage, client);
    const sizes = (socket: Socket): unknown[] => [
      Reflect.get(socket, 'bufferSize'),
      socket.writableLength,
    ];
    for (let written = 1; written <= 20; written += 1) {
      client.write('x');
      assert.deepEqual(sizes(client), [written, written]);
    }
    const inFinish = new Promise<unknown[]>((resolve) =>
      client.once('finish', () => resolve(sizes(client))),
    );
    client.end();
    const last = await inFinish;
    stage.trace('client', last);
    assert.deepEqual(last, [0, 0]);
  },
);

scenario('bufferSize is undefined before connect() and after destroy()', async (stage) => {
  const fresh = new stage.net.Socket();
  discard(stage, fresh);
  const { client } = await pair(stage);
  client.destroy();
  const sizes = [Reflect.get(fresh, 'bufferSize'), Reflect.get(client, 'bufferSize')] as unknown[];
  stage.trace('sizes', ...sizes);
  assert.deepEqual(sizes, [undefined, undefined]);
});

scenario('the counters of a fresh socket are 0', async (stage) => {
  const fresh = new stage.net.Socket();
  discard(stage, fresh);
  stage.trace('fresh', fresh.bytesRead, fresh.bytesWritten);
  assert.deepEqual([fresh.bytesRead, fresh.bytesWritten], [0, 0]);
});
