/** Sockets that a service manager opened: listeners(), descriptors(), and listen() on them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import nodeNet from 'node:net';
import { dirname } from 'node:path';
import { test } from 'node:test';
import net from 'afunix';
import seqpacket from 'afunix/seqpacket';
import { RawSocket } from 'afunix/raw';
import { isRoot, needsRoot, NOBODY } from '../listening/support';
import { freshDirectory, freshPath } from '../helpers/socket-paths';
import { programOf, startProgram, startService, type ServiceContext } from './support';

function ask(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    nodeNet
      .connect(path)
      .on('data', (chunk) => (text += String(chunk)))
      .on('error', reject)
      .on('end', () => resolve(text));
  });
}

/** Serves every listener once, and says what it got. */
function serveOnce({ net, activation, require, say }: ServiceContext): void {
  const seqpacket = require('afunix/seqpacket') as typeof import('afunix/seqpacket');
  const found = activation.listeners();
  say(JSON.stringify(found));
  for (const listener of found) {
    const server =
      listener.type === 'stream'
        ? net.createServer((socket) => {
            socket.on('error', () => undefined);
            socket.end(`hello from ${listener.name}`);
          })
        : seqpacket.createServer((socket) => {
            socket.resume();
            socket.send(`hello from ${listener.name}`);
            socket.end();
          });
    server.once('connection', () => server.close());
    server.listen(listener);
    // What is only a number has no name, as in `net`.
    if (server.address() !== listener.address) throw new Error(String(server.address()));
  }
}

test('stream and SEQPACKET listeners, with their names, serve who connected before they were there', async (t) => {
  const directory = freshDirectory(t);
  const service = startService(
    t,
    {
      wait: true,
      sockets: [
        { kind: 'stream', path: `${directory}/a`, name: 'api' },
        { kind: 'seqpacket', path: `${directory}/b`, name: 'events' },
        { kind: 'stream', path: `@afunix-${process.pid}`, name: '' },
      ],
    },
    serveOnce,
  );
  assert.equal(await service.line(), 'waiting');
  const early = ask(`${directory}/a`);
  assert.deepEqual(JSON.parse(await service.line()), [
    { fd: 3, name: 'api', type: 'stream', listening: true, address: `${directory}/a` },
    { fd: 4, name: 'events', type: 'seqpacket', listening: true, address: `${directory}/b` },
    { fd: 5, name: 'unknown', type: 'stream', listening: true, address: `\0afunix-${process.pid}` },
  ]);
  assert.equal(await early, 'hello from api');
  const client = seqpacket.connect(`${directory}/b`);
  const [message] = (await once(client, 'message')) as [Buffer];
  assert.equal(message.toString(), 'hello from events');
  client.destroy();
  const raw = RawSocket.socket('stream');
  raw.connect(`\0afunix-${process.pid}`, { abstractLength: 'exact' });
  raw.close();
  assert.equal((await service.ended).code, 0);
  // The manager's files are the manager's.
  assert.ok(existsSync(`${directory}/a`) && existsSync(`${directory}/b`));
});

test('without names they are all unknown; the variables are gone afterwards, and nothing is given twice', async (t) => {
  const service = startService(
    t,
    { sockets: [{ kind: 'stream', path: freshPath(t) }] },
    ({ activation, require, say }) => {
      const first = activation.listeners({ unset: false });
      say(`${first.length} ${first[0].name} ${process.env['LISTEN_FDS']}`);
      say(activation.listeners().length);
      say(activation.listeners().length);
      const left = Object.keys(process.env).filter((key) => key.startsWith('LISTEN_'));
      say(left.length);
      const { spawnSync } = require('node:child_process') as typeof import('node:child_process');
      // Close-on-exec: 3 is free in a child.
      say(spawnSync('sh', ['-c', 'ls /proc/self/fd | tr "\\n" " "; echo "$LISTEN_FDS"']).stdout);
    },
  );
  const { code, lines, stderr } = await service.ended;
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  assert.deepEqual(lines, ['1 unknown 1', '1', '0', '0', '0 1 2 3 ', '']);
});

test('what is no Unix listener is told by descriptors(), once, in order', async (t) => {
  const directory = freshDirectory(t);
  writeFileSync(`${directory}/file`, 'stored');
  const service = startService(
    t,
    {
      sockets: [
        { kind: 'file', path: `${directory}/file`, name: 'state' },
        { kind: 'stream', path: `${directory}/s`, name: 'api' },
        { kind: 'tcp', path: '', name: 'web' },
        { kind: 'dgram', path: `${directory}/d`, name: 'log' },
        { kind: 'stream', path: `${directory}/b`, listen: false, name: 'bound' },
      ],
    },
    ({ net, activation, require, say }) => {
      const fs = require('node:fs') as typeof import('node:fs');
      const nodeNet = require('node:net') as typeof import('node:net');
      say(activation.listeners().map(({ name }) => name));
      const rest = activation.descriptors();
      say(
        rest.map(({ fd, name, type, listening }) => [fd, name, type, listening].join(' ')).join(),
      );
      say(activation.descriptors().length);
      const [state, web, log, bound] = rest;
      say(fs.readFileSync(state.fd, 'utf8'));
      const tcp = nodeNet.createServer().listen({ fd: web.fd }, () => tcp.close());
      try {
        net
          .createServer()
          .on('error', ({ code }: NodeJS.ErrnoException) => say(code))
          .listen({ fd: log.fd });
      } catch (error) {
        say((error as NodeJS.ErrnoException).code);
      }
      // Bound, and not listening yet: it begins to.
      const server = net.createServer().listen({ fd: bound.fd }, () => {
        say('listening');
        server.close();
      });
    },
  );
  const { code, lines, stderr } = await service.ended;
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  assert.deepEqual(lines, [
    'api',
    '3 state other false,5 web other false,6 log dgram false,7 bound stream false',
    '0',
    'stored',
    lines[4],
    'listening',
  ]);
  assert.match(lines[4], /^(ERR_INVALID_FD_TYPE|EINVAL)$/);
});

const senseless: readonly [env: Record<string, string | null>, says: RegExp | number][] = [
  [{ LISTEN_PID: '1' }, 0],
  [{ LISTEN_PID: null }, 0],
  [{ LISTEN_FDS: null, LISTEN_FDNAMES: null }, 0],
  [{ LISTEN_FDS: '0', LISTEN_FDNAMES: null }, 0],
  [{ LISTEN_PID: 'me' }, /ERR_AFUNIX_ACTIVATION LISTEN_PID=me: must be an integer from 0/],
  [
    { LISTEN_FDS: '-1' },
    /ERR_AFUNIX_ACTIVATION LISTEN_FDS=-1: must be an integer from 0 to 1048576/,
  ],
  [{ LISTEN_FDS: '1e3' }, /ERR_AFUNIX_ACTIVATION LISTEN_FDS=1e3/],
  [{ LISTEN_FDS: '99999999' }, /ERR_AFUNIX_ACTIVATION LISTEN_FDS/],
  [
    { LISTEN_FDNAMES: 'one:two' },
    /ERR_AFUNIX_ACTIVATION LISTEN_FDNAMES=one:two: has 2 names for 1/,
  ],
  [{ LISTEN_FDS: '200', LISTEN_FDNAMES: null }, /EBADF fcntl EBADF descriptor \d+/],
];

for (const [env, expected] of senseless) {
  test(`with ${JSON.stringify(env)}: ${String(expected)}`, async (t) => {
    const service = startService(
      t,
      { sockets: [{ kind: 'stream', path: freshPath(t), name: 'x' }], env },
      ({ activation, say }) => {
        try {
          say(activation.listeners().length);
        } catch (error) {
          const { code, message } = error as NodeJS.ErrnoException;
          say(`${code} ${message}`);
        }
        // Taken out of the environment all the same.
        say(String(process.env['LISTEN_FDS'] ?? process.env['LISTEN_PID']));
      },
    );
    const { lines } = await service.ended;
    if (typeof expected === 'number') assert.equal(lines[0], String(expected));
    else assert.match(lines[0], expected);
    assert.equal(lines[1], 'undefined');
  });
}

test('without the addon: nothing if there is nothing, an error that says why if there is something', () => {
  const afunix = JSON.stringify(dirname(require.resolve('afunix/package.json')));
  const program = `
    const { listeners, notify } = require(${afunix} + '/dist/activation.js');
    console.log(listeners().length, notify({ ready: true }));
    process.env.LISTEN_PID = process.pid;
    process.env.LISTEN_FDS = '1';
    try { listeners(); } catch (error) { console.log(error.code); }
    process.env.NOTIFY_SOCKET = '/nowhere';
    try { notify({ ready: true }); } catch (error) { console.log(error.code); }
  `;
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', program], {
    encoding: 'utf8',
    env: { ...process.env, AFUNIX_ADDON: '/nowhere.node', NOTIFY_SOCKET: undefined },
  });
  assert.deepEqual([stdout, stderr], ['0 false\nERR_AFUNIX_NO_ADDON\nERR_AFUNIX_NO_ADDON\n', '']);
});

test(
  'a second listen refreshes whom clients see: the service, not its manager',
  { skip: needsRoot },
  async (t) => {
    const directory = freshDirectory(t);
    for (const kind of ['stream', 'seqpacket'] as const) {
      const path = `${directory}/${kind}`;
      const service = startService(
        t,
        // The addon has to be loaded before the user changes.
        { sockets: [{ kind, path }], env: { KIND: kind } },
        ({ net, activation, require, say }) => {
          const seqpacket = require('afunix/seqpacket') as typeof import('afunix/seqpacket');
          const [listener] = activation.listeners();
          process.setgroups?.([]);
          process.setgid?.(65_534);
          process.setuid?.(65_534);
          const server = listener.type === 'stream' ? net.createServer() : seqpacket.createServer();
          process.on('SIGUSR2', () => {
            server.listen(listener);
            say('listening');
          });
          say('ready');
          setInterval(() => undefined, 1000);
        },
      );
      assert.equal(await service.line(), 'ready');
      const uidSeen = (): number => {
        const client = RawSocket.socket(kind);
        client.connect(path);
        const credentials = Buffer.alloc(12);
        const SOL_SOCKET = 1;
        const SO_PEERCRED = 17;
        client.getsockopt(SOL_SOCKET, SO_PEERCRED, credentials);
        client.close();
        return credentials.readUInt32LE(4);
      };
      assert.equal(uidSeen(), 0);
      service.child.kill('SIGUSR2');
      assert.equal(await service.line(), 'listening');
      assert.equal(uidSeen(), NOBODY);
      service.child.kill('SIGKILL');
    }
    assert.ok(isRoot);
  },
);

test('listen({ fd }) of a connected socket, or of none, is an error', async (t) => {
  const path = freshPath(t);
  const server = net.createServer().listen(path);
  t.after(() => server.close());
  const connected = RawSocket.socket('stream');
  connected.connect(path);
  const failure = new Promise<NodeJS.ErrnoException>((resolve) => {
    net.createServer().on('error', resolve).listen({ fd: connected.detach().take() });
  });
  assert.deepEqual([(await failure).code, (await failure).syscall], ['EINVAL', 'listen']);
});

const real = spawnSync('systemd-socket-activate', ['--version']);

test(
  'the real systemd-socket-activate',
  { skip: real.error === undefined ? false : 'systemd-socket-activate is not installed' },
  async (t) => {
    const path = freshPath(t);
    const command = programOf(serveOnce);
    for (const options of [['--fdname=api'], ['--fdname=api', '--seqpacket']]) {
      const service = startProgram(t, 'systemd-socket-activate', [
        '-l',
        path,
        ...options,
        ...command,
      ]);
      const kind = options.length === 1 ? 'stream' : 'seqpacket';
      const answer = await new Promise<string>((resolve) => {
        const attempt = (): void => {
          const client = RawSocket.socket(kind);
          try {
            client.connect(path);
          } catch {
            client.close();
            setTimeout(attempt, 20);
            return;
          }
          const buffer = Buffer.alloc(100);
          void client.poll(1).then(() => {
            resolve(buffer.toString('utf8', 0, client.recv(buffer)));
            client.close();
          });
        };
        attempt();
      });
      assert.equal(answer, 'hello from api');
      const [found] = JSON.parse(await service.line()) as [
        { fd: number; name: string; type: string },
      ];
      assert.deepEqual([found.fd, found.name, found.type], [3, 'api', kind]);
      assert.equal((await service.ended).code, 0);
    }
  },
);
