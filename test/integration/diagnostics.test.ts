/** What somebody who watches from the outside is told: our channels of node:diagnostics_channel, and NODE_DEBUG. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import http from 'node:http';
import { test, type TestContext } from 'node:test';
import net, { stats, type DiagnosticsMessages } from 'afunix';
import { serve } from 'afunix/http';
import seqpacket from 'afunix/seqpacket';
import { runRegistered } from './registered';
import { abstractName, address, folder, happens, listening, root } from './support';

/** What one of our channels is told from now on. */
function watch<Name extends keyof DiagnosticsMessages>(
  t: TestContext,
  name: Name,
): DiagnosticsMessages[Name][] {
  const told: DiagnosticsMessages[Name][] = [];
  const onMessage = (message: unknown): void => void told.push(message as never);
  subscribe(name, onMessage);
  t.after(() => unsubscribe(name, onMessage));
  return told;
}

/** Runs a program with afunix's exports in `afunix`; it must end by itself. */
function run(program: string, environment: Readonly<Record<string, string>> = {}): string {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['-e', `const afunix = require('afunix'); ${program}`],
    { cwd: root, encoding: 'utf8', env: { ...process.env, ...environment } },
  );
  assert.equal(status, 0, stderr);
  return stdout + stderr;
}

test('afunix.engine tells of the engine, once, with the first socket', () => {
  const program = `
    require('node:diagnostics_channel').subscribe('afunix.engine', (message, name) => console.log(name, JSON.stringify(message)));
    console.log('nothing yet');
    for (const socket of [...afunix.socketpair(), ...afunix.socketpair()]) socket.destroy();`;
  const told = (engine: string): string => `nothing yet\nafunix.engine {"engine":"${engine}"}\n`;
  assert.equal(run(program, { AFUNIX_ENGINE: 'epoll' }), told('epoll'));
  const { engine } = stats();
  assert.equal(run(program, { AFUNIX_ENGINE: engine }), told(engine));
});

test('afunix.server.refused tells who was refused, by which server, and why', async (t) => {
  const told = watch(t, 'afunix.server.refused');
  const path = address(t);
  const order: string[] = [];
  subscribe('afunix.server.refused', note);
  t.after(() => unsubscribe('afunix.server.refused', note));
  function note(): void {
    order.push('channel');
  }
  const server = net.createServer();
  server.on('refused', () => order.push('event'));
  await listening(t, server, { path, authorize: () => 'not today' } as never);
  await happens(net.connect(path).resume(), 'close');
  assert.equal(told.length, 1);
  const [{ server: by, peer, refusal }] = told as [DiagnosticsMessages['afunix.server.refused']];
  assert.equal(by, server);
  assert.equal(peer.uid, process.getuid?.());
  assert.deepEqual([refusal.code, refusal.message], ['policy', 'not today']);
  assert.deepEqual(order, ['channel', 'event']);
});

test('of a server that another one stands in front of, that one is told', async (t) => {
  const told = watch(t, 'afunix.server.refused');
  const path = address(t);
  const server = http.createServer();
  serve(server, { path, authorize: () => false });
  t.after(() => server.close());
  await happens(server, 'listening');
  await happens(net.connect(path).resume(), 'close');
  assert.equal(told[0]?.server, server);
});

test('message sockets have channels of their own, and net.server.socket is not told of them', async (t) => {
  const clients = watch(t, 'afunix.seqpacket.client.socket');
  const servers = watch(t, 'afunix.seqpacket.server.socket');
  const streams: unknown[] = [];
  const onStream = (message: unknown): void => void streams.push(message);
  for (const name of ['net.client.socket', 'net.server.socket']) {
    subscribe(name, onStream);
    t.after(() => unsubscribe(name, onStream));
  }
  const accepted: unknown[] = [];
  const server = seqpacket.createServer((socket) => {
    accepted.push(socket);
    socket.end();
  });
  const name = abstractName();
  server.listen(name);
  const client = seqpacket.connect(name);
  assert.deepEqual(clients, [{ socket: client }]);
  await new Promise((resolve) => client.resume().once('close', resolve));
  server.close();
  assert.deepEqual(servers, [{ socket: accepted[0] }]);
  assert.deepEqual(streams, []);
});

test('whoever throws in a subscriber harms nobody else', () => {
  const program = `
    const { subscribe } = require('node:diagnostics_channel');
    process.on('uncaughtException', (error) => console.log('uncaught', error.message));
    for (const name of ['afunix.engine', 'afunix.server.refused', 'net.server.socket']) {
      subscribe(name, () => { throw new Error(name); });
    }
    const server = afunix.createServer((socket) => socket.end('served'));
    let admit = false;
    server.listen({ path: '\\0afunix-diagnostics-' + process.pid, authorize: () => admit }, () => {
      afunix.connect(server.address()).resume().on('close', () => {
        admit = true;
        afunix.connect(server.address()).on('data', (chunk) => console.log(String(chunk))).on('close', () => server.close());
      });
    });`;
  assert.deepEqual(run(program).trim().split('\n').sort(), [
    'served',
    'uncaught afunix.engine',
    'uncaught afunix.server.refused',
    'uncaught net.server.socket',
  ]);
});

const TALK = `
  const path = process.argv[1] + '/s';
  const server = afunix.createServer((socket) => socket.end('four'));
  server.listen(path, () => {
    afunix.connect(path).resume().on('close', () => {
      server.close();
      afunix.connect(path).on('error', () => {});
    });
  });`;

for (const [section, prefix] of [
  ['afunix', /^AFUNIX \d+: /],
  ['net', /^NET \d+: afunix: /],
] as const) {
  test(`NODE_DEBUG=${section} says what becomes of each connection and listener`, (t) => {
    const { status, stderr } = spawnSync(
      process.execPath,
      ['-e', `const afunix = require('afunix'); ${TALK}`, folder(t)],
      { cwd: root, encoding: 'utf8', env: { ...process.env, NODE_DEBUG: section } },
    );
    assert.equal(status, 0, stderr);
    const lines = stderr
      .split('\n')
      .filter((line) => prefix.test(line))
      .map((line) => line.replace(prefix, '').replace(/ \S+\/s\b/, ' PATH'));
    const seen = lines.map((line) => line.replaceAll(/#\d+/g, '#'));
    assert.match(seen[0] ?? '', /^engine: (epoll|io_uring)/);
    const expected = [
      '#: listen PATH',
      '#: connect PATH',
      '#: connected',
      '#: accepted #',
      '#: end',
      '#: close, 4 bytes read, 0 written',
      '#: close, 0 bytes read, 4 written',
      '#: close',
      '#: connect PATH',
      '#: connecting failed: ENOENT',
    ];
    for (const line of expected) assert.ok(seen.includes(line), `${line}\n\n${stderr}`);
    // What belongs together has one number.
    const number = /^#(\d+): accepted #(\d+)$/.exec(
      lines.find((line) => line.includes('accepted')) ?? '',
    );
    assert.ok(lines.includes(`#${number?.[1]}: listen PATH`), stderr);
    assert.ok(lines.includes(`#${number?.[2]}: close, 0 bytes read, 4 written`), stderr);
  });
}

test('NODE_DEBUG=afunix tells of refusals, of a listen() that fails, and of message sockets', () => {
  const program = `
    const seqpacket = require('afunix/seqpacket');
    const name = '\\0afunix-debug-' + process.pid;
    const server = afunix.createServer().listen({ path: name, authorize: () => 'not today' }, () => {
      afunix.connect(name).resume().on('close', () => {
        afunix.createServer().on('error', () => server.close()).listen(name);
      });
    });
    const messages = seqpacket.createServer((socket) => socket.end()).listen(name + '-m', () => {
      seqpacket.connect(name + '-m').resume().on('close', () => messages.close());
    });`;
  const said = run(program, { NODE_DEBUG: 'afunix' });
  assert.match(said, new RegExp(`refused pid \\d+ uid ${process.getuid?.()}: not today\n`));
  assert.match(said, /listen @afunix-debug-\d+: .*EADDRINUSE/);
  assert.match(said, /#\d+: connect @afunix-debug-\d+-m \(SOCK_SEQPACKET\)\n/);
});

test('without NODE_DEBUG nothing is said', (t) => {
  const { stderr } = spawnSync(
    process.execPath,
    ['-e', `const afunix = require('afunix'); ${TALK}`, folder(t)],
    { cwd: root, encoding: 'utf8', env: { ...process.env, NODE_DEBUG: 'http' } },
  );
  assert.doesNotMatch(stderr, /afunix: |AFUNIX/);
});

test('NODE_DEBUG=net of a program under register tells what was taken, and what became of it', async (t) => {
  const program = `
    const path = place + '/s';
    const server = net.createServer((socket) => socket.end('x')).listen(path);
    await once(server, 'listening');
    await once(net.connect(path).resume(), 'close');
    server.close();
  `;
  const { code, stderr } = await runRegistered(t, program, { environment: { NODE_DEBUG: 'net' } });
  assert.equal(code, 0);
  for (const line of [
    /NET \d+: afunix: register: listen \S+\/s\n/,
    /NET \d+: afunix: register: connect \S+\/s\n/,
    /NET \d+: afunix: #\d+: connected\n/,
    /NET \d+: afunix: #\d+: accepted #\d+\n/,
    /NET \d+: afunix: #\d+: close, 1 bytes read, 0 written\n/,
  ]) {
    assert.match(stderr, line);
  }
});
