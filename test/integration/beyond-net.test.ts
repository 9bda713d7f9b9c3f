/** What afunix has and `node:net` does not: features, counters, settings, pairs, and the fallback without an addon. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import net, { configure, features, socketpair, stats } from 'afunix';
import { address, bytes, collected, happens, hashOf, listening, root, sha256 } from './support';

interface Outcome {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program in which `afunix` is the module; what it returns is printed as JSON. */
function inProcess(
  t: TestContext,
  program: string,
  environment: Record<string, string> = {},
): Promise<Outcome> {
  const source = `
    const afunix = require('afunix');
    (async () => { ${program} })().then(
      (result) => console.log(JSON.stringify(result)),
      (error) => console.log(JSON.stringify({ thrown: error.code })),
    );
  `;
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ['-e', source],
      { cwd: root, env: { ...process.env, ...environment } },
      (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }),
    );
    t.after(() => child.kill('SIGKILL'));
  });
}

async function resultOf(
  t: TestContext,
  program: string,
  environment?: Record<string, string>,
): Promise<unknown> {
  const { code, stdout, stderr } = await inProcess(t, program, environment);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  return JSON.parse(stdout) as unknown;
}

const ECHO = `
  const path = process.env.ADDRESS;
  const server = afunix.createServer((socket) => socket.pipe(socket)).listen(path);
  await require('node:events').once(server, 'listening');
  const socket = afunix.connect(path);
  socket.end('echo');
  let text = '';
  for await (const chunk of socket) text += chunk;
  server.close();
`;

/** What the rest of the suite runs on, too. */
const engineHere =
  process.env['AFUNIX_ENGINE'] === 'epoll' || !features().ioUring.available ? 'epoll' : 'io_uring';

test('features() tells what is there', () => {
  const told = features();
  assert.deepEqual(told.addon, { available: true });
  assert.equal(told.engine, engineHere);
  assert.equal(told.engineReason === undefined, told.ioUring.available);
  assert.equal(told.ioUring.reason === undefined, told.ioUring.available);
  assert.deepEqual(told.busyPoll, { available: true });
  assert.deepEqual(told.abstractNames, { available: true });
  assert.match(told.abstractLength, /^(exact|padded)$/);
});

test('stats() counts, and only upwards', async (t) => {
  const path = address(t);
  const size = 1_000_000;
  await listening(
    t,
    net.createServer({ allowHalfOpen: true }, (peer) => peer.pipe(peer)),
    path,
  );
  const before = stats();
  const socket = net.connect(path);
  socket.end(bytes(size));
  await hashOf(socket);
  const after = stats();
  assert.equal(after.engine, engineHere);
  assert.equal(after.connected - before.connected, 1);
  assert.equal(after.accepted - before.accepted, 1);
  assert.equal(after.bytesRead - before.bytesRead, 2 * size);
  assert.equal(after.bytesWritten - before.bytesWritten, 2 * size);
  for (const counter of ['wakeups', 'completions', 'flushes', 'syscalls'] as const) {
    assert.ok(after[counter] > before[counter], counter);
  }
});

test('stats() of a thread that has no socket are all 0', async (t) => {
  assert.deepEqual(await resultOf(t, 'return afunix.stats();'), {
    engine: engineHere,
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

test('configure() refuses what it cannot do', () => {
  const outOfRange = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
  assert.throws(() => configure({ engine: 'kqueue' as 'epoll' }), outOfRange);
  for (const busyPoll of [-1, 1_000_001, Number.NaN, '50' as unknown as number]) {
    assert.throws(() => configure({ busyPoll }), outOfRange, String(busyPoll));
  }
  configure({});
});

test('the engine is chosen before the first socket', async (t) => {
  const program = `
    afunix.configure({ engine: 'epoll' });
    const before = afunix.features();
    const server = afunix.createServer().listen(process.env.ADDRESS);
    afunix.configure({ engine: 'epoll' });
    server.close();
    try {
      afunix.configure({ engine: 'io_uring' });
    } catch (error) {
      return [before.engine, before.engineReason ?? null, afunix.stats().engine, error.code];
    }
  `;
  assert.deepEqual(await resultOf(t, program, { ADDRESS: address(t) }), [
    'epoll',
    null,
    'epoll',
    'ERR_AFUNIX_STARTED',
  ]);
});

test('AFUNIX_ENGINE and AFUNIX_BUSY_POLL', async (t) => {
  for (const engine of features().ioUring.available ? ['epoll', 'io_uring'] : ['epoll']) {
    const asked = await resultOf(t, `${ECHO} return [text, afunix.stats().engine];`, {
      ADDRESS: address(t),
      AFUNIX_ENGINE: engine,
    });
    assert.deepEqual(asked, ['echo', engine]);
  }
  const echoed = await resultOf(t, `${ECHO} return text;`, {
    ADDRESS: address(t),
    AFUNIX_BUSY_POLL: '50',
  });
  assert.equal(echoed, 'echo');
  for (const [name, value] of [
    ['AFUNIX_ENGINE', 'kqueue'],
    ['AFUNIX_BUSY_POLL', 'long'],
  ] as const) {
    const { code, stderr } = await inProcess(t, '', { [name]: value });
    assert.equal(code, 1);
    assert.match(stderr, /ERR_OUT_OF_RANGE/);
  }
});

test('without an addon everything is node:net, and says so', async (t) => {
  const program = `
    ${ECHO}
    let refused;
    try { afunix.socketpair(); } catch (error) { refused = error.code; }
    const { addon, engine, busyPoll } = afunix.features();
    return {
      text, refused, addon, engine, busyPoll: busyPoll.available, counted: afunix.stats().engine,
      same: afunix.Socket === require('node:net').Socket,
    };
  `;
  const environment = { ADDRESS: address(t), AFUNIX_ADDON: '/nonexistent/afunix.node' };
  const told = (await resultOf(t, program, environment)) as Record<string, unknown> & {
    addon: { available: boolean; reason: string };
  };
  assert.match(told.addon.reason, /^the addon could not be loaded: /);
  assert.deepEqual(
    { ...told, addon: told.addon.available },
    {
      text: 'echo',
      refused: 'ERR_AFUNIX_NO_ADDON',
      addon: false,
      engine: 'net',
      busyPoll: false,
      counted: 'net',
      same: true,
    },
  );
});

test('a socketpair() is two sockets that are connected', async () => {
  const [left, right] = socketpair({ allowHalfOpen: true });
  assert.ok(left instanceof net.Socket && right instanceof net.Socket);
  assert.equal(left.readyState, 'open');
  assert.equal(left.pending, false);
  const there = bytes(1_000_000, 1);
  left.end(there);
  assert.equal(await hashOf(right.iterator({ destroyOnReturn: false })), sha256(there));
  right.end('and back');
  assert.equal((await collected(left)).toString(), 'and back');
});

test('the options of socketpair() are those of both sockets', async () => {
  const [left, right] = socketpair({ allowHalfOpen: true, highWaterMark: 1234 });
  for (const socket of [left, right]) {
    assert.equal(socket.allowHalfOpen, true);
    assert.equal(socket.readableHighWaterMark, 1234);
    assert.equal(socket.writableHighWaterMark, 1234);
  }
  right.end();
  left.resume();
  await happens(left, 'end');
  assert.equal(left.writable, true);
  left.end('after the end');
  assert.equal((await collected(right)).toString(), 'after the end');
});

for (const where of ['socket', 'server'] as const) {
  test(`busyPoll as an option of a ${where}`, async (t) => {
    const path = address(t);
    const options = { allowHalfOpen: true, ...(where === 'server' ? { busyPoll: 200 } : {}) };
    await listening(
      t,
      net.createServer(options, (peer) => peer.pipe(peer)),
      path,
    );
    const socket = net.connect({ path, ...(where === 'socket' ? { busyPoll: 200 } : {}) });
    const data = bytes(500_000, 2);
    socket.end(data);
    assert.equal(await hashOf(socket), sha256(data));
  });
}

test('a connectTimeout that is no time is refused at once', (t) => {
  for (const connectTimeout of [-1, Number.NaN, '1' as unknown as number]) {
    assert.throws(
      () => net.connect({ path: address(t), connectTimeout }),
      { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' },
      String(connectTimeout),
    );
  }
});

test('a connectTimeout without end, or nearly, waits for room', async (t) => {
  for (const connectTimeout of [Infinity, Number.MAX_SAFE_INTEGER, 1e300]) {
    const path = address(t);
    const server = await fullServer(t, path);
    const socket = net.connect({ path, connectTimeout });
    t.after(() => socket.destroy());
    const outcome = new Promise<string>((resolve) => {
      socket.once('connect', () => resolve('connected'));
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
    });
    // It has been refused once when something else of this thread could be done meanwhile.
    await happens(net.connect({ path, connectTimeout: 0 }), 'error').then(([error]) => {
      assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN');
    });
    server.accept();
    assert.equal(await outcome, 'connected', String(connectTimeout));
  }
});

/** A server whose backlog is full, until it is told to accept. */
async function fullServer(t: TestContext, path: string): Promise<{ accept(): void }> {
  const program = `
    const server = require('node:net').createServer((socket) => socket.resume());
    server.listen({ path: process.argv[1], backlog: 1 }, () => {
      const fs = require('node:fs');
      fs.writeSync(1, 'ready');
      fs.readSync(0, Buffer.alloc(1));
    });
  `;
  const child = spawn(process.execPath, ['-e', program, path], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  await happens(child.stdout, 'data');
  // The kernel lets one more wait than the backlog says.
  for (let i = 0; i < 2; i += 1) {
    const filler = net.connect(path);
    t.after(() => filler.destroy());
    await happens(filler, 'connect');
  }
  return { accept: () => void child.stdin.write('\n') };
}

test('a busyPoll that is no time is refused at once', () => {
  for (const busyPoll of [-1, 1_000_001, Number.NaN, '50' as unknown as number]) {
    const outOfRange = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
    assert.throws(() => new net.Socket({ busyPoll }), outOfRange, `socket ${String(busyPoll)}`);
    assert.throws(() => net.createServer({ busyPoll }), outOfRange, `server ${String(busyPoll)}`);
  }
});

test('a socket on a path cannot go to a port before it is closed, and can afterwards', async (t) => {
  const path = address(t);
  await listening(t, net.createServer(), path);
  const overTcp = await listening(t, net.createServer(), { port: 0, host: '127.0.0.1' });
  const { port } = overTcp.address() as { port: number };
  const socket: Socket = net.connect(path);
  await happens(socket, 'connect');
  assert.throws(() => socket.connect(port, '127.0.0.1'), { code: 'ERR_AFUNIX_CONNECTED' });
  socket.destroy();
  await happens(socket, 'close');
  socket.connect(port, '127.0.0.1');
  await happens(socket, 'connect');
  assert.equal(socket.remotePort, port);
  socket.destroy();
});
