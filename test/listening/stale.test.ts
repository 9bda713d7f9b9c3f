/** What is at the path already: a file, a dead socket, a running server, other starters. */
import assert from 'node:assert/strict';
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import nodeNet from 'node:net';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { runLone, startLone } from '../helpers/lone-process';
import { freshDirectory, freshPath } from '../helpers/socket-paths';
import {
  closed,
  greeting,
  kinds,
  leaveBehind,
  listenError,
  listening,
  makeServer,
  modeOf,
  needsRoot,
  NOBODY,
} from './support';

const long = process.env['AFUNIX_LONG'] === '1';
const choices = ['error', 'probe', 'replace'] as const;

for (const [kind, make] of Object.entries(kinds)) {
  test(`T2, ${kind}: what is no socket is left alone, and so is a link to one`, async (t) => {
    const directory = freshDirectory(t);
    writeFileSync(`${directory}/file`, 'data');
    mkdirSync(`${directory}/folder`);
    leaveBehind(`${directory}/dead`);
    symlinkSync('dead', `${directory}/link`);
    symlinkSync('nowhere', `${directory}/dangling`);
    const before = readdirSync(directory);
    for (const name of ['file', 'folder', 'link', 'dangling']) {
      for (const stale of choices) {
        const path = `${directory}/${name}`;
        const error = await listenError(t, { path, stale }, make);
        assert.equal(error.code, 'EADDRINUSE');
        assert.equal(error.message, `listen EADDRINUSE: address already in use ${path}`);
        assert.match(error.hint ?? '', /is not a socket, and is left alone/);
      }
    }
    assert.deepEqual(readdirSync(directory), before);
    assert.equal(readlinkSync(`${directory}/link`), 'dead');
  });

  test(`T2, ${kind}: a socket of somebody else is left alone`, { skip: needsRoot }, async (t) => {
    const path = freshPath(t);
    leaveBehind(path);
    chownSync(path, NOBODY, NOBODY);
    for (const stale of choices) {
      const error = await listenError(t, { path, stale }, make);
      assert.equal(error.code, 'EADDRINUSE');
      assert.match(error.hint ?? '', /is a socket of uid 65534, and is left alone/);
    }
    assert.equal(lstatSync(path).uid, NOBODY);
    // Whom the file is to be given to may have left it.
    const server = await listening(t, { path, stale: 'probe', uid: NOBODY }, make);
    assert.equal(lstatSync(path).uid, NOBODY);
    await closed(server);
  });

  test(`${kind}: what was left behind is an error, which says what would help`, async (t) => {
    const path = freshPath(t);
    leaveBehind(path);
    const error = await listenError(t, { path, stale: 'error' }, make);
    assert.equal(error.code, 'EADDRINUSE');
    assert.match(error.hint ?? '', /was left behind: with stale: 'probe' it would be replaced/);
  });

  for (const stale of ['probe', 'replace'] as const) {
    test(`${kind}: '${stale}' takes the place of what was left behind`, async (t) => {
      const path = freshPath(t);
      leaveBehind(path);
      const server = await listening(t, { path, stale }, make);
      assert.deepEqual(readdirSync(dirname(path)), ['s']);
      assert.equal(modeOf(path), '600');
      assert.equal(server.address(), path);
      await closed(server);
      assert.deepEqual(readdirSync(dirname(path)), []);
    });

    test(`${kind}: '${stale}' with nothing there just listens`, async (t) => {
      const path = freshPath(t);
      const server = await listening(t, { path, stale }, make);
      assert.deepEqual(readdirSync(dirname(path)), ['s']);
      await closed(server);
      assert.deepEqual(readdirSync(dirname(path)), []);
    });
  }

  test(`${kind}: 'probe' leaves a running server alone, which notices nothing`, async (t) => {
    const path = freshPath(t);
    const running = await listening(t, { path }, make);
    running.on('connection', () => assert.fail('somebody connected'));
    const error = await listenError(t, { path, stale: 'probe' }, make);
    assert.equal(error.code, 'EADDRINUSE');
    assert.match(error.hint ?? '', /its server is running, or about to/);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(readdirSync(dirname(path)), ['s']);
  });

  test(`${kind}: 'replace' takes over from a running server, which keeps what it has`, async (t) => {
    const path = freshPath(t);
    const first = await listening(t, { path, mode: 0o600 }, make);
    const second = await listening(t, { path, stale: 'replace', mode: 0o660 }, make);
    assert.deepEqual(readdirSync(dirname(path)), ['s']);
    assert.equal(modeOf(path), '660');
    assert.equal(second.address(), path);
    await closed(first);
    assert.ok(existsSync(path));
    await closed(second);
    assert.deepEqual(readdirSync(dirname(path)), []);
  });
}

test("'probe' leaves a server of node:net alone, even one that does not accept", async (t) => {
  const path = freshPath(t);
  const running = nodeNet.createServer().listen(path);
  t.after(() => running.close());
  assert.equal((await listenError(t, { path, stale: 'probe' })).code, 'EADDRINUSE');
});

test(
  'who replaces a running server that is not of this user is refused',
  { skip: needsRoot },
  async (t) => {
    const path = freshPath(t);
    await listening(t, { path, uid: NOBODY, mode: 0o666 });
    const error = await listenError(t, { path, stale: 'replace' });
    assert.equal(error.code, 'EADDRINUSE');
    assert.match(error.hint ?? '', /is a socket of uid 65534/);
    assert.equal(await greeting(path), 'hello');
  },
);

test('what is in the way beside the path is named and left alone', async (t) => {
  const path = freshPath(t);
  await listening(t, { path });
  writeFileSync(`${path}.new`, 'mine');
  const replacing = await listenError(t, { path, stale: 'replace' });
  assert.equal(replacing.code, 'EADDRINUSE');
  assert.match(replacing.hint ?? '', /s\.new' is in the way/);

  leaveBehind(`${path}2`);
  writeFileSync(`${path}2.old`, 'mine');
  const probing = await listenError(t, { path: `${path}2`, stale: 'probe' });
  assert.equal(probing.code, 'EEXIST');
  assert.match(probing.hint ?? '', /s2\.old' is in the way/);

  symlinkSync('elsewhere', `${path}3.lock`);
  const locking = await listenError(t, { path: `${path}3`, stale: 'probe' });
  assert.deepEqual([locking.code, locking.cause?.syscall], ['ELOOP', 'open']);
  assert.match(locking.hint ?? '', /s3\.lock' is in the way: it is a symbolic link of uid \d+/);
  mkdirSync(`${path}4.lock`);
  const directory = await listenError(t, { path: `${path}4`, stale: 'probe' });
  assert.equal(directory.code, 'EISDIR');
  assert.match(directory.hint ?? '', /s4\.lock' is in the way: it is a directory of uid \d+/);
  assert.deepEqual(readdirSync(dirname(path)).sort(), [
    's',
    's.new',
    's2',
    's2.old',
    's3.lock',
    's4.lock',
  ]);
});

test('where the kernel cannot exchange two files a server is replaced as well as can be', async (t) => {
  const path = freshPath(t);
  const renameat2: Readonly<Record<string, number>> = { x64: 316, arm64: 276 };
  const lines = await runLone(
    t,
    { path },
    async ({ net, require, parameters: { path }, say }) => {
      const { existsSync, readdirSync } = require('node:fs') as typeof import('node:fs');
      const { dirname } = require('node:path') as typeof import('node:path');
      const { RawSocket } = require('afunix/raw') as typeof import('afunix/raw');
      const start = (text: string, stale: 'probe' | 'replace') =>
        new Promise<ReturnType<typeof net.createServer>>((resolve) => {
          const server = net.createServer((socket) => socket.end(text));
          server.listen({ path, stale }, () => resolve(server));
        });
      const first = await start('first', 'replace');
      const second = await start('second', 'replace');
      await new Promise((resolve) => first.close(resolve));
      await new Promise((resolve) => net.connect(path).on('data', say).on('close', resolve));
      say(readdirSync(dirname(path)));
      await new Promise((resolve) => second.close(resolve));
      const dead = RawSocket.socket('stream');
      dead.bind(path);
      dead.close();
      const third = await start('third', 'probe');
      say(readdirSync(dirname(path)));
      third.close(() => say(existsSync(path)));
    },
    { denied: { systemCall: renameat2[process.arch], errno: 38 } },
  );
  assert.deepEqual(lines, ['second', 's', 's', 'false']);
});

// A hundred at once, in processes that weigh nothing: test/native/posix_socket_place_test.cc.
const STARTERS = long ? 100 : 12;

test(`T2: of ${STARTERS} processes that start at once exactly one listens`, async (t) => {
  const path = freshPath(t);
  leaveBehind(path);
  const starters = Array.from({ length: STARTERS }, () =>
    startLone(t, { path }, ({ net, parameters: { path }, say }) => {
      say('ready');
      process.stdin.once('data', () => {
        const server = net.createServer((socket) => socket.end('hello'));
        server.on('error', (error: NodeJS.ErrnoException) => {
          say(`outcome ${error.code}`);
          process.stdin.destroy();
        });
        server.listen({ path, stale: 'probe' }, () => {
          say('outcome listening');
          process.stdin.once('data', () => {
            process.stdin.destroy();
            server.close();
          });
        });
      });
    }),
  );
  await Promise.all(starters.map((starter) => starter.said('ready')));
  for (const starter of starters) starter.tell('go');
  const outcomes = await Promise.all(starters.map((starter) => starter.said('outcome')));
  assert.equal(outcomes.filter((outcome) => outcome === 'listening').length, 1, outcomes.join());
  assert.equal(outcomes.filter((outcome) => outcome === 'EADDRINUSE').length, STARTERS - 1);
  assert.equal(await greeting(path), 'hello');
  starters[outcomes.indexOf('listening')].tell('stop');
  await Promise.all(starters.map((starter) => starter.ended));
  assert.deepEqual(readdirSync(dirname(path)), []);
});

test('thousands of starts and stops by two servers leave no file and take none', async (t) => {
  const path = freshPath(t);
  const rounds = long ? 2000 : 200;
  const turn = async (): Promise<void> => {
    for (let round = 0; round < rounds; round += 1) {
      const server = makeServer(t).listen({ path, stale: 'replace' });
      await new Promise((resolve) => server.once('listening', resolve));
      assert.equal(await greeting(path), 'hello');
      await closed(server);
    }
  };
  await Promise.all([turn(), turn(), turn()]);
  assert.deepEqual(readdirSync(dirname(path)), []);
});

test('a server that was closed may listen again, each time in its own way', async (t) => {
  const path = freshPath(t);
  const server = makeServer(t);
  for (const options of [{ stale: 'replace' }, {}, { mode: 0o640 }, { stale: 'probe' }] as const) {
    server.listen({ path, ...options });
    await new Promise((resolve) => server.once('listening', resolve));
    await closed(server);
    assert.equal(existsSync(path), false);
  }
});
