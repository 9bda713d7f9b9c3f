/** Programs that replace or freeze what afunix builds on: fake timers, `Error` that nobody may change. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { connect, type Socket } from 'afunix';
import { runRegistered } from './registered';

/** What `install()` and `uninstall()` of the usual fake timers do, by default. */
const FAKES = `
const real = {}, names = ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'setImmediate', 'clearImmediate'];
const timers = require('node:timers');
const fake = () => {
  for (const name of names) {
    real[name] = globalThis[name];
    globalThis[name] = timers[name] = () => ({ ref() { return this; }, unref() { return this; } });
  }
  real.nextTick = process.nextTick;
  real.now = performance.now;
  process.nextTick = () => undefined;
  performance.now = () => 0;
};
const restore = () => {
  for (const name of names) globalThis[name] = timers[name] = real[name];
  process.nextTick = real.nextTick;
  performance.now = real.now;
};
`;

const AFUNIX = `require(${JSON.stringify(require.resolve('afunix'))})`;

test('what is written while process.nextTick is replaced leaves, and so does what comes later', async (t) => {
  const { told, code, stderr } = await runRegistered(
    t,
    `${FAKES}
    const [one, other] = ${AFUNIX}.socketpair();
    other.setEncoding('utf8');
    fake();
    one.write('while faked');
    restore();
    tell((await once(other, 'data'))[0]);
    one.write('afterwards');
    tell((await once(other, 'data'))[0]);
    one.destroy();
    other.destroy();`,
    { by: 'none' },
  );
  assert.equal(code, 0, stderr);
  assert.deepEqual(told, ['while faked', 'afterwards']);
});

test('with timers faked before the first path, idle timers under register fire', async (t) => {
  const { told, code, stderr } = await runRegistered(
    t,
    `${FAKES}
    fake();
    const server = net.createServer().listen(place + '/s');
    restore();
    const peers = once(server, 'connection');
    const client = net.connect(place + '/s');
    const [peer] = await peers;
    tell(isOurs(peer));
    peer.setTimeout(5);
    // Its timer does not hold the process.
    const hold = setInterval(() => undefined, 1000);
    await once(peer, 'timeout');
    clearInterval(hold);
    tell('timeout');
    client.destroy();
    peer.destroy();
    server.close();`,
  );
  assert.equal(code, 0, stderr);
  assert.deepEqual(told, [true, 'timeout']);
});

const TALK = `
    const server = http.createServer((request, response) => response.end('answer')).listen(place + '/s');
    await once(server, 'listening');
    const request = http.get({ socketPath: place + '/s' });
    const [response] = await once(request, 'response');
    tell(String((await once(response, 'data'))[0]));
    tell(isOurs(request.socket));
    tell(request.socket instanceof net.Socket);
    const refused = net.connect(place + '/nobody');
    tell((await once(refused, 'error').catch((error) => [error]))[0].code);
    server.close();`;

const EXPECTED = ['answer', true, true, 'ENOENT'];

test('register works with --frozen-intrinsics', async (t) => {
  const { told, code, stderr } = await runRegistered(t, TALK, {
    nodeOptions: ['--frozen-intrinsics'],
  });
  assert.deepEqual(told, EXPECTED, stderr);
  assert.equal(code, 0);
});

test('register works in a program that freezes Error', async (t) => {
  const { told, code, stderr } = await runRegistered(
    t,
    `for (const each of [Error, TypeError, RangeError, Function, Promise, Array, Object]) {
      Object.freeze(each.prototype);
      Object.freeze(each);
    }${TALK}`,
  );
  assert.deepEqual(told, EXPECTED, stderr);
  assert.equal(code, 0);
});

test('a hint costs no call of the file system before it is read', async () => {
  const calls: string[] = [];
  const names = ['existsSync', 'lstatSync', 'statSync', 'accessSync'] as const;
  const before = names.map((name) => [name, fs[name]] as const);
  for (const [name, original] of before) {
    (fs as unknown as Record<string, unknown>)[name] = (...args: never[]): unknown => {
      calls.push(name);
      return Reflect.apply(original as (...given: unknown[]) => unknown, fs, args);
    };
  }
  const failed = (path: string): Promise<NodeJS.ErrnoException & { hint?: string }> =>
    new Promise((resolve) => {
      const socket: Socket = connect(path);
      socket.once('error', resolve);
    });
  try {
    const missing = await failed('/nowhere/at-all');
    const refused = await failed('/dev/null');
    assert.deepEqual([missing.code, refused.code], ['ENOENT', 'ECONNREFUSED']);
    assert.deepEqual(calls, []);
    assert.equal(missing.hint, "the directory '/nowhere' does not exist");
    assert.equal(refused.hint, "'/dev/null' is not a socket");
    const { length } = calls;
    assert.ok(length > 0);
    assert.equal(missing.hint, "the directory '/nowhere' does not exist");
    assert.equal(calls.length, length, 'once is enough');
    assert.deepEqual(Object.keys(missing), ['errno', 'code', 'syscall', 'address']);
    missing.hint = 'something else';
    assert.equal(missing.hint, 'something else');
  } finally {
    for (const [name, original] of before)
      (fs as unknown as Record<string, unknown>)[name] = original;
  }
});
