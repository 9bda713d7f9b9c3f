/** Without the addon `afunix` is `node:net`, and says why. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { type Afunix, runLone } from '../helpers/lone-process';
import { freshDirectory, freshPath } from '../helpers/socket-paths';

/** Files that are no addon, and what is said of them. */
const addons: Readonly<Record<string, { content?: string; reason: RegExp }>> = {
  'a file that is not there': { reason: /Cannot find module .*missing\.node/ },
  'a file that is not an addon': { content: 'not at all', reason: /missing\.node.*(short|header)/ },
};

interface Context {
  readonly net: Afunix;
  readonly require: NodeJS.Require;
  readonly address: string;
  say(line: unknown): void;
}

/** `body` runs in another process, without an addon, and uses nothing else from this file. */
function withoutAddon(
  t: TestContext,
  body: (context: Context) => unknown,
  addon = join(freshDirectory(t), 'missing.node'),
): Promise<readonly string[]> {
  const parameters = { address: freshPath(t), body: `(${String(body)})` };
  return runLone(
    t,
    parameters,
    ({ net, require, parameters, say }) => {
      const { runInThisContext } = require('node:vm') as typeof import('node:vm');
      const body = runInThisContext(parameters.body) as (context: Context) => unknown;
      return body({ net, require, address: parameters.address, say });
    },
    { env: { AFUNIX_ADDON: addon } },
  );
}

for (const [name, { content, reason }] of Object.entries(addons)) {
  test(`features() says why, of ${name}`, async (t) => {
    const addon = join(freshDirectory(t), 'missing.node');
    if (content !== undefined) writeFileSync(addon, content);
    const [line = ''] = await withoutAddon(
      t,
      ({ net, say }) => say(JSON.stringify(net.features())),
      addon,
    );
    const features = JSON.parse(line) as ReturnType<Afunix['features']>;
    assert.equal(features.engine, 'net');
    assert.equal(features.addon.available, false);
    assert.match(features.addon.reason ?? '', /^the addon could not be loaded: /);
    assert.match(features.addon.reason ?? '', reason);
    assert.ok(!(features.addon.reason ?? '').includes('\n'));
    assert.equal(features.busyPoll.available, false);
    assert.equal(features.busyPoll.reason, features.addon.reason);
    assert.equal(features.ioUring.available, false);
    assert.equal(typeof features.ioUring.reason, 'string');
  });
}

test('the path forms work, and are node:net', async (t) => {
  const lines = await withoutAddon(t, ({ net, require, address, say }) => {
    const nodeNet = require('node:net') as typeof import('node:net');
    // The server is told apart only by what it refuses: test/listening/options.test.ts.
    say(
      net.Socket === (nodeNet.Socket as unknown) && net.Server.prototype instanceof nodeNet.Server,
    );
    const server = net.createServer((peer) => {
      say(peer instanceof nodeNet.Socket);
      peer.pipe(peer);
    });
    server.listen(address, () => {
      const client = net.connect(address, () => client.end('hello'));
      client.on('data', (chunk) => say(chunk));
      client.on('close', () => {
        server.close();
        const again = net.createConnection({ path: address });
        again.on('error', ({ code }: NodeJS.ErrnoException) => say(code));
      });
    });
    say(server instanceof nodeNet.Server);
  });
  assert.deepEqual(lines, ['true', 'true', 'true', 'hello', 'ENOENT']);
});

test('nobody is let in where nobody can be asked who they are', async (t) => {
  const lines = await withoutAddon(t, ({ net, require, address, say }) => {
    const attempt = (act: () => unknown): void => {
      try {
        act();
        say('let in');
      } catch (error) {
        say((error as NodeJS.ErrnoException).code);
      }
    };
    const authorize = (): boolean => true;
    attempt(() => net.createServer({ authorize }).listen(address));
    attempt(() => new net.Server({ maxConnectionsPerUid: 1 }).listen({ path: address }));
    attempt(() => net.createServer().listen({ path: address, authorize }));
    attempt(() => net.connect({ path: address, authorize }));
    // Where this program finds the package.
    const { dirname, join } = require('node:path') as typeof import('node:path');
    const dist = dirname(Object.keys(require.cache).find((file) => /dist.index\.js$/.test(file))!);
    const { sameUser } = require(join(dist, 'credentials')) as typeof import('afunix/credentials');
    attempt(() => sameUser());
    const { serve } = require(join(dist, 'http')) as typeof import('afunix/http');
    const { createServer } = require('node:http') as typeof import('node:http');
    attempt(() => serve(createServer(), { path: address, authorize }));
  });
  assert.deepEqual(lines, [
    'ERR_INVALID_ARG_VALUE',
    'ERR_INVALID_ARG_VALUE',
    'ERR_INVALID_ARG_VALUE',
    'ERR_AFUNIX_UNGUARDED',
    'ERR_AFUNIX_NO_ADDON',
    'ERR_AFUNIX_UNGUARDED',
  ]);
});

test('stats() counts nothing, configure() and bad values in the environment do no harm', async (t) => {
  const lines = await withoutAddon(t, ({ net, address, say }) => {
    net.configure({ busyPoll: 50, engine: 'epoll' });
    const server = net.createServer((peer) => peer.end('x'));
    server.listen(address, () => {
      const client = net.connect(address).resume();
      client.on('close', () => {
        server.close();
        say(JSON.stringify(net.stats()));
      });
    });
  });
  assert.deepEqual(JSON.parse(lines[0] ?? ''), {
    engine: 'net',
    connected: 0,
    accepted: 0,
    refused: 0,
    bytesRead: 0,
    bytesWritten: 0,
    wakeups: 0,
    completions: 0,
    flushes: 0,
    syscalls: 0,
  });
});

test('what needs the addon throws an error that says why', async (t) => {
  const lines = await withoutAddon(t, ({ net, say }) => {
    try {
      net.socketpair();
      say('no error');
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      say(code);
      say(message);
    }
  });
  assert.match(lines[0] ?? '', /^ERR_AFUNIX_/);
  assert.match(lines[1] ?? '', /the addon could not be loaded: Cannot find module/);
});

test('an ES module gets the same: by name, as the default, and by import()', async (t) => {
  const directory = freshDirectory(t);
  const program = join(directory, 'program.mjs');
  const url = JSON.stringify(
    pathToFileURL(join(dirname(require.resolve('afunix/package.json')), 'dist/index.mjs')).href,
  );
  writeFileSync(
    program,
    `
      import assert from 'node:assert/strict';
      import nodeNet from 'node:net';
      import net, { connect, createServer, features, Server, Socket, socketpair } from ${url};

      const again = await import(${url});
      assert.equal(again.default, net);
      assert.equal(net.connect, connect);
      assert.equal(again.Socket, Socket);
      assert.equal(Socket, nodeNet.Socket);
      assert.ok(Server.prototype instanceof nodeNet.Server);
      assert.equal(features().engine, 'net');
      assert.match(features().addon.reason, /^the addon could not be loaded: Cannot find module/);
      assert.throws(() => socketpair(), { code: /^ERR_AFUNIX_/ });

      const server = createServer((peer) => peer.pipe(peer));
      assert.ok(server instanceof nodeNet.Server);
      server.listen(process.argv[2], () => {
        const client = connect(process.argv[2], () => client.end('hello'));
        client.on('data', (chunk) => console.log(String(chunk)));
        client.on('close', () => server.close());
      });
    `,
  );
  const env = { ...process.env, AFUNIX_ADDON: join(directory, 'missing.node') };
  const run = promisify(execFile);
  const { stdout, stderr } = await run(process.execPath, [program, join(directory, 's')], { env });
  assert.deepEqual({ stdout, stderr }, { stdout: 'hello\n', stderr: '' });
});

test('addresses of either kind are taken', async (t) => {
  const lines = await withoutAddon(t, async ({ net, address, say }) => {
    for (const where of [`unix:${address}`, 'tcp://127.0.0.1:0']) {
      const server = net.createServer((peer) => peer.end('hello'));
      await new Promise<void>((resolve) => server.listen(where, resolve));
      const client = net.connect(net.formatAddress(server.address() as string));
      client.on('data', say);
      await new Promise((resolve) => client.on('close', resolve));
      await new Promise((resolve) => server.close(resolve));
    }
  });
  assert.deepEqual(lines, ['hello', 'hello']);
});
