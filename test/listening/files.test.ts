/** The socket file: its mode, its owner, and that nobody comes in before it has them. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, lstatSync, readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { test, type TestContext } from 'node:test';
import net, { type ServerListenOptions } from 'afunix';
import { type LoneProcess, startLone } from '../helpers/lone-process';
import { freshPath } from '../helpers/socket-paths';
import {
  closed,
  greeting,
  kinds,
  listenError,
  listening,
  makeServer,
  modeOf,
  needsRoot,
  NOBODY,
} from './support';

function withUmask<T>(mask: number, act: () => T): T {
  const before = process.umask(mask);
  try {
    return act();
  } finally {
    process.umask(before);
  }
}

for (const [kind, make] of Object.entries(kinds)) {
  test(`${kind}: the mode is exactly what was asked for, under any umask`, async (t) => {
    const path = freshPath(t);
    for (const mask of [0, 0o022, 0o077]) {
      for (const mode of [0, 0o600, 0o660, 0o666, 0o777]) {
        const server = makeServer(t, make);
        withUmask(mask, () => server.listen({ path, mode }));
        assert.equal(modeOf(path), mode.toString(8));
        assert.equal(server.address(), path);
        assert.ok(server.listening);
        await closed(server);
        assert.deepEqual(readdirSync(dirname(path)), []);
      }
    }
  });

  test(`${kind}: 0600 is the default as soon as anything of ours is asked for`, (t) => {
    const path = freshPath(t);
    const asked: ServerListenOptions[] = [
      { mode: undefined, checkDirectory: true },
      { checkDirectory: false },
      { stale: 'error' },
      { stale: 'probe' },
      { stale: 'replace' },
      { uid: process.geteuid?.() },
      { gid: process.getegid?.() },
    ];
    for (const options of asked) {
      const server = makeServer(t, make);
      withUmask(0, () => server.listen({ path, ...options }));
      assert.equal(modeOf(path), '600', JSON.stringify(options));
      server.close();
    }
  });

  test(`${kind}: what net has stays as net has it`, (t) => {
    const path = freshPath(t);
    const modes = (options: ServerListenOptions): string => {
      const server = makeServer(t, make);
      withUmask(0o022, () => server.listen({ path, ...options }));
      const mode = modeOf(path);
      server.close();
      return mode;
    };
    const nets = (options: object): string => {
      const server = net.createServer();
      withUmask(0o022, () => server.listen({ path, ...options }));
      const mode = modeOf(path);
      server.close();
      return mode;
    };
    for (const options of [{}, { readableAll: true }, { writableAll: true, readableAll: true }]) {
      assert.equal(modes(options), nets(options));
    }
    assert.equal(modes({}), '755');
    // With one of ours the file is not wider than what was said.
    assert.equal(modes({ writableAll: true, stale: 'probe' }), '622');
    assert.equal(modes({ readableAll: true, writableAll: true, stale: 'probe' }), '666');
  });

  test(`${kind}: owner and group are as asked for`, { skip: needsRoot }, async (t) => {
    const path = freshPath(t);
    const server = await listening(t, { path, uid: NOBODY, gid: 7, mode: 0o620 }, make);
    const { uid, gid } = lstatSync(path);
    assert.deepEqual([uid, gid, modeOf(path)], [NOBODY, 7, '620']);
    await closed(server);
    assert.equal(existsSync(path), false);
  });
}

test('the umask of the process is not touched', (t) => {
  const path = freshPath(t);
  withUmask(0o027, () => {
    makeServer(t).listen({ path, mode: 0o666 });
    assert.equal(process.umask(), 0o027);
  });
});

test(
  'what cannot be given away fails, says so, and leaves no file',
  { skip: needsRoot },
  async (t) => {
    const path = freshPath(t);
    chmodSync(dirname(path), 0o1777);
    const child = startLone(t, { path }, ({ net, require, parameters: { path }, say }) => {
      const { existsSync } = require('node:fs') as typeof import('node:fs');
      process.setgroups?.([]);
      process.setgid?.(65_534);
      process.setuid?.(65_534);
      const tryIt = (owner: object): Promise<void> =>
        new Promise((resolve) => {
          const server = net.createServer();
          server.listen({ path, ...owner });
          server.on('error', (error: NodeJS.ErrnoException & { hint?: string }) => {
            const cause = error.cause as NodeJS.ErrnoException;
            say([error.code, error.syscall, cause.syscall, error.hint].join('|'));
            resolve();
          });
          server.on('listening', () => say('listens'));
        });
      void tryIt({ uid: 0 })
        .then(() => tryIt({ gid: 0 }))
        .then(() => say(existsSync(path)));
    });
    const { lines } = await child.ended;
    assert.deepEqual(lines, [
      `EPERM|listen|chown|only root can give '${path}' to uid 0`,
      `EPERM|listen|chown|only a member of group 0, or root, can give it '${path}'`,
      'false',
    ]);
  },
);

/** Connects without a pause, as nobody, until it is told to stop; says how often it got which answer. */
function startConnector(t: TestContext, path: string): LoneProcess {
  return startLone(t, { path }, ({ require, parameters: { path }, say }) => {
    const { RawSocket } = require('afunix/raw') as typeof import('afunix/raw');
    const counts: Record<string, number> = {};
    let stopped = false;
    process.stdin.on('data', () => (stopped = true));
    process.setgroups?.([]);
    process.setgid?.(65_534);
    process.setuid?.(65_534);
    const round = (): void => {
      for (let i = 0; i < 200; i += 1) {
        const socket = RawSocket.socket('stream');
        let answer = 'connected';
        try {
          socket.connect(path);
        } catch (error) {
          answer = (error as NodeJS.ErrnoException).code ?? '';
        }
        socket.close();
        counts[answer] = (counts[answer] ?? 0) + 1;
      }
      if (!stopped) return void setImmediate(round);
      say(`counts ${JSON.stringify(counts)}`);
      process.stdin.destroy();
    };
    say('begins');
    round();
  });
}

test(
  'T1: of 500 binds under umask 0 not one can be connected to by another user',
  { skip: needsRoot },
  async (t) => {
    const path = freshPath(t);
    chmodSync(dirname(path), 0o755);
    const connector = startConnector(t, path);
    await connector.said('begins');
    const before = process.umask(0);
    t.after(() => process.umask(before));
    for (let round = 0; round < 500; round += 1) {
      const server = await listening(t, { path, mode: 0o600 });
      if (round % 50 === 0) assert.equal(await greeting(path), 'hello');
      await closed(server);
    }
    connector.tell('stop');
    const counts = JSON.parse(await connector.said('counts')) as Record<string, number>;
    // ECONNREFUSED would mean that for a moment it was permitted.
    assert.deepEqual(Object.keys(counts).sort(), ['EACCES', 'ENOENT']);
    assert.ok(counts['EACCES'] > 0);
  },
);

test('T1: the same user gets in where the mode lets him', { skip: needsRoot }, async (t) => {
  const path = freshPath(t);
  chmodSync(dirname(path), 0o755);
  await listening(t, { path, mode: 0o666 });
  const connector = startConnector(t, path);
  await connector.said('begins');
  connector.tell('stop');
  const counts = JSON.parse(await connector.said('counts')) as Record<string, number>;
  assert.ok(counts['connected'] > 0);
});

test('a missing directory is what it is in net, and the cause says what the kernel said', async (t) => {
  const path = `${dirname(freshPath(t))}/none/s`;
  for (const options of [
    { mode: 0o600 },
    { stale: 'probe' },
    { mode: 0o600, checkDirectory: false },
    { stale: 'replace', checkDirectory: false },
  ] as const) {
    const error = await listenError(t, { path, ...options });
    assert.deepEqual(
      [error.code, error.syscall, error.address, error.port],
      ['EACCES', 'listen', path, -1],
    );
    assert.equal(error.cause?.code, 'ENOENT');
    assert.match(error.hint ?? '', /the directory '.*none' does not exist/);
  }
});

test('a path that is too long says how long it is', async (t) => {
  const path = `${dirname(freshPath(t))}/${'x'.repeat(120)}`;
  for (const stale of ['error', 'replace'] as const) {
    const error = await listenError(t, { path, stale });
    assert.equal(error.code, 'EINVAL');
    assert.match(error.hint ?? '', /bytes long and the limit is 107/);
  }
});

test('a server that failed may listen elsewhere', async (t) => {
  const path = freshPath(t);
  const other = await listening(t, { path, mode: 0o600 });
  const server = makeServer(t);
  const trouble = new Promise((resolve) => server.once('error', resolve));
  server.listen({ path, mode: 0o600 });
  await trouble;
  server.listen({ path: `${path}2`, mode: 0o640 });
  assert.equal(modeOf(`${path}2`), '640');
  await closed(other);
});
