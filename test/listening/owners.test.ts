/** The owner of a socket file by name: looked up on another thread, while the server listens as far as it can. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, lstatSync, readFileSync } from 'node:fs';
import http from 'node:http';
import { test } from 'node:test';
import { serve } from 'afunix/http';
import { runLone } from '../helpers/lone-process';
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
} from './support';

/** The number of an entry of the user database, as its file has it. */
function numberIn(file: string, name: string): number {
  const lines = readFileSync(file, 'utf8').split('\n');
  return Number(lines.find((line) => line.startsWith(`${name}:`))?.split(':')[2]);
}

for (const [kind, make] of Object.entries(kinds)) {
  test(`${kind}: the file belongs to whom the names say`, { skip: needsRoot }, async (t) => {
    const path = freshPath(t);
    const server = await listening(t, { path, uid: 'nobody', gid: 'daemon', mode: 0o620 }, make);
    const { uid, gid } = lstatSync(path);
    assert.deepEqual(
      [uid, gid, modeOf(path)],
      [numberIn('/etc/passwd', 'nobody'), numberIn('/etc/group', 'daemon'), '620'],
    );
    await closed(server);
    assert.equal(existsSync(path), false);
    const mixed = await listening(t, { path, uid: 'root', gid: 0 }, make);
    assert.deepEqual([lstatSync(path).uid, lstatSync(path).gid], [0, 0]);
    await closed(mixed);
  });

  test(`${kind}: until they are known it listens on nothing, and cannot listen twice`, async (t) => {
    const path = freshPath(t);
    const server = makeServer(t, make);
    const options = { path, uid: process.geteuid?.(), gid: 'root' };
    server.listen(options);
    assert.equal(server.listening, true);
    assert.equal(server.address(), path);
    assert.throws(() => server.listen(options), { code: 'ERR_SERVER_ALREADY_LISTEN' });
    assert.equal(existsSync(path), false);
    await once(server, 'listening');
    assert.equal(existsSync(path), true);
  });

  for (const stale of ['error', 'replace'] as const) {
    test(`${kind}, ${stale}: closed before they are known it never listens`, async (t) => {
      const path = freshPath(t);
      const server = makeServer(t, make);
      const told: string[] = [];
      for (const event of ['listening', 'error', 'close']) {
        server.on(event, () => told.push(event));
      }
      server.listen({ path, stale, gid: 'no such group' });
      await closed(server);
      assert.equal(server.listening, false);
      // Somebody who asks later is answered later.
      server.listen({ path, stale, gid: 'root' });
      await once(server, 'listening');
      await closed(server);
      assert.deepEqual(told, ['close', 'listening', 'close']);
      assert.equal(existsSync(path), false);
    });
  }

  test(`${kind}: a name that nobody has is an error that says so, and leaves nothing`, async (t) => {
    const path = freshPath(t);
    for (const [options, message, hint] of [
      [{ uid: 'no such user' }, /there is no user 'no such user'/, /getent passwd/],
      [{ gid: 'Root' }, /there is no group 'Root'/, /getent group/],
    ] as const) {
      const error = await listenError(t, { path, ...options }, make);
      assert.equal(error.code, 'ERR_AFUNIX_UNKNOWN_NAME');
      assert.match(error.message, message);
      assert.equal(error.address, path);
      assert.match(error.hint ?? '', hint);
      assert.equal(existsSync(path), false);
    }
    const server = makeServer(t, make);
    server.listen({ path, gid: 'no such group' });
    await once(server, 'error');
    server.listen({ path, gid: 'root' });
    await once(server, 'listening');
  });

  test(`${kind}: an abort before they are known is a close`, async (t) => {
    const path = freshPath(t);
    const server = makeServer(t, make);
    const controller = new AbortController();
    server.on('listening', () => assert.fail('it listens'));
    server.listen({ path, gid: 'root', signal: controller.signal });
    controller.abort();
    await once(server, 'close');
    assert.equal(server.listening, false);
  });
}

test('what listen() would throw for numbers is an error event for names', async (t) => {
  const error = await listenError(t, { path: '/nowhere\0/s', gid: 'root' });
  assert.equal(error.code, 'ERR_INVALID_ARG_VALUE');
  assert.throws(() => makeServer(t).listen({ path: '/nowhere\0/s', gid: 0 }), {
    code: 'ERR_INVALID_ARG_VALUE',
  });
});

test('a server that is unreferenced meanwhile does not hold the process', async (t) => {
  const lines = await runLone(t, { path: freshPath(t) }, ({ net, parameters: { path }, say }) => {
    net
      .createServer()
      .listen({ path, gid: 'root' }, () => say('listens'))
      .unref();
  });
  assert.deepEqual(lines, ['listens']);
});

test('behind an http.Server: the same', async (t) => {
  const path = freshPath(t);
  const site = (): http.Server => http.createServer((_, response) => response.end('hello'));
  const server = serve(site(), { path, gid: 'root', mode: 0o640 });
  t.after(() => server.close());
  assert.deepEqual([server.listening, server.address(), existsSync(path)], [true, path, false]);
  assert.throws(() => serve(server, { path, gid: 'root' }), { code: 'ERR_SERVER_ALREADY_LISTEN' });
  await once(server, 'listening');
  assert.equal(modeOf(path), '640');
  const [response] = (await once(http.get({ socketPath: path, agent: false }), 'response')) as [
    http.IncomingMessage,
  ];
  response.resume();
  await once(response, 'end');
  await new Promise((resolve) => server.close(resolve));
  assert.equal(existsSync(path), false);

  const unknown = serve(site(), { path, uid: 'no such user' });
  const [error] = (await once(unknown, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ERR_AFUNIX_UNKNOWN_NAME');
  assert.equal(unknown.listening, false);

  const early = serve(site(), { path, gid: 'root' });
  early.on('listening', () => assert.fail('it listens'));
  await new Promise<void>((resolve, reject) => {
    early.close((failure) => (failure === undefined ? resolve() : reject(failure)));
  });
  // Whoever asks for the same is answered after that.
  const after = await listening(t, { path, gid: 'root' });
  assert.equal(await greeting(path), 'hello');
  await closed(after);
});
