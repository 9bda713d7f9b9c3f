/**
 * Busy polling looks for events before it sleeps. It shows in how often the engine looks: on epoll each look is a system
 * call, on io_uring it is none and shows in processor time. The rest of the program goes on meanwhile, and the burning ends.
 */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { type Afunix, type LoneOptions, runLone } from '../helpers/lone-process';
import { freshPath } from '../helpers/socket-paths';

interface Context {
  readonly net: Afunix;
  readonly require: NodeJS.Require;
  readonly address: string;
  readonly word: string;
  say(line: unknown): void;
  /** Exchanges that many messages over the pair, one after the other, each in a turn of its own. */
  exchange(pair: readonly Socket[], messages: number): Promise<void>;
  /** What looking has cost so far: calls on epoll, on io_uring processor time in units of 50 µs. */
  cost(): number;
  /** System calls of the engine in that many milliseconds; on io_uring some for each millisecond of polling. */
  looks(milliseconds: number): Promise<number>;
}

/** `body` runs in another process and uses nothing else from this file. */
function alone(
  t: TestContext,
  body: (context: Context) => unknown,
  { word = '', ...options }: LoneOptions & { readonly word?: string } = {},
): Promise<readonly string[]> {
  const parameters = { address: freshPath(t), word, body: `(${String(body)})` };
  return runLone(
    t,
    parameters,
    ({ net, require, parameters, say }) => {
      const { runInThisContext } = require('node:vm') as typeof import('node:vm');
      const body = runInThisContext(parameters.body) as (context: Context) => unknown;
      const exchange = async ([one, other]: readonly Socket[], messages: number): Promise<void> => {
        if (one === undefined || other === undefined) throw new Error('no pair');
        for (let message = 0; message < messages; message += 1) {
          const arrived = new Promise((resolve) => other.once('data', resolve));
          one.write('x');
          await arrived;
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      };
      const looks = (milliseconds: number): Promise<number> =>
        new Promise((resolve) => {
          const before = net.stats().syscalls;
          setTimeout(() => resolve(net.stats().syscalls - before), milliseconds);
        });
      const cost = (): number => {
        const { engine, syscalls } = net.stats();
        if (engine === 'epoll') return syscalls;
        const { user, system } = process.cpuUsage();
        return (user + system) / 50;
      };
      const { address, word } = parameters;
      return body({ net, require, address, word, say, exchange, cost, looks });
    },
    options,
  );
}

/** A message takes a handful of calls, or a millisecond under a sanitizer; polling takes many more, even on a busy machine. */
const messages = 20;
const withoutPolling = messages * 40;
const withPolling = messages * 60;

async function callsOf(
  t: TestContext,
  body: (context: Context) => unknown,
  options?: LoneOptions,
): Promise<number> {
  return Number((await alone(t, body, options))[0]);
}

const plain = async ({ net, say, exchange, cost }: Context): Promise<void> => {
  const pair = net.socketpair();
  const before = cost();
  await exchange(pair, 20);
  say(cost() - before);
  for (const socket of pair) socket.destroy();
};

test('without it the engine makes a few system calls for each message', async (t) => {
  const calls = await callsOf(t, plain);
  assert.ok(calls < withoutPolling, `${calls} calls`);
});

test('configure({ busyPoll }) makes every socket poll', async (t) => {
  const calls = await callsOf(t, async ({ net, say, exchange, cost }) => {
    net.configure({ busyPoll: 19_000 });
    const pair = net.socketpair();
    const before = cost();
    await exchange(pair, 20);
    say(cost() - before);
    for (const socket of pair) socket.destroy();
  });
  assert.ok(calls > withPolling, `${calls} calls`);
});

test('configure({ busyPoll }) works on sockets that are open already, and 0 ends it', async (t) => {
  const lines = await alone(t, async ({ net, say, exchange, cost }) => {
    const pair = net.socketpair();
    for (const busyPoll of [0, 19_000, 0]) {
      net.configure({ busyPoll });
      await exchange(pair, 1);
      const before = cost();
      await exchange(pair, 20);
      say(cost() - before);
    }
    for (const socket of pair) socket.destroy();
  });
  const [before = NaN, during = NaN, after = NaN] = lines.map(Number);
  assert.ok(before < withoutPolling, `${before} calls before`);
  assert.ok(during > withPolling, `${during} calls meanwhile`);
  assert.ok(after < withoutPolling, `${after} calls after`);
});

test('AFUNIX_BUSY_POLL makes every socket poll', async (t) => {
  const calls = await callsOf(t, plain, { env: { AFUNIX_BUSY_POLL: '19000' } });
  assert.ok(calls > withPolling, `${calls} calls`);
});

test('AFUNIX_BUSY_POLL=0, or nothing, means not to', async (t) => {
  for (const value of ['0', '']) {
    const calls = await callsOf(t, plain, { env: { AFUNIX_BUSY_POLL: value } });
    assert.ok(calls < withoutPolling, `${calls} calls`);
  }
});

for (const where of ['a socket that connects', 'a server, for what it accepts']) {
  test(`the option busyPoll of ${where} polls while that is open, and no longer`, async (t) => {
    const lines = await alone(
      t,
      async ({ net, address, word, say, exchange, cost }) => {
        const busy = { busyPoll: 19_000 };
        const server = net.createServer(word === 'connects' ? {} : busy);
        const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
        server.listen(address);
        const client = net.connect({ path: address, ...(word === 'connects' ? busy : {}) });
        const peer = await accepted;
        server.close();
        const another = net.socketpair();
        for (const pair of [[client, peer], another]) {
          const before = cost();
          await exchange(pair, 20);
          say(cost() - before);
          client.destroy();
          if (!peer.destroyed) await new Promise((resolve) => peer.resume().once('close', resolve));
        }
        for (const socket of another) socket.destroy();
      },
      { word: where.split(' ').at(-1) ?? '' },
    );
    const [open = NaN, closed = NaN] = lines.map(Number);
    assert.ok(open > withPolling, `${open} calls while it is open`);
    assert.ok(closed < withoutPolling, `${closed} calls when it is closed`);
  });
}

for (const busyPoll of [500, 5000, 50_000]) {
  test(`after ${busyPoll} µs without an event it sleeps, although connections are open`, async (t) => {
    const lines = await alone(
      t,
      async ({ net, word, say, exchange, looks }) => {
        net.configure({ busyPoll: Number(word) });
        const pair = net.socketpair();
        await exchange(pair, 3);
        // Long past the time that it was told to look.
        await new Promise((resolve) => setTimeout(resolve, 300));
        say(await looks(300));
        for (const socket of pair) socket.destroy();
      },
      { word: String(busyPoll) },
    );
    assert.deepEqual(lines, ['0']);
  });
}

test('the longest polling there is burns until its connections close, and not after that', async (t) => {
  const lines = await alone(t, async ({ net, say, exchange, looks }) => {
    net.configure({ busyPoll: 1_000_000 });
    const pair = net.socketpair();
    await exchange(pair, 3);
    // A busy machine may give it next to no time in one stretch.
    let calls = 0;
    for (let stretch = 0; stretch < 50 && calls <= 100; stretch += 1) calls += await looks(100);
    say(calls);
    const closed = pair.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
    for (const socket of pair) socket.destroy();
    await Promise.all(closed);
    say(await looks(5));
    say(await looks(300));
  });
  const [open = NaN, , closed = NaN] = lines.map(Number);
  assert.ok(open > 50, `${open} calls while they are open`);
  assert.equal(closed, 0);
});

test('sockets that hold nothing do not burn', async (t) => {
  const lines = await alone(t, async ({ net, say, exchange, looks }) => {
    net.configure({ busyPoll: 1_000_000 });
    const pair = net.socketpair();
    await exchange(pair, 3);
    for (const socket of pair) socket.unref();
    await looks(5);
    say(await looks(300));
  });
  assert.deepEqual(lines, ['0']);
});

for (const [busyPoll, how] of [
  [1_000_000, 'while it polls and'],
  [0, 'without polling,'],
] as const) {
  test(`timers, immediates, files, processes, and TCP go on ${how} while messages come`, async (t) => {
    const lines = await alone(
      t,
      async ({ net, require, word, say }) => {
        const fs = require('node:fs') as typeof import('node:fs');
        const tcp = require('node:net') as typeof import('node:net');
        const { execFile } = require('node:child_process') as typeof import('node:child_process');
        net.configure({ busyPoll: Number(word) });
        const [one, other] = net.socketpair();
        let messages = 0;
        other.on('data', (chunk) => {
          messages += 1;
          other.write(chunk);
        });
        one.on('data', (chunk) => one.write(chunk));
        one.write('x');

        const timers = new Promise<void>((resolve) => {
          let ticks = 0;
          const interval = setInterval(() => {
            if ((ticks += 1) < 20) return;
            clearInterval(interval);
            resolve();
          }, 5);
        });
        const immediates = new Promise<void>((resolve) => {
          let turns = 0;
          // eslint-disable-next-line @typescript-eslint/no-meaningless-void-operator -- programs under test do such things
          const turn = (): void => void ((turns += 1) === 20 ? resolve() : setImmediate(turn));
          turn();
        });
        const file = fs.promises.readFile('/proc/self/status');
        const child = new Promise<void>((resolve, reject) =>
          // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- programs under test do such things
          execFile('true', (error) => (error === null ? resolve() : reject(error))),
        );
        const signal = new Promise<void>((resolve) => process.once('SIGUSR2', () => resolve()));
        process.kill(process.pid, 'SIGUSR2');
        const exchanged = new Promise<void>((resolve) => {
          const server = tcp.createServer((peer) => peer.end('x'));
          server.listen(0, '127.0.0.1', () => {
            const { port } = server.address() as import('node:net').AddressInfo;
            const client = tcp.connect(port, '127.0.0.1').resume();
            client.on('close', () => server.close(() => resolve()));
          });
        });
        await Promise.all([timers, immediates, file, child, signal, exchanged]);
        say(messages);
        one.destroy();
        other.destroy();
      },
      { word: String(busyPoll) },
    );
    assert.ok(Number(lines[0]) > 100, `${lines[0]} messages meanwhile`);
  });
}

test('timers keep their time while it polls', async (t) => {
  const lines = await alone(t, async ({ net, say, exchange }) => {
    net.configure({ busyPoll: 1_000_000 });
    const pair = net.socketpair();
    await exchange(pair, 1);
    const late: number[] = [];
    for (let count = 0; count < 50; count += 1) {
      const began = performance.now();
      await new Promise((resolve) => setTimeout(resolve, 5));
      late.push(performance.now() - began - 5);
    }
    late.sort((one, other) => one - other);
    say(late[25]);
    for (const socket of pair) socket.destroy();
  });
  // Polling stops for them every millisecond; the rest is for a busy machine.
  assert.ok(Number(lines[0]) < 10, `half of them came ${lines[0]} ms late, or more`);
});

test('immediates have their turn: it only looks when the thread would sleep', async (t) => {
  const [calls] = await alone(t, async ({ net, say, exchange }) => {
    const pair = net.socketpair({ busyPoll: 1_000_000 });
    await exchange(pair, 3);
    const before = net.stats().syscalls;
    for (let turn = 0; turn < 500; turn += 1) await new Promise(setImmediate);
    say(net.stats().syscalls - before);
    for (const socket of pair) socket.destroy();
  });
  // A stretch of looking is more than a thousand.
  assert.ok(Number(calls) < 500 * 20, `${calls} calls in 500 turns`);
});
