/** The memory of `onread` is taken away in the middle of a stream: reading fails, and nobody writes there any more. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { runLone } from '../helpers/lone-process';
import { freshPath } from '../helpers/socket-paths';

interface WayContext {
  readonly require: NodeJS.Require;
  /** Takes the memory away; what it has become, if it still is somewhere. */
  take(buffer: Uint8Array): Uint8Array | undefined;
}

/** How the memory goes. Each function runs in another process and uses nothing else from this file. */
const ways: Readonly<Record<string, (context: WayContext['require']) => WayContext['take']>> = {
  'transferred by structuredClone()': () => (buffer) => {
    const { buffer: memory } = buffer;
    return new Uint8Array(structuredClone(memory, { transfer: [memory as ArrayBuffer] }));
  },
  'transferred through a message channel': (require) => (buffer) => {
    const { MessageChannel, receiveMessageOnPort } =
      require('node:worker_threads') as typeof import('node:worker_threads');
    const { port1, port2 } = new MessageChannel();
    port1.postMessage(buffer, [buffer.buffer as ArrayBuffer]);
    const moved = receiveMessageOnPort(port2) as { message: Uint8Array };
    port1.close();
    return moved.message;
  },
  'resized to nothing': () => (buffer) => {
    (buffer.buffer as ArrayBuffer & { resize(length: number): void }).resize(0);
    return undefined;
  },
};

/** When: called with what takes it, in the callback of the given read or not; the reader is paused if it says so. */
const moments = ['in the callback', 'between two reads', 'while paused'] as const;

interface Told {
  readonly error: readonly unknown[];
  readonly hadError: boolean;
  readonly readsBefore: number;
  readonly readsAfter: number;
  /** Whether what was taken stayed as it was. */
  readonly untouched: boolean;
  /** What another connection of the process sent and got back afterwards. */
  readonly echoed: string;
}

async function takeAway(t: TestContext, way: string, moment: string): Promise<Told> {
  const parameters = { address: freshPath(t), way: `(${String(ways[way])})`, moment };
  const lines = await runLone(t, parameters, async ({ net, require, parameters, say }) => {
    const { runInThisContext } = require('node:vm') as typeof import('node:vm');
    const make = runInThisContext(parameters.way) as (
      require: NodeJS.Require,
    ) => (buffer: Uint8Array) => Uint8Array | undefined;
    const take = make(require);
    const { address, moment } = parameters;

    const server = net.createServer((peer) => {
      peer.on('error', () => undefined);
      // An endless stream, and an echo for whoever asks.
      const flood = (): void => {
        while (!peer.destroyed && peer.write(Buffer.alloc(50_000, 7)));
      };
      peer.once('data', (chunk: Buffer) => {
        if (String(chunk) !== 'flood') return void peer.end(chunk);
        peer.on('drain', flood);
        flood();
      });
    });
    await new Promise<void>((resolve) => server.listen(address, () => resolve()));

    const resizable = ArrayBuffer as unknown as new (
      length: number,
      options: { maxByteLength: number },
    ) => ArrayBuffer;
    const buffer = new Uint8Array(new resizable(4096, { maxByteLength: 4096 }));
    let taken: Uint8Array | undefined;
    let was: Buffer | undefined;
    let reads = 0;
    let readsBefore = -1;
    const takeNow = (): void => {
      readsBefore = reads;
      taken = take(buffer);
      if (taken !== undefined) {
        taken.fill(1);
        was = Buffer.from(taken);
      }
    };
    const client = net.connect({
      path: address,
      onread: {
        buffer,
        callback: () => {
          reads += 1;
          if (reads === 5) {
            if (moment === 'in the callback') takeNow();
            else if (moment === 'between two reads') setImmediate(takeNow);
            else {
              client.pause();
              setTimeout(() => {
                takeNow();
                client.resume();
              }, 20);
            }
          }
          return true;
        },
      },
    });
    let failure: NodeJS.ErrnoException | undefined;
    client.on('error', (error) => (failure = error));
    client.write('flood');
    const hadError = await new Promise<boolean>((resolve) => client.on('close', resolve));

    const other = net.connect(address);
    other.end('still here');
    let echoed = '';
    for await (const chunk of other) echoed += String(chunk);
    server.close();
    const { code, errno, syscall } = failure ?? ({} as NodeJS.ErrnoException);
    const told: Told = {
      error: [code, errno, syscall],
      hadError,
      readsBefore,
      readsAfter: reads,
      untouched: taken === undefined || was?.equals(taken) === true,
      echoed,
    };
    say(JSON.stringify(told));
  });
  return JSON.parse(lines.join('\n')) as Told;
}

for (const way of Object.keys(ways)) {
  for (const moment of moments) {
    test(`memory ${way} ${moment} is ENOBUFS, and nothing else happens`, async (t) => {
      const told = await takeAway(t, way, moment);
      assert.deepEqual(told.error, ['ENOBUFS', -105, 'read']);
      assert.equal(told.hadError, true);
      assert.ok(told.readsBefore >= 5);
      // What had been read before it was taken may still be told.
      assert.ok(told.readsAfter <= told.readsBefore + 1, `${told.readsAfter} reads`);
      assert.equal(told.untouched, true, 'written to after it was taken');
      assert.equal(told.echoed, 'still here');
    });
  }
}

test('a function that gives memory without bytes is ENOBUFS at the next read', async (t) => {
  const lines = await runLone(t, { address: freshPath(t) }, ({ net, parameters, say }) => {
    const server = net.createServer((peer) => {
      peer.on('error', () => undefined);
      peer.write(Buffer.alloc(10_000));
    });
    server.listen(parameters.address);
    let asked = 0;
    let reads = 0;
    const buffer = (): Uint8Array => new Uint8Array((asked += 1) === 3 ? 0 : 100);
    const callback = (): boolean => (reads += 1) > 0;
    const onread = { buffer, callback } as unknown as import('node:net').OnReadOpts;
    const client = net.connect({ path: parameters.address, onread });
    client.on('error', ({ code }: NodeJS.ErrnoException) => say(code));
    client.on('close', () => {
      say(reads);
      server.close();
    });
  });
  assert.deepEqual(lines, ['ENOBUFS', '2']);
});

test('memory that shrinks is filled no further than it goes', async (t) => {
  const lines = await runLone(t, { address: freshPath(t) }, ({ net, parameters, say }) => {
    const total = 10_000;
    const server = net.createServer((peer) => peer.end(Buffer.alloc(total)));
    server.listen(parameters.address);
    const resizable = ArrayBuffer as unknown as new (
      length: number,
      options: { maxByteLength: number },
    ) => ArrayBuffer & { resize(length: number): void };
    const memory = new resizable(1000, { maxByteLength: 1000 });
    const lengths: number[] = [];
    const callback = (length: number): boolean => {
      lengths.push(length);
      memory.resize(100);
      return true;
    };
    const onread = { buffer: new Uint8Array(memory), callback };
    const client = net.connect({ path: parameters.address, onread });
    client.on('close', () => {
      say(lengths[0]);
      say(Math.max(...lengths.slice(1)));
      say(lengths.reduce((sum, length) => sum + length) === total);
      server.close();
    });
  });
  assert.deepEqual(lines, ['1000', '100', 'true']);
});
