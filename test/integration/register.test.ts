/** `afunix/register`: programs that use `node:net` and know nothing of afunix. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { runRegistered, type RunOptions } from './registered';
import { folder } from './support';

/** Runs it and returns what it told; it must end by itself, and complain of nothing. */
async function told(
  t: TestContext,
  program: string,
  options?: RunOptions,
): Promise<readonly unknown[]> {
  const { code, told: lines, stderr } = await runRegistered(t, program, options);
  assert.equal(stderr, '');
  assert.equal(code, 0);
  return lines;
}

/** Of ours, and of the one package that finds the addon, when a program connects. */
const MOST_FILES = 65;

const ECHO = `
  const path = place + '/s';
  const server = net.createServer((socket) => {
    tell({ server: isOurs(socket) });
    socket.pipe(socket);
  });
  await once(server.listen(path), 'listening');
  tell({ address: server.address() === path, listening: server.listening });
  const client = net.connect(path, () => tell({ client: isOurs(client) }));
  client.end('hello');
  let text = '';
  for await (const chunk of client) text += chunk;
  tell(text);
  server.close();
  await once(server, 'close');
`;
const OURS = [
  { address: true, listening: true },
  { client: true },
  { server: true },
  'hello',
] as const;
const sorted = (lines: readonly unknown[]): string[] =>
  lines.map((line) => JSON.stringify(line)).sort();

for (const by of ['--require', '--import'] as const) {
  for (const esModule of [false, true]) {
    const kind = esModule ? 'an ES module' : 'a CommonJS program';
    test(`${by} afunix/register: ${kind} is served by afunix`, async (t) => {
      assert.deepEqual(sorted(await told(t, ECHO, { by, esModule })), sorted(OURS));
    });
  }
}

test('without it, and with AFUNIX_REGISTER=off, everything is of net', async (t) => {
  const theirs = sorted([OURS[0], { client: false }, { server: false }, 'hello']);
  assert.deepEqual(sorted(await told(t, ECHO, { by: 'none' })), theirs);
  const environment = { AFUNIX_REGISTER: 'off' };
  assert.deepEqual(sorted(await told(t, ECHO, { environment })), theirs);
});

test('it reaches child processes by NODE_OPTIONS, and worker threads', async (t) => {
  const program = `
    const { Worker } = require('node:worker_threads');
    const { spawnSync } = require('node:child_process');
    const code = \`
      const net = require('node:net');
      const path = process.cwd() + '/t' + require('node:worker_threads').threadId;
      const server = net.createServer((s) => s.end()).listen(path, () => {
        const client = net.connect(path).resume().on('close', () => server.close());
        require('node:fs').writeSync(1, JSON.stringify('detach' in client) + '\\\\n');
      });\`;
    process.chdir(place);
    await once(new Worker(code, { eval: true }), 'exit');
    const { stdout } = spawnSync(process.execPath, ['-e', code], { cwd: place });
    process.stdout.write(stdout);
  `;
  const register = require.resolve('afunix/register');
  const options = { by: 'none', environment: { NODE_OPTIONS: `--require ${register}` } } as const;
  assert.deepEqual(await told(t, program, options), [true, true]);
});

test('sockets and functions that a program took early are served too', async (t) => {
  const program = `
    const { connect, createConnection, Socket, Stream } = net;
    const path = place + '/s';
    const server = new net.Server((socket) => socket.end('x')).listen({ path });
    await once(server, 'listening');
    const unconnected = new Socket({ allowHalfOpen: false });
    unconnected.setEncoding('latin1').setNoDelay(true).setTimeout(60_000);
    const sockets = [connect(path), createConnection({ path }), unconnected.connect(path), Stream().connect({ path })];
    for (const socket of sockets) {
      let text = '';
      socket.on('data', (chunk) => (text += chunk));
      await once(socket, 'close');
      tell([text, isOurs(socket), socket instanceof net.Socket, socket.constructor === Socket]);
    }
    tell([server instanceof net.Server, server.constructor === net.Server]);
    server.close();
  `;
  const lines = await told(t, program);
  assert.deepEqual(lines, [...new Array<unknown>(4).fill(['x', true, true, true]), [true, true]]);
});

test('options given before it is known where the socket goes: onread, and a signal', async (t) => {
  const program = `
    const path = place + '/s';
    const server = net.createServer((socket) => socket.write('received')).listen(path);
    await once(server, 'listening');
    const buffer = Buffer.alloc(64);
    const got = await new Promise((resolve) => {
      const callback = (length, into) => resolve([into === buffer, into.toString('latin1', 0, length)]);
      const reader = new net.Socket({ onread: { buffer, callback } });
      reader.on('data', () => tell('data')).connect(path).unref();
    });
    tell(got);
    const controller = new AbortController();
    const aborted = new net.Socket({ signal: controller.signal }).connect(path);
    await once(aborted, 'connect');
    setImmediate(() => controller.abort());
    const [error] = await once(aborted, 'error');
    tell([isOurs(aborted), error.name]);
    process.exit();
  `;
  assert.deepEqual(await told(t, program), [
    [true, 'received'],
    [true, 'AbortError'],
  ]);
});

test('unref() before connect(), on socket and server, keeps no process running', async (t) => {
  const program = `
    const path = place + '/s';
    const server = net.createServer((socket) => socket.unref()).unref().listen(path);
    await once(server, 'listening');
    const socket = new net.Socket().unref();
    await once(socket.connect(path), 'connect');
    tell(isOurs(socket));
  `;
  assert.deepEqual(await told(t, program), [true]);
});

test('what is not a path stays with net: ports, descriptors, stdio, IPC, subclasses, TLS servers', async (t) => {
  const program = `
    const tls = require('node:tls'), http2 = require('node:http2');
    const { fork, spawn } = require('node:child_process');
    const tcp = net.createServer((socket) => { tell({ tcp: isOurs(socket) }); socket.end('tcp'); }).listen(0, '127.0.0.1');
    await once(tcp, 'listening');
    tell({ port: typeof tcp.address().port });
    const viaPort = net.connect(tcp.address().port, '127.0.0.1');
    for await (const chunk of viaPort) tell(String(chunk));
    tell([isOurs(viaPort), Object.getPrototypeOf(viaPort) === net.Socket.prototype]);
    tcp.close();

    const child = spawn(process.execPath, ['-e', 'process.stdin.pipe(process.stdout)']);
    child.stdin.end('through pipes');
    for await (const chunk of child.stdout) tell(String(chunk));
    tell([isOurs(child.stdin), child.stdout instanceof net.Socket]);

    const file = place + '/child.cjs';
    require('node:fs').writeFileSync(file, "process.on('message', (m) => { process.send(m + 1); process.disconnect(); })");
    const forked = fork(file);
    forked.send(41);
    const [answer] = await once(forked, 'message');
    tell(answer);

    class Special extends net.Socket {}
    const secure = tls.createServer().listen(place + '/tls');
    await once(secure, 'listening');
    const special = new Special().connect(place + '/tls');
    await once(special, 'connect');
    tell([isOurs(special), special instanceof Special, 'onconnection' in secure._handle]);
    special.destroy();
    secure.close();
  `;
  assert.deepEqual(
    sorted(await told(t, program)),
    sorted([
      { port: 'number' },
      { tcp: false },
      'tcp',
      [false, true],
      'through pipes',
      [false, true],
      42,
      [false, true, true],
    ]),
  );
});

test('connections and listeners can be sent to a child process, where they are of net', async (t) => {
  const program = `
    const { fork } = require('node:child_process');
    const file = place + '/child.cjs';
    require('node:fs').writeFileSync(file, \`
      process.on('message', (message, handle) => {
        if (message === 'socket') handle.end('answered by the child');
        else if (message === 'server') {
          handle.on('connection', (socket) => socket.end('accepted by the child'));
          process.send('listening');
        } else process.exit();
      });\`);
    const child = fork(file);
    const read = async (path) => {
      let text = '';
      for await (const chunk of net.connect(path)) text += chunk;
      return text;
    };
    const hands = net.createServer({ pauseOnConnect: true }, (socket) => child.send('socket', socket));
    await once(hands.listen(place + '/a'), 'listening');
    tell([await read(place + '/a'), await read(place + '/a')]);
    hands.close();
    const passed = net.createServer((socket) => socket.end('accepted by the child'));
    await once(passed.listen(place + '/b'), 'listening');
    child.send('server', passed);
    await once(child, 'message');
    tell([await read(place + '/b'), await read(place + '/b')]);
    passed.close();
    child.send('exit');
    await once(child, 'exit');
  `;
  const answered = 'answered by the child';
  const accepted = 'accepted by the child';
  assert.deepEqual(await told(t, program), [
    [answered, answered],
    [accepted, accepted],
  ]);
});

test('AFUNIX_REGISTER_PATHS limits it, abstract names included; the last pattern that fits decides', async (t) => {
  const program = `
    const names = ['/run/one.sock', '/run/deep/two.sock', '/tmp/x', '\\0name', '\\0other'];
    const { pathFilter, patternsIn } = require(process.env.FILTER);
    for (const setting of ['/run/*.sock', '/run/', '!/run/deep/', '@name', '/run/**:!**two*:@*', '**']) {
      const fits = pathFilter(patternsIn(setting));
      tell(names.filter(fits).length);
    }
    for (const [name, path] of [['taken', place + '/yes'], ['left', place + '/no']]) {
      const server = net.createServer((socket) => { tell([name, isOurs(socket)]); socket.end(); }).listen(path);
      await once(server, 'listening');
      const socket = net.connect(path).resume();
      await once(socket, 'close');
      tell([name, isOurs(socket)]);
      server.close();
    }
    const { paths, servers, sockets } = globalThis[Symbol.for('afunix.register')];
    tell({ paths, servers, sockets });
  `;
  const filter = require.resolve('afunix/register').replace(/index\.js$/, 'paths.js');
  const environment = { AFUNIX_REGISTER_PATHS: '**/yes', FILTER: filter };
  const lines = await told(t, program, { environment });
  assert.deepEqual(lines.slice(0, 6), [1, 2, 4, 1, 3, 5]);
  assert.deepEqual(lines.slice(6), [
    ['taken', true],
    ['taken', true],
    ['left', false],
    ['left', false],
    { paths: ['**/yes'], servers: 1, sockets: 1 },
  ]);
});

test('little is loaded at the start, more with the first path, and what servers need with the first server', async (t) => {
  const program = `
    const loaded = () => Object.keys(require.cache).filter((file) => !file.startsWith(place));
    const of = (part) => loaded().filter((file) => file.includes(part)).length;
    tell([loaded().length, of('.node')]);
    net.connect(place + '/nobody').on('error', () => {});
    tell([loaded().length, of('.node'), of('/dist/server/'), of('/dist/raw/poller'), of('/dist/seqpacket/')]);
    const server = net.createServer().listen(place + '/s', () => server.close());
    tell([of('/dist/server/') > 0, of('/dist/raw/poller'), of('/dist/seqpacket/')]);
  `;
  const [start, connected, listening] = (await told(t, program)) as [number[], number[], unknown];
  // How many files there are is what it costs, whatever else the machine does meanwhile.
  assert.deepEqual(start, [10, 0]);
  const [files = 0, ...rest] = connected;
  assert.ok(files <= MOST_FILES, `${files} files`);
  assert.deepEqual(rest, [1, 0, 0, 0]);
  assert.deepEqual(listening, [true, 0, 0]);
});

test('features() and a global variable tell what was replaced', async (t) => {
  const program = `
    const { features } = require(process.env.AFUNIX);
    tell(features().register);
    net.connect(place + '/nobody').on('error', () => {});
    const told = globalThis[Symbol.for('afunix.register')];
    tell([told.active, told.sockets, told.servers, told.replaced]);
  `;
  const environment = { AFUNIX: require.resolve('afunix') };
  const replaced = [
    'net.Socket.prototype.connect',
    'net.Server.prototype.listen',
    'net.Socket',
    'net.Server',
    'net.createServer',
    'net._normalizeArgs',
    'http.Server',
    'http.createServer',
    'http.Agent.prototype.getName',
    'http.Agent.prototype.addRequest',
  ];
  assert.deepEqual(await told(t, program, { environment }), [
    { available: true, replaced, sockets: 0, servers: 0 },
    [true, 1, 0, [...replaced, 'net.Socket[Symbol.hasInstance]']],
  ]);
  assert.deepEqual(
    await told(t, 'tell(require(process.env.AFUNIX).features().register);', {
      environment,
      by: 'none',
    }),
    [{ available: false, reason: 'afunix/register has not been loaded in this thread' }],
  );
});

test('without the addon there is one warning in the process, and net carries on', async (t) => {
  const program = `
    const { Worker } = require('node:worker_threads');
    ${ECHO}
    const code = "require('node:net').connect('/nowhere/s').on('error', () => {})";
    await once(new Worker(code, { eval: true }), 'exit');
    tell(require(process.env.AFUNIX).features().register);
  `;
  const environment = { AFUNIX_ADDON: '/nowhere/afunix.node', AFUNIX: require.resolve('afunix') };
  const { code, told: lines, stderr } = await runRegistered(t, program, { environment });
  assert.equal(code, 0);
  assert.deepEqual(
    sorted(lines.slice(0, 4)),
    sorted([OURS[0], { client: false }, { server: false }, 'hello']),
  );
  assert.equal(stderr.match(/AFUNIX_NO_ADDON/g)?.length, 1, stderr);
  assert.match(
    stderr,
    /afunix\/register does nothing, and node:net goes on: the addon could not be loaded/,
  );
  const { available, reason } = lines[4] as { available: boolean; reason: string };
  assert.equal(available, false);
  assert.match(reason, /could not be loaded/);
});

test('an addon that is none, or one of another machine, is one warning too', async (t) => {
  const addon = path.join(folder(t), 'afunix.node');
  writeFileSync(addon, 'not for this machine');
  const environment = { AFUNIX_ADDON: addon };
  const { code, told: lines, stderr } = await runRegistered(t, ECHO, { environment });
  assert.equal(code, 0);
  const theirs = [OURS[0], { client: false }, { server: false }, 'hello'];
  assert.deepEqual(sorted(lines), sorted(theirs));
  assert.equal(stderr.match(/AFUNIX_NO_ADDON/g)?.length, 1, stderr);
});

test('a setting that is none is one warning, and net carries on', async (t) => {
  const environment = { AFUNIX_ENGINE: 'steam' };
  const program = `${ECHO} tell(globalThis[Symbol.for('afunix.register')].active);`;
  const { code, told: lines, stderr } = await runRegistered(t, program, { environment });
  assert.equal(code, 0);
  const theirs = [OURS[0], { client: false }, { server: false }, 'hello', false];
  assert.deepEqual(sorted(lines), sorted(theirs));
  assert.equal(stderr.match(/AFUNIX_SETTINGS/g)?.length, 1, stderr);
});

test('NODE_DEBUG=afunix says what was taken', async (t) => {
  const environment = { NODE_DEBUG: 'afunix' };
  const { code, stderr } = await runRegistered(t, ECHO, { environment });
  assert.equal(code, 0);
  assert.match(stderr, /AFUNIX \d+: register: listen \S+\/s\n/);
  assert.match(stderr, /AFUNIX \d+: register: connect \S+\/s\n/);
});

test('whoever replaced methods of net.Socket keeps its sockets; whoever wraps connect() does not', async (t) => {
  const program = `
    const path = place + '/s';
    const server = net.createServer((socket) => socket.end()).listen(path);
    await once(server, 'listening');
    const { connect, destroy, end } = net.Socket.prototype;
    let wrapped = 0;
    net.Socket.prototype.connect = function (...args) { wrapped += 1; return connect.apply(this, args); };
    const first = net.connect(path).resume();
    await once(first, 'close');
    let ended = 0;
    net.Socket.prototype.end = function (...args) { ended += 1; return end.apply(this, args); };
    const second = net.connect(path).resume();
    second.end();
    await once(second, 'close');
    tell([isOurs(first), isOurs(second), wrapped, ended > 0]);
    server.close();
  `;
  assert.deepEqual(await told(t, program), [[true, false, 2, true]]);
});

test('a library that reaches for _handle finds none on a socket, and one with a descriptor on a server', async (t) => {
  const program = `
    const path = place + '/s';
    const server = net.createServer((socket) => { tell(['peer', typeof socket._handle]); socket.end(); }).listen(path);
    await once(server, 'listening');
    tell(['server', typeof server._handle.fd, server._handle.fd > 2]);
    const client = net.connect(path).resume();
    tell(['client', typeof client._handle]);
    await once(client, 'close');
    server.close();
    tell(['closed', server._handle]);
  `;
  const lines = await told(t, program);
  assert.deepEqual(
    sorted(lines),
    sorted([
      ['server', 'number', true],
      ['client', 'undefined'],
      ['peer', 'undefined'],
      ['closed', null],
    ]),
  );
});

test('one object goes to a path, to a port, and to a path again', async (t) => {
  const program = `
    const path = place + '/s';
    const onPath = net.createServer((socket) => socket.end('path')).listen(path);
    const onPort = net.createServer((socket) => socket.end('port')).listen(0, '127.0.0.1');
    await Promise.all([once(onPath, 'listening'), once(onPort, 'listening')]);
    const socket = new net.Socket();
    let text = '';
    socket.on('data', (chunk) => (text += chunk));
    for (const to of [{ path }, { port: onPort.address().port }, { path }]) {
      socket.connect(to);
      await once(socket, 'close');
      tell([text, isOurs(socket)]);
      text = '';
    }
    const server = onPath;
    server.close();
    onPort.close();
    await once(server, 'close');
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    tell(typeof server.address().port);
    server.close();
    await once(server, 'close');
    server.listen(path);
    await once(server, 'listening');
    tell(server.address() === path);
    server.close();
  `;
  assert.deepEqual(await told(t, program), [
    ['path', true],
    ['port', false],
    ['path', true],
    'number',
    true,
  ]);
});
