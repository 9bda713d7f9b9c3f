/** Somebody far down a row of streams stops reading: the source is asked for no more, through the socket, until they go on. */
import assert from 'node:assert/strict';
import { createCipheriv, createDecipheriv, createHash, type Hash } from 'node:crypto';
import nodeNet, { type Socket } from 'node:net';
import path from 'node:path';
import { Readable, Writable, type Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ByteLengthQueuingStrategy, type ReadableStream, WritableStream } from 'node:stream/web';
import type { TestContext } from 'node:test';
import { createGunzip, createGzip } from 'node:zlib';
import net from 'afunix';
import { compose } from '../helpers/compose';
import { collectGarbage } from '../helpers/collect-garbage';
import { bytes, happens, listening, settled } from './support';
import { bothWays, isOurs, placeFor, type Way } from './ways';

const MEGABYTE = 1024 * 1024;
const PIECES = 512;
const PIECE = 64 * 1024;

/** What may be under way while nobody reads: the queue of the socket, which grows once, and what each stream holds. */
const MOST_UNDER_WAY = 6 * MEGABYTE;

const KEY = bytes(32, 1);
const VECTOR = bytes(16, 2);

/** Random bytes, so that gzip does not make them less. */
interface Source {
  readonly stream: Readable;
  readonly hash: Hash;
  produced: number;
}

function sourceOf(pieces: number): Source {
  const hash = createHash('sha256');
  const piece = bytes(PIECE, 7);
  const source: Source = {
    hash,
    produced: 0,
    stream: new Readable({
      read() {
        if (source.produced === pieces) {
          this.push(null);
          return;
        }
        const own = Buffer.from(piece);
        own.writeUInt32LE(source.produced);
        hash.update(own);
        source.produced += 1;
        this.push(own);
      },
    }),
  };
  return source;
}

/** Takes nothing until it is released. */
class Sink extends Writable {
  readonly hash = createHash('sha256');
  taken = 0;
  #released = false;
  #waiting: (() => void) | null = null;

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: () => void): void {
    const take = (): void => {
      this.hash.update(chunk);
      this.taken += chunk.length;
      done();
    };
    if (this.#released) take();
    else this.#waiting = take;
  }

  release(): void {
    this.#released = true;
    this.#waiting?.();
  }
}

/** With a mark of its own: without one, Node's adapter takes the mark of the stream, which is in bytes, for a number of chunks. */
function webOf(stream: Readable): ReadableStream<Uint8Array> {
  const strategy = new ByteLengthQueuingStrategy({ highWaterMark: PIECE });
  const toWeb = Readable.toWeb as (stream: Readable, options: object) => unknown;
  return toWeb(stream, { strategy }) as ReadableStream<Uint8Array>;
}

interface Row {
  send(source: Readable, client: Socket): Promise<unknown>;
  receive(peer: Socket, sink: Writable): Promise<unknown>;
}

const rows: Readonly<Record<string, Row>> = {
  'pipeline() at both ends': {
    send: (source, client) => pipeline(source, client),
    receive: (peer, sink) => pipeline(peer, sink),
  },
  'gzip and gunzip': {
    send: (source, client) => pipeline(source, createGzip({ level: 1 }), client),
    receive: (peer, sink) => pipeline(peer, createGunzip(), sink),
  },
  'compose() with a cipher, and with its decipher': {
    send: (source, client) =>
      pipeline(source, compose(createCipheriv('aes-256-ctr', KEY, VECTOR), client)),
    receive: (peer, sink) =>
      pipeline(peer.compose<Duplex>(createDecipheriv('aes-256-ctr', KEY, VECTOR)), sink),
  },
  'write() until it says false, and for await': {
    async send(source, client) {
      for await (const chunk of source as AsyncIterable<Buffer>) {
        if (!client.write(chunk)) await happens(client, 'drain');
      }
      client.end();
    },
    async receive(peer, sink) {
      for await (const chunk of peer as AsyncIterable<Buffer>) {
        if (!sink.write(chunk)) await happens(sink, 'drain');
      }
      sink.end();
      await happens(sink, 'finish');
    },
  },
  'web streams at both ends': {
    async send(source, client) {
      const writer = Writable.toWeb(client).getWriter();
      for await (const chunk of webOf(source)) await writer.write(chunk);
      await writer.close();
    },
    receive: (peer, sink) =>
      webOf(peer).pipeTo(
        new WritableStream<Uint8Array>({
          async write(chunk) {
            if (!sink.write(chunk)) await happens(sink, 'drain');
          },
        }),
      ),
  },
};

/** Both ends; half-open, so that a direction is over when it is, and not when the other one is. */
async function ends(t: TestContext, way: Way): Promise<[client: Socket, peer: Socket]> {
  const to = path.join(placeFor(t).by[way], 's');
  const implementation = (way === 'hook' ? net : nodeNet) as typeof nodeNet;
  const server = await listening(t, implementation.createServer(), to);
  const accepted = happens(server, 'connection');
  const client = implementation.connect(to);
  t.after(() => client.destroy());
  const [peer] = (await accepted) as [Socket];
  assert.ok(isOurs(client) && isOurs(peer));
  return [client, peer];
}

for (const [name, { send, receive }] of Object.entries(rows)) {
  bothWays(name, async (t, way) => {
    const [client, peer] = await ends(t, way);
    const source = sourceOf(PIECES);
    const sink = new Sink();
    const all = Promise.all([send(source.stream, client), receive(peer, sink)]);
    await settled(() => source.produced);
    const held = source.produced * PIECE;
    assert.ok(held > 0 && held <= MOST_UNDER_WAY, `${held} bytes were under way`);
    assert.equal(sink.taken, 0);
    sink.release();
    await all;
    assert.equal(sink.taken, PIECES * PIECE);
    assert.equal(sink.hash.digest('hex'), source.hash.digest('hex'));
  });
}

bothWays('200 MB pass, and memory stays as it was', async (t, way) => {
  const [client, peer] = await ends(t, way);
  const source = sourceOf((200 * MEGABYTE) / PIECE);
  const received = createHash('sha256');
  const held: number[] = [];
  let total = 0;
  await Promise.all([
    pipeline(source.stream, client),
    pipeline(peer, async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) {
        received.update(chunk);
        const before = total;
        total += chunk.length;
        if (Math.floor(total / (20 * MEGABYTE)) === Math.floor(before / (20 * MEGABYTE))) continue;
        collectGarbage();
        const { heapUsed, external } = process.memoryUsage();
        held.push(heapUsed + external);
      }
    }),
  ]);
  assert.equal(total, 200 * MEGABYTE);
  assert.equal(received.digest('hex'), source.hash.digest('hex'));
  const [first = 0, ...later] = held;
  assert.ok(later.length >= 8);
  // Newer engines free the memory of buffers behind a collection's back, so one figure may be too high; what stays is in all of them.
  const growth = Math.min(...later.slice(-4)) - first;
  assert.ok(growth < 32 * MEGABYTE, `${growth} bytes more at the end`);
});
