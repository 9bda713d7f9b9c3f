/** Sockets among other streams: pipelines, transforms, iteration, web streams, and much data. */
import assert from 'node:assert/strict';
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  type CipherGCM,
  type DecipherGCM,
} from 'node:crypto';
import { on } from 'node:events';
import type { Server, Socket } from 'node:net';
import { Duplex, PassThrough, Readable, Transform, Writable } from 'node:stream';
import {
  CompressionStream,
  DecompressionStream,
  ReadableStream,
  WritableStream,
} from 'node:stream/web';
import { pipeline } from 'node:stream/promises';
import { test, type TestContext } from 'node:test';
import { createGunzip, createGzip } from 'node:zlib';
import net from 'afunix';
import { compose } from '../helpers/compose';
import { address, bytes, collected, happens, hashOf, linesOf, listening, sha256 } from './support';

const MEGABYTE = 1024 * 1024;

/** A server whose first connection is asked for, and a socket connected to it. */
async function ends(
  t: TestContext,
  options = {},
): Promise<{ client: Socket; peer: Socket; server: Server }> {
  const path = address(t);
  const server = await listening(t, net.createServer(options), path);
  const accepted = happens(server, 'connection');
  const client = net.connect({ path, ...options });
  t.after(() => client.destroy());
  const [peer] = (await accepted) as [Socket];
  return { client, peer, server };
}

function inverting(): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      callback(null, Buffer.from(chunk.map((byte) => byte ^ 0xff)));
    },
  });
}

test('gzip, socket, gunzip: a text comes out as it went in', { timeout: 60_000 }, async (t) => {
  const { client, peer } = await ends(t);
  const text = linesOf(8 * MEGABYTE, 1).join('\n');
  const [hash] = await Promise.all([
    hashOf(peer.pipe(createGunzip())),
    pipeline(
      Readable.from(Buffer.from(text), { objectMode: false }),
      createGzip({ level: 1 }),
      client,
    ),
  ]);
  assert.equal(hash, sha256(text));
});

test('encrypted on one side, decrypted on the other', { timeout: 60_000 }, async (t) => {
  const { client, peer } = await ends(t);
  const key = bytes(32, 1);
  const iv = bytes(12, 2);
  const data = bytes(16 * MEGABYTE, 3);
  const cipher: CipherGCM = createCipheriv('aes-256-gcm', key, iv);
  const decipher: DecipherGCM = createDecipheriv('aes-256-gcm', key, iv);
  const out = new PassThrough();
  // The tag is known when everything has been encrypted; nothing is final before it is set.
  const tagged = new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      callback(null, chunk);
    },
    flush(callback) {
      decipher.setAuthTag(cipher.getAuthTag());
      callback();
    },
  });
  const [hash] = await Promise.all([
    hashOf(out),
    pipeline(Readable.from([data]), cipher, client),
    pipeline(peer, tagged, decipher, out),
  ]);
  assert.equal(hash, sha256(data));
});

test('a generator through a socket, chunk sizes all different', { timeout: 60_000 }, async (t) => {
  const { client, peer } = await ends(t);
  const expected = createHash('sha256');
  function* chunks(): Generator<Buffer> {
    for (let length = 1; length <= 4000; length += 1) {
      const chunk = bytes(length, length);
      expected.update(chunk);
      yield chunk;
    }
  }
  const [hash] = await Promise.all([
    hashOf(peer),
    pipeline(Readable.from(chunks(), { objectMode: false }), client),
  ]);
  assert.equal(hash, expected.digest('hex'));
});

test('pipeline() both ways through one socket', { timeout: 60_000 }, async (t) => {
  const { client, peer } = await ends(t, { allowHalfOpen: true });
  const data = bytes(8 * MEGABYTE, 9);
  const inverted = inverting();
  const hash = createHash('sha256');
  await Promise.all([
    pipeline(peer, inverted, peer),
    pipeline(Readable.from([data]), client, async (source: AsyncIterable<Buffer>) => {
      for await (const chunk of source) hash.update(chunk);
    }),
  ]);
  assert.equal(hash.digest('hex'), sha256(data.map((byte) => byte ^ 0xff)));
});

test('pipeline() fails when the other end goes away in the middle', async (t) => {
  const { client, peer } = await ends(t);
  peer.once('data', () => peer.destroy());
  const endless = Readable.from(
    (function* () {
      const chunk = bytes(64 * 1024);
      for (;;) yield chunk;
    })(),
  );
  await assert.rejects(pipeline(endless, client), (error: NodeJS.ErrnoException) =>
    ['EPIPE', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE'].includes(error.code ?? ''),
  );
  assert.equal(endless.destroyed, true);
  assert.equal(client.destroyed, true);
});

test(
  'for await reads a socket slowly, and the writer waits for it',
  { timeout: 60_000 },
  async (t) => {
    const { client, peer } = await ends(t);
    const data = bytes(8 * MEGABYTE, 4);
    client.end(data);
    const hash = createHash('sha256');
    let most = 0;
    for await (const chunk of peer as AsyncIterable<Buffer>) {
      hash.update(chunk);
      most = Math.max(most, peer.readableLength);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(hash.digest('hex'), sha256(data));
    // What a paused stream may hold: its mark, and one read that was under way.
    assert.ok(most <= peer.readableHighWaterMark + 64 * 1024, `${most} bytes were held`);
  },
);

test('for await over the connections of a server', async (t) => {
  const path = address(t);
  const server = await listening(t, net.createServer(), path);
  const connections = on(server, 'connection') as AsyncIterable<[Socket]>;
  const texts = ['one', 'two', 'three'];
  for (const text of texts) net.connect(path).end(text);
  const received: Promise<string>[] = [];
  for await (const [socket] of connections) {
    received.push(collected(socket).then((all) => all.toString()));
    if (received.length === texts.length) break;
  }
  assert.deepEqual(await Promise.all(received), texts);
});

test('Duplex.toWeb() on both ends', { timeout: 60_000 }, async (t) => {
  const { client, peer } = await ends(t);
  const left = webStreams(client);
  const right = webStreams(peer);
  const data = bytes(4 * MEGABYTE, 6);
  // How this ends when both directions do is the business of Node's adapters.
  const echoing = right.readable.pipeTo(right.writable).catch(() => {});
  const writer = left.writable.getWriter();
  const sending = (async () => {
    for (let offset = 0; offset < data.length; offset += 100_000) {
      await writer.ready;
      await writer.write(data.subarray(offset, offset + 100_000));
    }
  })();
  const hash = createHash('sha256');
  let total = 0;
  const reader = left.readable.getReader();
  while (total < data.length) {
    const { done, value } = await reader.read();
    assert.ok(!done, `the end after ${total} bytes`);
    hash.update(value);
    total += value.length;
  }
  assert.equal(total, data.length);
  assert.equal(hash.digest('hex'), sha256(data));
  await sending;
  await writer.close();
  assert.equal((await reader.read()).done, true);
  await echoing;
});

function webStreams(socket: Socket): {
  readable: ReadableStream<Uint8Array>;
  writable: WritableStream<Uint8Array>;
} {
  return Duplex.toWeb(socket);
}

test('Duplex.fromWeb() of a socket made a web stream', async (t) => {
  const { client, peer } = await ends(t, { allowHalfOpen: true });
  peer.pipe(peer);
  const again = Duplex.fromWeb(Duplex.toWeb(client));
  const data = bytes(100_000, 8);
  again.write(data);
  const chunks: Buffer[] = [];
  let total = 0;
  for await (const chunk of again as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    total += chunk.length;
    if (total >= data.length) break;
  }
  assert.ok(Buffer.concat(chunks).equals(data));
});

test('a socket piped into a socket piped into a socket', { timeout: 60_000 }, async (t) => {
  const first = await ends(t);
  const second = await ends(t);
  const data = bytes(16 * MEGABYTE, 10);
  const [hash] = await Promise.all([
    hashOf(second.peer),
    pipeline(first.peer, second.client),
    pipeline(Readable.from([data]), first.client),
  ]);
  assert.equal(hash, sha256(data));
});

test(
  'a ReadableStream piped through CompressionStream into a socket, and back',
  { timeout: 60_000 },
  async (t) => {
    const { client, peer } = await ends(t);
    const text = Buffer.from(linesOf(4 * MEGABYTE, 2).join('\n'));
    let offset = 0;
    const source = new ReadableStream<Uint8Array>({
      pull(controller) {
        const piece = text.subarray(offset, offset + 50_000);
        offset += 50_000;
        if (piece.length === 0) controller.close();
        else controller.enqueue(piece);
      },
    });
    const chunks: Uint8Array[] = [];
    const sink = new WritableStream<Uint8Array>({
      write(chunk) {
        chunks.push(chunk);
      },
    });
    const readable = Readable.toWeb(peer) as ReadableStream<Uint8Array>;
    await Promise.all([
      source.pipeThrough(new CompressionStream('gzip')).pipeTo(Writable.toWeb(client)),
      readable.pipeThrough(new DecompressionStream('gzip')).pipeTo(sink),
    ]);
    assert.equal(sha256(Buffer.concat(chunks)), sha256(text));
  },
);

test('tee() of what a socket receives', { timeout: 60_000 }, async (t) => {
  const { client, peer } = await ends(t);
  const data = bytes(2 * MEGABYTE, 13);
  client.end(data);
  const [left, right] = (Readable.toWeb(peer) as ReadableStream<Uint8Array>).tee();
  const hashes = await Promise.all([hashOf(left), hashOf(right)]);
  assert.deepEqual(hashes, [sha256(data), sha256(data)]);
});

test('compose(): a socket with a codec around it is one stream', { timeout: 60_000 }, async (t) => {
  const { client, peer } = await ends(t, { allowHalfOpen: true });
  const data = bytes(4 * MEGABYTE, 14);
  const framed = compose(createGzip({ level: 1 }), client, createGunzip());
  const echo = compose(createGunzip(), inverting(), createGzip({ level: 1 }));
  const hash = createHash('sha256');
  await Promise.all([
    pipeline(peer, echo, peer),
    pipeline(Readable.from([data]), framed, async (source: AsyncIterable<Buffer>) => {
      for await (const chunk of source) hash.update(chunk);
    }),
  ]);
  assert.equal(hash.digest('hex'), sha256(data.map((byte) => byte ^ 0xff)));
});

test('helpers of iterators over a socket: map, filter, take', async (t) => {
  const { client, peer } = await ends(t);
  client.setEncoding('utf8');
  peer.end('one two three four five');
  const words: string[] = [];
  const source = client.compose<Readable>(async function* (texts: AsyncIterable<string>) {
    let all = '';
    for await (const text of texts) all += text;
    yield* all.split(' ');
  });
  for await (const word of source
    .filter((text: string) => text.length > 3)
    .map((text: string) => text.toUpperCase())
    .take(2)) {
    words.push(String(word));
  }
  assert.deepEqual(words, ['THREE', 'FOUR']);
});

test('Readable.from() strings, of an iterator that waits, in whichever encoding', async (t) => {
  const { client, peer } = await ends(t);
  async function* texts(): AsyncGenerator<string> {
    for (const text of ['Bürger ', 'λόγος ', '船 ', '🐋']) {
      await new Promise((resolve) => setImmediate(resolve));
      yield text;
    }
  }
  const [all] = await Promise.all([collected(peer), pipeline(Readable.from(texts()), client)]);
  assert.equal(all.toString(), 'Bürger λόγος 船 🐋');
});

test('200 MB through a pipeline, hashed on both sides', { timeout: 110_000 }, async (t) => {
  const { client, peer } = await ends(t);
  const pieces = 200;
  const piece = bytes(MEGABYTE, 12);
  const sent = createHash('sha256');
  function* chunks(): Generator<Buffer> {
    for (let i = 0; i < pieces; i += 1) {
      piece.writeUInt32LE(i);
      sent.update(piece);
      // The piece is changed while the last one may be under way, so each goes as a copy.
      yield Buffer.from(piece);
    }
  }
  const received = createHash('sha256');
  let total = 0;
  await Promise.all([
    pipeline(Readable.from(chunks()), client),
    pipeline(peer, async (source: AsyncIterable<Buffer>) => {
      for await (const chunk of source) {
        received.update(chunk);
        total += chunk.length;
      }
    }),
  ]);
  assert.equal(total, pieces * MEGABYTE);
  assert.equal(received.digest('hex'), sent.digest('hex'));
  assert.equal(client.bytesWritten, total);
  assert.equal(peer.bytesRead, total);
});
