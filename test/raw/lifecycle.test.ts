/** The end of a process or a worker, at any stage; and life without the addon. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { RawSocket } from 'afunix/raw';
import { runLone } from '../helpers/lone-process';
import { freshDirectory } from '../helpers/socket-paths';

const raw = require.resolve('afunix/raw');

/** Each in a worker of its own, by `RawSocket`, `Descriptor`, `constants`, `fs` and `ready`. */
const stages: Readonly<Record<string, string>> = {
  'just loaded': 'ready();',
  'with open sockets': `keep(RawSocket.socketpair('stream'), RawSocket.socket('seqpacket')); ready();`,
  'with owned descriptors': `keep(new Descriptor(fs.openSync('/dev/null', 'r'))); ready();`,
  'while polling': `
    const [left, right] = RawSocket.socketpair('stream');
    keep(left, right, left.poll(constants.POLLIN), right.poll(constants.POLLIN));
    ready();`,
  'in the callback of a poll': `
    const [left, right] = RawSocket.socketpair('stream');
    keep(left, right);
    left.poll(constants.POLLOUT).then(() => { ready(); for (;;); });`,
  'in a busy loop of calls': `
    const [left, right] = RawSocket.socketpair('seqpacket');
    const memory = Buffer.alloc(128);
    const table = new Int32Array(64);
    setImmediate(() => {
      ready();
      for (;;) {
        left.sendmsg(memory, { descriptors: [left] });
        right.recvmsg(memory, { descriptors: 1 }).descriptors[0].close();
        left.send(memory);
        right.recvBatch(memory, table, 8);
      }
    });`,
  'in the middle of casts': `
    let turn = 0;
    setImmediate(function again() {
      for (let i = 0; i < 300; i += 1) {
        if (i === 0 && turn === 3) ready();
        const [left, right] = RawSocket.socketpair('stream');
        left.detach().toSocket().on('error', () => {}).destroy();
        right.close();
      }
      turn += 1;
      setImmediate(again);
    });`,
  'with descriptors received': `
    const [left, right] = RawSocket.socketpair('stream');
    left.sendmsg(Buffer.from('x'), { descriptors: [left, right] });
    keep(left, right, right.recvmsg(Buffer.alloc(1), { descriptors: 2 }));
    ready();`,
};

for (const [name, program] of Object.entries(stages)) {
  test(`a worker that ends ${name} leaves nothing open`, async (t) => {
    const descriptors = require.resolve('../helpers/descriptors');
    const lines = await runLone(
      t,
      { raw, program, descriptors },
      async ({ require, parameters, say }) => {
        const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads');
        const { leavesNothingOpen } = require(
          parameters.descriptors,
        ) as typeof import('../helpers/descriptors');
        const source = `
          const { parentPort } = require('node:worker_threads');
          const fs = require('node:fs');
          const { RawSocket, Descriptor, constants } = require(${JSON.stringify(parameters.raw)});
          const kept = [];
          const keep = (...things) => kept.push(...things);
          const ready = () => parentPort.postMessage('ready');
          setInterval(() => kept.length, 1e6);
          ${parameters.program}`;
        const once = (): Promise<void> =>
          new Promise((resolve, reject) => {
            const worker = new Worker(source, { eval: true });
            worker.once('error', reject);
            worker.once('message', () => setImmediate(() => void worker.terminate()));
            worker.once('exit', () => resolve());
          });
        await leavesNothingOpen(once, 10);
        say('done');
      },
    );
    assert.deepEqual(lines, ['done']);
  });
}

/** Where a cast to a `net.Socket` is when the thread is terminated, which options that are read then can hold it up at. */
const moments: Readonly<Record<string, string>> = {
  'before libuv has it': '{ get readable() { stop(); } }',
  'when libuv has it': '{ onread: { get buffer() { stop(); }, callback() {} } }',
};

for (const [moment, options] of Object.entries(moments)) {
  test(`a worker terminated in toNetSocket() ${moment}: it is closed once, and nobody else's`, async (t) => {
    const descriptors = require.resolve('../helpers/descriptors');
    const lines = await runLone(
      t,
      { raw, options, descriptors, rounds: process.env['AFUNIX_LONG'] === '1' ? 300 : 15 },
      async ({ require, parameters, say }) => {
        const fs = require('node:fs') as typeof import('node:fs');
        const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads');
        const { leavesNothingOpen } = require(
          parameters.descriptors,
        ) as typeof import('../helpers/descriptors');
        const source = `
          const { parentPort } = require('node:worker_threads');
          const { RawSocket } = require(${JSON.stringify(parameters.raw)});
          const stop = () => { parentPort.postMessage('ready'); for (;;); };
          const [left, right] = RawSocket.socketpair('stream');
          left.detach().toNetSocket(${parameters.options});`;
        const once = (): Promise<void> =>
          new Promise((resolve, reject) => {
            const worker = new Worker(source, { eval: true });
            // Whoever opens files meanwhile gets the number of what is closed, and must not lose it to a second close.
            const opened: number[] = [];
            let over = false;
            const open = (): void => {
              opened.push(fs.openSync('/proc/self/status', 'r'));
              if (!over) setImmediate(open);
            };
            worker.once('error', reject);
            worker.once('message', () => {
              setImmediate(open);
              void worker.terminate();
            });
            worker.once('exit', () => {
              over = true;
              setImmediate(() => {
                try {
                  for (const fd of opened) fs.fstatSync(fd);
                  for (const fd of opened) fs.closeSync(fd);
                  resolve();
                } catch (error) {
                  reject(new Error('closed by somebody else', { cause: error }));
                }
              });
            });
          });
        await leavesNothingOpen(once, parameters.rounds);
        say('done');
      },
    );
    assert.deepEqual(lines, ['done']);
  });
}

test('a process ends quietly with sockets, descriptors and waits of every kind', async (t) => {
  await runLone(t, {}, ({ require }) => {
    const { RawSocket, constants } = require('afunix/raw') as typeof import('afunix/raw');
    const [left, right] = RawSocket.socketpair('stream');
    left.sendmsg(Buffer.from('x'), { descriptors: [0, 1] });
    const received = right.recvmsg(Buffer.alloc(1), { descriptors: 2 });
    void left.unref().poll(constants.POLLIN);
    // Nobody closes them, and nobody collects them.
    Reflect.set(globalThis, 'kept', [left, right, received, RawSocket.socket('seqpacket')]);
    process.on('exit', () => {
      left.send(Buffer.from('x'));
      void right.poll(constants.POLLIN);
    });
  });
});

test('nothing is inherited by a child process', (t) => {
  const sockets = [...RawSocket.socketpair('stream'), RawSocket.socket('seqpacket')];
  t.after(() => sockets.forEach((socket) => socket.close()));
  const listing = execFileSync('ls', ['-l', '/proc/self/fd'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  assert.doesNotMatch(listing, / (?:[3-9]|\d{2,}) -> socket:/);
});

test('without the addon everything that makes something says why there is none', async (t) => {
  const AFUNIX_ADDON = path.join(freshDirectory(t), 'missing.node');
  const lines = await runLone(
    t,
    {},
    ({ require, say }) => {
      const { constants, Descriptor, RawSocket } =
        require('afunix/raw') as typeof import('afunix/raw');
      for (const make of [
        () => RawSocket.socket('stream'),
        () => RawSocket.socketpair('stream'),
        () => RawSocket.fromFd(0),
        () => new Descriptor(0),
      ]) {
        try {
          make();
        } catch (error) {
          const { code, message } = error as { code: string; message: string };
          say(`${code} ${/the addon could not be loaded: .+/.test(message)}`);
        }
      }
      say(constants.POLLIN);
    },
    { env: { AFUNIX_ADDON } },
  );
  assert.deepEqual(lines, [...Array.from({ length: 4 }, () => 'ERR_AFUNIX_NO_ADDON true'), '1']);
});

test('import and require are one module', async () => {
  const program = `
    import { createRequire } from 'node:module';
    import { RawSocket, Descriptor, constants, BATCH_COLUMNS } from 'afunix/raw';
    const required = createRequire(import.meta.url)('afunix/raw');
    if (required.RawSocket !== RawSocket || required.Descriptor !== Descriptor) process.exit(1);
    if (required.constants !== constants || BATCH_COLUMNS !== 4) process.exit(2);
    const names = Object.keys(await import('afunix/raw')).sort().join();
    if (names !== Object.keys(required).sort().join()) process.exit(3);`;
  execFileSync(process.execPath, ['--input-type=module', '-e', program], { stdio: 'inherit' });
});
