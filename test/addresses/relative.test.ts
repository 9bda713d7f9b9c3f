/** Relative paths: they lead where they led when they were given, whatever the working directory is later. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import net from 'afunix';
import seqpacket from 'afunix/seqpacket';
import { leavesNothingOpen } from '../helpers/descriptors';
import { fillBacklog } from '../helpers/full-backlog';
import { freshDirectory } from '../helpers/socket-paths';
import { closed, kinds, listening, needsRoot, type AnyServer } from '../listening/support';

const start = process.cwd();

/** A fresh working directory, with two directories in it. */
function somewhere(t: TestContext): string {
  const place = freshDirectory(t);
  mkdirSync(join(place, 'here'));
  mkdirSync(join(place, 'there'));
  process.chdir(join(place, 'here'));
  t.after(() => process.chdir(start));
  return place;
}

/** As long as a relative path can be; from anywhere else it is too long for an address. */
const LONGEST = 's'.repeat(107);

const clients = {
  stream: (path: string) => net.connect(path),
  seqpacket: (path: string) => seqpacket.connect(path),
} as const;

for (const [kind, connect] of Object.entries(clients)) {
  for (const name of ['s', LONGEST, './s', '../here/s']) {
    const shown = name === LONGEST ? 'of 107 bytes' : `'${name}'`;
    test(`${kind}: connect() to a path ${shown} that waits for room finds its own server after a chdir(), not another one`, async (t) => {
      const place = somewhere(t);
      const met: string[] = [];
      const make = (label: string): AnyServer => {
        const server =
          kind === 'stream'
            ? net.createServer((socket) => {
                met.push(label);
                socket.on('error', () => undefined).end();
              })
            : (seqpacket.createServer((socket) => {
                met.push(label);
                socket.on('error', () => undefined).end();
              }) as unknown as AnyServer);
        t.after(() => server.close());
        return server;
      };
      const here = make('here').listen({ path: name, backlog: 1 });
      process.chdir(join(place, 'there'));
      mkdirSync('here', { recursive: true });
      make('there').listen(name === '../here/s' ? 's' : name);
      process.chdir(join(place, 'here'));
      await once(here, 'listening');
      // More than there is room for, in one turn: the rest waits.
      const sockets = Array.from({ length: 12 }, () => connect(name));
      process.chdir(join(place, 'there'));
      await Promise.all(
        sockets.map(async (socket) => {
          await once(socket, 'connect');
          socket.resume();
          await once(socket, 'end');
          socket.destroy();
        }),
      );
      assert.deepEqual(met, Array(12).fill('here'));
    });
  }
}

test('while they wait they hold one descriptor together, and none afterwards', async (t) => {
  somewhere(t);
  await leavesNothingOpen(async () => {
    const full = await fillBacklog(join(process.cwd(), 'full'));
    const before = readdirSync('/proc/self/fd').length;
    const sockets = Array.from({ length: 20 }, () =>
      net.connect('full').on('error', () => undefined),
    );
    // A descriptor each, and the working directory.
    assert.equal(readdirSync('/proc/self/fd').length - before, 21);
    const gone = sockets.map((socket) => once(socket, 'close'));
    for (const socket of sockets) socket.destroy();
    await Promise.all(gone);
    await full.release();
  }, 3);
});

test('what is wrong with a relative path that waits is told with the path as it was given', async (t) => {
  const place = somewhere(t);
  const full = await fillBacklog(join(place, 'here', 'full'));
  const socket = net.connect({ path: './full', connectTimeout: 50 });
  process.chdir(join(place, 'there'));
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException & { address: string }];
  await full.release();
  assert.deepEqual([error.code, error.address], ['EAGAIN', './full']);
  assert.equal(error.message, 'connect EAGAIN ./full');
});

for (const [kind, make] of Object.entries(kinds)) {
  for (const [how, options] of [
    ['without options', {}],
    ['with a mode', { mode: 0o666 }],
    ["with stale: 'probe'", { stale: 'probe' }],
    ["with stale: 'replace'", { stale: 'replace' }],
    ['with writableAll', { writableAll: true }],
  ] as const) {
    for (const name of ['s', LONGEST]) {
      test(`${kind}: a server on a relative path of ${name.length} bytes, ${how}, removes its file after a chdir(), and no other`, async (t) => {
        const place = somewhere(t);
        const server = await listening(t, { path: name, ...options }, make);
        assert.equal(server.address(), name);
        if ('mode' in options) assert.equal(statSync(name).mode & 0o777, 0o666);
        process.chdir(join(place, 'there'));
        const other = await listening(t, { path: name }, make);
        await closed(server);
        assert.deepEqual(readdirSync(join(place, 'here')), []);
        assert.deepEqual(readdirSync('.'), [name]);
        await closed(other);
        assert.deepEqual(readdirSync('.'), []);
      });
    }
  }

  test(`${kind}: a server that another one replaces leaves the successor's file alone, wherever both are by then`, async (t) => {
    const place = somewhere(t);
    const first = await listening(t, { path: 's', stale: 'replace' }, make);
    const second = await listening(t, { path: 's', stale: 'replace' }, make);
    process.chdir(join(place, 'there'));
    await closed(first);
    assert.deepEqual(readdirSync(join(place, 'here')), ['s']);
    await closed(second);
    assert.deepEqual(readdirSync(join(place, 'here')), []);
  });

  test(
    `${kind}: a file whose owner has to be looked up first is made where listen() was called`,
    { skip: needsRoot },
    async (t) => {
      const place = somewhere(t);
      const pending = listening(t, { path: 's', uid: 'root' }, make);
      process.chdir(join(place, 'there'));
      const server = await pending;
      assert.equal(server.address(), 's');
      assert.ok(existsSync(join(place, 'here', 's')));
      assert.deepEqual(readdirSync('.'), []);
      await closed(server);
      assert.deepEqual(readdirSync(join(place, 'here')), []);
    },
  );
}

test('a server on a relative path that never could listen leaves no descriptor open', async (t) => {
  somewhere(t);
  await leavesNothingOpen(async () => {
    const server = net.createServer().listen('no/such/directory');
    const [error] = (await once(server, 'error')) as [NodeJS.ErrnoException];
    assert.match(error.code ?? '', /^(ENOENT|EACCES)$/);
  }, 5);
});
