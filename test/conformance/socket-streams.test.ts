/**
 * Sockets among other streams, interrupted in the middle: whatever `net`'s socket makes of it (what is destroyed, and what whoever waits is
 * told) ours makes of it, too, and nothing stays open.
 */
import assert from 'node:assert/strict';
import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { Socket } from 'node:net';
import { addAbortSignal, Duplex, Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { WritableStream } from 'node:stream/web';
import { createGunzip, createGzip } from 'node:zlib';
import { scenario, type Stage } from './scenario';
import { compose } from '../helpers/compose';
import { happens, pair, pattern, tolerate } from '../helpers/sockets';

/** It is interrupted when this much has arrived. */
const MIDDLE = 1_000_000;

const KEY = pattern(32);
const VECTOR = pattern(16);
/** Longer than what gzip looks back on, so that it stays as long as it is. */
const CHUNK = pattern(64 * 1024);

const cipher = (): Duplex => createCipheriv('aes-256-ctr', KEY, VECTOR);
const decipher = (): Duplex => createDecipheriv('aes-256-ctr', KEY, VECTOR);

function endless(): Readable {
  return new Readable({
    read() {
      this.push(CHUNK);
    },
  });
}

/** A chunk a turn: up to Node 22, `Writable.toWeb()` takes as many chunks at once as its stream would take bytes. */
function endlessInTurns(): Readable {
  return new Readable({
    read() {
      setImmediate(() => this.push(CHUNK));
    },
  });
}

function* chunks(): Generator<Buffer> {
  for (;;) yield CHUNK;
}

/** A socket at work in some arrangement of streams. */
interface Work {
  /** Settles when the arrangement is over. */
  readonly over: Promise<unknown>;
  /** The stream at its other end. */
  readonly other: Readable | Writable;
}

type Write = (client: Socket, signal: AbortSignal) => Work;
/** `told` is called with the length of each chunk. */
type Read = (client: Socket, signal: AbortSignal, told: (length: number) => void) => Work;

/** What a stream of the web does not take of a signal is the socket's. */
const abortable = (signal: AbortSignal, client: Socket): Socket => addAbortSignal(signal, client);

const writing: Readonly<Record<string, Write>> = {
  'pipeline() into a socket': (client, signal) => {
    const other = endless();
    return { over: pipeline(other, client, { signal }), other };
  },
  'Readable.from() into a socket': (client, signal) => {
    const other = Readable.from(chunks(), { objectMode: false });
    return { over: pipeline(other, client, { signal }), other };
  },
  'gzip into a socket': (client, signal) => {
    const other = endless();
    return { over: pipeline(other, createGzip({ level: 1 }), client, { signal }), other };
  },
  'a cipher into a socket': (client, signal) => {
    const other = endless();
    return { over: pipeline(other, cipher(), client, { signal }), other };
  },
  'compose() with a socket at its end': (client, signal) => {
    const other = endless();
    const composed = compose(cipher(), client);
    return { over: pipeline(other, composed, { signal }), other };
  },
  'pipeTo() into Writable.toWeb() of a socket': (client, signal) => {
    const other = endlessInTurns();
    return { over: Readable.toWeb(other).pipeTo(Writable.toWeb(client), { signal }), other };
  },
  'pipeline() into Duplex.fromWeb() of Duplex.toWeb() of a socket': (client, signal) => {
    const other = endless();
    const again = Duplex.fromWeb(Duplex.toWeb(client));
    return { over: pipeline(other, again, { signal }), other };
  },
};

function counting(told: (length: number) => void): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      told(chunk.length);
      done();
    },
  });
}

async function countAll(
  source: AsyncIterable<Uint8Array>,
  other: Writable,
  told: (length: number) => void,
): Promise<void> {
  for await (const { length } of source) {
    // Whoever reads fails: it is no stream, so this is its error.
    if (other.errored !== null) throw other.errored;
    told(length);
  }
}

const reading: Readonly<Record<string, Read>> = {
  'pipeline() out of a socket': (client, signal, told) => {
    const other = counting(told);
    return { over: pipeline(client, other, { signal }), other };
  },
  'gunzip out of a socket': (client, signal, told) => {
    const other = counting(told);
    return { over: pipeline(client, createGunzip(), other, { signal }), other };
  },
  'a decipher out of a socket': (client, signal, told) => {
    const other = counting(told);
    return { over: pipeline(client, decipher(), other, { signal }), other };
  },
  'compose() of a socket': (client, signal, told) => {
    const other = counting(told);
    const composed = abortable(signal, client).compose<Duplex>(decipher());
    return { over: pipeline(composed, other), other };
  },
  'for await': (client, signal, told) => {
    const other = counting(told).on('error', () => {});
    return { over: countAll(abortable(signal, client), other, told), other };
  },
  'pipeTo() out of Readable.toWeb() of a socket': (client, signal, told) => {
    const other = counting(told);
    return { over: Readable.toWeb(client).pipeTo(Writable.toWeb(other), { signal }), other };
  },
  'for await over Readable.toWeb() of a socket': (client, signal, told) => {
    const other = counting(told).on('error', () => {});
    const source = Readable.toWeb(abortable(signal, client));
    return { over: countAll(source as AsyncIterable<Uint8Array>, other, told), other };
  },
};

interface Interrupted {
  readonly client: Socket;
  readonly peer: Socket;
  readonly work: Work;
  readonly controller: AbortController;
}

const interruptions: Readonly<Record<string, (interrupted: Interrupted) => unknown>> = {
  'its socket is destroyed': ({ client }) => client.destroy(),
  'its socket is destroyed with an error': ({ client }) => client.destroy(new Error('on purpose')),
  'its signal is aborted': ({ controller }) => controller.abort(),
  'the other stream fails': ({ work }) => work.other.destroy(new Error('the other')),
  'the other end is gone': ({ peer }) => peer.destroy(),
};

/** How it ended, as far as that is no matter of chance: a peer that is gone is noticed while reading or while writing. */
async function outcomeOf(over: Promise<unknown>, gone: boolean): Promise<string> {
  try {
    await over;
    return 'fulfilled';
  } catch (error) {
    if (gone) return 'rejected';
    const { name, code, message } = error as NodeJS.ErrnoException;
    return `${name} ${code ?? message}`;
  }
}

/** Calls `told` with the lengths of what arrives until the middle of it has been reached. */
function middle(): { readonly reached: Promise<void>; told(length: number): void } {
  let reach = (): void => undefined;
  const reached = new Promise<void>((resolve) => (reach = resolve));
  let total = 0;
  const told = (length: number): void => {
    total += length;
    if (total >= MIDDLE) reach();
  };
  return { reached, told };
}

async function interrupt(
  stage: Stage,
  { client, peer }: { readonly client: Socket; readonly peer: Socket },
  start: (signal: AbortSignal, told: (length: number) => void) => Work,
  how: string,
): Promise<void> {
  tolerate(peer);
  const controller = new AbortController();
  const { reached, told } = middle();
  const closed = happens(client, 'close');
  const work = start(controller.signal, told);
  const gone = how === 'the other end is gone';
  const outcome = outcomeOf(work.over, gone);
  await reached;
  interruptions[how]?.({ client, peer, work, controller });
  stage.trace('outcome', await outcome);
  await closed;
  stage.trace('destroyed', client.destroyed);
  assert.equal(client.destroyed, true);
}

for (const how of Object.keys(interruptions)) {
  for (const [name, write] of Object.entries(writing)) {
    scenario(`${name}, and ${how}`, async (stage) => {
      const { client, peer } = await pair(stage);
      await interrupt(
        stage,
        { client, peer },
        (signal, told) => {
          peer.on('data', (chunk: Buffer) => told(chunk.length));
          return write(client, signal);
        },
        how,
      );
    });
  }
  for (const [name, read] of Object.entries(reading)) {
    scenario(`${name}, and ${how}`, async (stage) => {
      const { client, peer } = await pair(stage);
      const steps = name.startsWith('gunzip') ? [createGzip({ level: 1 })] : [];
      const feeding = pipeline([endless(), ...steps, peer]).catch(() => {});
      await interrupt(stage, { client, peer }, (signal, told) => read(client, signal, told), how);
      await feeding;
    });
  }
}

scenario(
  'a source that ends in the middle of nothing ends the socket, and it is no error',
  async (stage) => {
    const { client, peer } = await pair(stage);
    const closed = happens(client, 'close');
    peer.resume();
    await pipeline(Readable.from([]), client);
    const [hadError] = await closed;
    stage.trace('client', hadError);
    assert.equal(hadError, false);
  },
);

scenario('a signal that was aborted beforehand lets nothing through', async (stage) => {
  const { client, peer } = await pair(stage);
  const closed = happens(client, 'close');
  peer.resume();
  const signal = AbortSignal.abort();
  stage.trace('pipeline', await outcomeOf(pipeline(endless(), client, { signal }), false));
  await closed;
  stage.trace('client', client.destroyed, client.bytesWritten);
  const second = await pair(stage);
  const sink = new WritableStream<Uint8Array>();
  const piping = Readable.toWeb(second.client).pipeTo(sink as never, { signal });
  stage.trace('pipeTo', await outcomeOf(piping, false));
  await happens(second.client, 'close');
});
