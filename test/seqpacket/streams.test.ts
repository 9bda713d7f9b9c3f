/** Message sockets as streams, among other streams: a message is a chunk, whoever waits is waited for, and an end in the middle is one everywhere. */
import assert from 'node:assert/strict';
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { addAbortSignal, Duplex, Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { TransformStream, WritableStream } from 'node:stream/web';
import { test, type TestContext } from 'node:test';
import { createGunzip, createGzip } from 'node:zlib';
import type { Socket } from 'afunix/seqpacket';
import { compose } from '../helpers/compose';
import { settled, sha256 } from '../integration/support';
import { connected, fault, happens, numbered, pairOf, randomNumbers, until } from './support';

const MOST = 64 * 1024;

/** Messages of all lengths but none, as a stream would give them. */
function* numberedMessages(count: number): Generator<Buffer> {
  const random = randomNumbers(5);
  for (let number = 0; number < count; number += 1) yield numbered(number, 1 + random(MOST));
}

/** Compares what comes with those. */
async function compareAll(chunks: AsyncIterable<Uint8Array>, count: number): Promise<void> {
  const random = randomNumbers(5);
  let number = 0;
  for await (const chunk of chunks) {
    assert.equal(fault(Buffer.from(chunk), number, 1 + random(MOST)), undefined);
    number += 1;
  }
  assert.equal(number, count);
}

test('pipeline() from socket to socket keeps every boundary', async (t) => {
  const [first, second] = pairOf(t);
  const [third, fourth] = pairOf(t);
  await Promise.all([
    pipeline(Readable.from(numberedMessages(2000)), first.toDuplex()),
    pipeline(second.toDuplex(), third.toDuplex()),
    compareAll(fourth.toDuplex(), 2000),
  ]);
});

test('gzip and a cipher in front of the socket, a decipher and gunzip behind it', async (t) => {
  const { client, peer } = await connected(t);
  const key = Buffer.alloc(32, 1);
  const vector = Buffer.alloc(16, 2);
  const text = Array.from({ length: 200_000 }, (_, i) => `line ${i}\n`).join('');
  const chunks: Buffer[] = [];
  await Promise.all([
    pipeline(
      Readable.from([Buffer.from(text)]),
      createGzip(),
      createCipheriv('aes-256-ctr', key, vector),
      client.toDuplex(),
    ),
    pipeline(
      peer.toDuplex(),
      createDecipheriv('aes-256-ctr', key, vector),
      createGunzip(),
      async (source: AsyncIterable<Buffer>) => {
        for await (const chunk of source) chunks.push(chunk);
      },
    ),
  ]);
  assert.equal(sha256(Buffer.concat(chunks)), sha256(text));
});

test('compose(): requests and answers as objects', async (t) => {
  const [client, peer] = pairOf(t);
  const peerStream = peer.toDuplex();
  peerStream.on('data', (message: Buffer) => {
    const { number } = JSON.parse(message.toString()) as { number: number };
    peerStream.write(JSON.stringify({ twice: 2 * number }));
  });
  const encoded = async function* (values: AsyncIterable<object>): AsyncGenerator<Buffer> {
    for await (const value of values) yield Buffer.from(JSON.stringify(value));
  };
  const decoded = async function* (messages: AsyncIterable<Buffer>): AsyncGenerator {
    for await (const message of messages) yield JSON.parse(message.toString()) as unknown;
  };
  const calls = compose(
    Duplex.from(encoded as never),
    client.toDuplex(),
    Duplex.from(decoded as never),
  );
  for (let number = 0; number < 50; number += 1) calls.write({ number });
  calls.end();
  const answers: unknown[] = [];
  for await (const answer of calls) answers.push(answer);
  assert.deepEqual(
    answers,
    Array.from({ length: 50 }, (_, number) => ({ twice: 2 * number })),
  );
});

test('web streams both ways: an echo by pipeTo(), through a TransformStream', async (t) => {
  const { client, peer } = await connected(t);
  const left = client.toWeb();
  const right = peer.toWeb();
  const twice = new TransformStream<Uint8Array, Uint8Array>({
    transform(message, controller) {
      controller.enqueue(message);
      controller.enqueue(message);
    },
  });
  // As with net, a socket ends when its peer does: so nobody ends here before everything has come back.
  const seen: number[] = [];
  const all = (async () => {
    const reader = left.readable.getReader();
    while (seen.length < 600) seen.push((await reader.read()).value?.length ?? -1);
  })();
  right.readable
    .pipeThrough(twice)
    .pipeTo(right.writable)
    .catch(() => undefined);
  const writer = left.writable.getWriter();
  for (let length = 1; length <= 300; length += 1) await writer.write(Buffer.alloc(length));
  await all;
  assert.deepEqual(
    seen,
    Array.from({ length: 600 }, (_, i) => Math.floor(i / 2) + 1),
  );
});

test('Duplex.fromWeb() of toWeb() carries on where the socket was', async (t) => {
  const [a, b] = pairOf(t);
  const again = Duplex.fromWeb(a.toWeb(), { objectMode: true });
  const echo = b.toDuplex();
  echo.pipe(echo);
  const messages = ['one', 'three', 'five'];
  for (const message of messages) again.write(Buffer.from(message));
  again.end();
  const seen: string[] = [];
  for await (const message of again) seen.push(Buffer.from(message as Uint8Array).toString());
  assert.deepEqual(seen, messages);
});

const COUNT = 20_000;
const LENGTH = 1000;
/** Messages in two queues of the kernel's and of streams, of which most hold 16; gathered batches on top. */
const MOST_UNDER_WAY = 6000;

interface Row {
  send(source: Readable, socket: Socket): Promise<unknown>;
  receive(socket: Socket, sink: Writable): Promise<unknown>;
}

const rows: Readonly<Record<string, Row>> = {
  'toDuplex() at both ends': {
    send: (source, socket) => pipeline(source, socket.toDuplex()),
    receive: (socket, sink) => pipeline(socket.toDuplex(), sink),
  },
  'toWeb() at both ends': {
    send: (source, socket) => Readable.toWeb(source).pipeTo(socket.toWeb().writable as never),
    receive: (socket, sink) =>
      socket.toWeb().readable.pipeTo(Writable.toWeb(sink) as WritableStream<Uint8Array>),
  },
};

for (const [name, { send, receive }] of Object.entries(rows)) {
  test(`${name}: a reader that stops is waited for by the source`, async (t) => {
    const { client, peer } = await connected(t);
    let produced = 0;
    const source = new Readable({
      objectMode: true,
      read() {
        this.push(produced < COUNT ? numbered((produced += 1), LENGTH) : null);
      },
    });
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    let taken = 0;
    const sink = new Writable({
      objectMode: true,
      write(message: Buffer, _encoding, done) {
        void released.then(() => {
          taken += 1;
          done(assertFault(message, taken));
        });
      },
    });
    const all = Promise.all([send(source, client), receive(peer, sink)]);
    await settled(() => produced);
    assert.ok(produced > 0 && produced <= MOST_UNDER_WAY, `${produced} messages were under way`);
    assert.equal(taken, 0);
    release();
    await all;
    assert.equal(taken, COUNT);
  });
}

function assertFault(message: Buffer, number: number): Error | null {
  const wrong = fault(Buffer.from(message), number, LENGTH);
  return wrong === undefined ? null : new Error(wrong);
}

function endless(): Readable {
  return new Readable({
    objectMode: true,
    read() {
      this.push(Buffer.alloc(LENGTH));
    },
  });
}

interface Work {
  readonly over: Promise<unknown>;
  readonly other: Readable | Writable;
}

/** `told` is called once for each message that has arrived. */
type Start = (socket: Socket, signal: AbortSignal, told: () => void) => Work;

const sink = (told: () => void): Writable =>
  new Writable({
    objectMode: true,
    write(_message, _encoding, done) {
      told();
      done();
    },
  });

const writing: Readonly<Record<string, Start>> = {
  'pipeline() into toDuplex()': (socket, signal) => {
    const other = endless();
    return { over: pipeline(other, socket.toDuplex(), { signal }), other };
  },
  'pipeTo() into toWeb()': (socket, signal) => {
    const other = endless();
    const over = Readable.toWeb(other).pipeTo(socket.toWeb().writable as never, { signal });
    return { over, other };
  },
};
const reading: Readonly<Record<string, Start>> = {
  'pipeline() out of toDuplex()': (socket, signal, told) => {
    const other = sink(told);
    return { over: pipeline(socket.toDuplex(), other, { signal }), other };
  },
  'for await over toDuplex()': (socket, signal, told) => {
    const other = sink(told).on('error', () => undefined);
    const over = (async () => {
      for await (const _ of addAbortSignal(signal, socket.toDuplex())) {
        if (other.errored !== null) throw other.errored;
        told();
      }
    })();
    return { over, other };
  },
  'pipeTo() out of toWeb()': (socket, signal, told) => {
    const other = sink(told).on('error', () => undefined);
    const into = new WritableStream<Uint8Array>({
      write() {
        if (other.errored !== null) throw other.errored;
        told();
      },
    });
    return { over: socket.toWeb().readable.pipeTo(into, { signal }), other };
  },
};

const interruptions: Readonly<
  Record<string, (socket: Socket, peer: Socket, work: Work, controller: AbortController) => unknown>
> = {
  'its socket is destroyed': (socket) => socket.destroy(),
  'its socket is destroyed with an error': (socket) => socket.destroy(new Error('on purpose')),
  'its signal is aborted': (_socket, _peer, _work, controller) => controller.abort(),
  'the other stream fails': (_socket, _peer, { other }) => other.destroy(new Error('the other')),
  'the other end is gone': (_socket, peer) => peer.destroy(),
};

async function interrupt(
  t: TestContext,
  start: Start,
  how: string,
  writes: boolean,
): Promise<unknown> {
  const { client, peer } = await connected(t);
  peer.on('error', () => undefined);
  client.on('error', () => undefined);
  const controller = new AbortController();
  let arrived = 0;
  const told = (): void => void (arrived += 1);
  const feeding = writes
    ? peer.on('message', told)
    : pipeline(endless(), peer.toDuplex()).catch(() => undefined);
  const closed = happens(client, 'close');
  const work = start(client, controller.signal, told);
  const outcome = work.over.then(
    () => undefined,
    (error: unknown) => error,
  );
  await until(() => arrived > 500);
  interruptions[how]?.(client, peer, work, controller);
  const error = await outcome;
  await closed;
  await feeding;
  assert.equal(client.destroyed, true);
  return error;
}

for (const how of Object.keys(interruptions)) {
  for (const [name, start] of Object.entries({ ...writing, ...reading })) {
    const writes = name in writing;
    test(`${name}, and ${how}`, async (t) => {
      const error = (await interrupt(t, start, how, writes)) as
        (Error & { code?: string }) | undefined;
      // Who only reads has read everything that a peer sent before it was gone.
      if (how === 'the other end is gone' && !writes) return;
      assert.ok(error instanceof Error, 'nobody was told');
      if (how === 'its socket is destroyed with an error')
        assert.equal(error.message, 'on purpose');
      if (how === 'the other stream fails') assert.equal(error.message, 'the other');
      if (how === 'its signal is aborted') assert.equal(error.name, 'AbortError');
    });
  }
}
