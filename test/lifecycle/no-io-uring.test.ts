/** Where io_uring is denied, or the kernel has none, everything runs on epoll, and it is said why. */
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { runLone } from '../helpers/lone-process';
import { freshPath } from '../helpers/socket-paths';

const IO_URING_SETUP = 425;
const IO_URING_ENTER = 426;
const IO_URING_REGISTER = 427;
const { EPERM, ENOSYS, EINVAL, ENOMEM } = constants.errno;

const cases: readonly (readonly [what: string, errno: number, reason: RegExp])[] = [
  ['denied, as in containers', EPERM, /not permitted here/],
  ['missing from the kernel', ENOSYS, /this kernel has no io_uring/],
  ['older than Linux 6.1', EINVAL, /older than Linux 6\.1/],
  ['out of memory', ENOMEM, /setting up an io_uring gives ENOMEM/],
];

for (const [what, errno, reason] of cases) {
  for (const engine of ['', 'auto', 'io_uring']) {
    const asked = engine === 'io_uring';
    test(`io_uring ${what}, AFUNIX_ENGINE='${engine}': ${asked ? 'the reason is told' : 'nothing to explain'}`, async (t) => {
      const lines = await runLone(
        t,
        freshPath(t),
        ({ net, parameters, say }) => {
          const before = net.features();
          const server = net.createServer((peer) => peer.pipe(peer)).listen(parameters);
          const client = net.connect(parameters);
          client.setEncoding('utf8').end('hello');
          client.on('data', say);
          client.on('close', () => {
            const after = net.features();
            say([before.engine, after.engine, net.stats().engine].join());
            say(JSON.stringify(before) === JSON.stringify(after));
            say(before.engineReason);
            say(before.ioUring.reason);
            server.close();
          });
        },
        { denied: { systemCall: IO_URING_SETUP, errno }, env: { AFUNIX_ENGINE: engine } },
      );
      assert.deepEqual(lines.slice(0, 3), ['hello', 'epoll,epoll,epoll', 'true']);
      if (asked) assert.match(lines[3] ?? '', reason);
      else assert.equal(lines[3], 'undefined');
      assert.match(lines[4] ?? '', reason);
    });
  }
}

test('asked for epoll, there is nothing to explain', async (t) => {
  const lines = await runLone(
    t,
    null,
    ({ net, say }) => {
      for (const socket of net.socketpair()) socket.destroy();
      say(net.stats().engine);
      say(net.features().engineReason);
    },
    { denied: { systemCall: IO_URING_SETUP, errno: EPERM }, env: { AFUNIX_ENGINE: 'epoll' } },
  );
  assert.deepEqual(lines, ['epoll', 'undefined']);
});

test('workers fall back by themselves', async (t) => {
  const lines = await runLone(
    t,
    null,
    ({ require, say }) => {
      const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads');
      const program = `
        const net = require(require('node:worker_threads').workerData);
        const [one, other] = net.socketpair();
        other.on('data', (text) => {
          require('node:worker_threads').parentPort.postMessage(text + ' on ' + net.stats().engine);
          one.destroy();
          other.destroy();
        });
        one.write('hello');
        other.setEncoding('utf8');
      `;
      const workerData = Object.keys(require.cache).find((file) => file.endsWith('dist/index.js'));
      new Worker(program, { eval: true, workerData }).on('message', say);
    },
    { denied: { systemCall: IO_URING_SETUP, errno: EPERM }, env: { AFUNIX_ENGINE: 'io_uring' } },
  );
  assert.deepEqual(lines, ['hello on epoll']);
});

for (const [name, systemCall] of [
  ['io_uring_register', IO_URING_REGISTER],
  ['io_uring_enter', IO_URING_ENTER],
] as const) {
  test(`${name} denied and io_uring_setup allowed: epoll, too`, async (t) => {
    const lines = await runLone(
      t,
      null,
      ({ net, say }) => {
        const [one, other] = net.socketpair();
        other.setEncoding('utf8').on('data', (text: string) => {
          say(`${text} on ${net.stats().engine}`);
          one.destroy();
          other.destroy();
        });
        one.write('hello');
      },
      { denied: { systemCall, errno: EPERM }, env: { AFUNIX_ENGINE: 'io_uring' } },
    );
    assert.deepEqual(lines, ['hello on epoll']);
  });
}
