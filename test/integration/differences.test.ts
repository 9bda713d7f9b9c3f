/** Where afunix differs from `node:net` on purpose: docs/net-compatibility.md, proved over both. */
import assert from 'node:assert/strict';
import { fork, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import nodeNet, { type Server, type Socket } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import net, { stats } from 'afunix';
import { address, closed, collected, folder, happens, listening, root } from './support';

type Net = typeof nodeNet;

const both: readonly [name: string, implementation: Net][] = [
  ['node:net', nodeNet],
  ['afunix', net as unknown as Net],
];

interface Ends {
  readonly client: Socket;
  readonly peer: Socket;
  readonly server: Server;
}

async function ends(t: TestContext, implementation: Net): Promise<Ends> {
  const to = address(t);
  const server = await listening(t, implementation.createServer(), to);
  const accepted = happens(server, 'connection');
  const client = implementation.connect(to);
  t.after(() => client.destroy());
  await happens(client, 'connect');
  const [peer] = (await accepted) as [Socket];
  return { client, peer, server };
}

test('net has a _handle, afunix has none', async (t) => {
  for (const [name, implementation] of both) {
    const { client, peer, server } = await ends(t, implementation);
    for (const object of [client, peer, server]) {
      assert.equal('_handle' in object, name === 'node:net', name);
    }
    assert.equal('_workers' in server, name === 'node:net', name);
  }
});

test("net's class knows only its own sockets, ours knows both", async (t) => {
  const theirs = await ends(t, nodeNet);
  const ours = await ends(t, net as unknown as Net);
  assert.ok(theirs.client instanceof nodeNet.Socket && theirs.client instanceof net.Socket);
  assert.ok(ours.client instanceof net.Socket && !(ours.client instanceof nodeNet.Socket));
  assert.ok(theirs.server instanceof nodeNet.Server && theirs.server instanceof net.Server);
  assert.ok(ours.server instanceof net.Server && !(ours.server instanceof nodeNet.Server));
});

test('getActiveResourcesInfo() names the pipes of net, and nothing of afunix', async (t) => {
  const pipes = (): number =>
    process.getActiveResourcesInfo().filter((name) => name.startsWith('Pipe')).length;
  const before = pipes();
  await ends(t, net as unknown as Net);
  assert.ok(pipes() <= before);
  await ends(t, nodeNet);
  assert.ok(pipes() >= 3);
});

test('a child cannot be sent an afunix socket', async (t) => {
  const { client, server } = await ends(t, net as unknown as Net);
  const child = fork(path.join(__dirname, 'end-program.js'), ['echo', 'afunix', address(t)]);
  t.after(() => child.kill('SIGKILL'));
  for (const handle of [client, server]) {
    assert.throws(() => child.send('take this', handle), { code: 'ERR_INVALID_HANDLE_TYPE' });
  }
});

test('writes of one tick leave together, in one flush', async (t) => {
  const { client, peer } = await ends(t, net as unknown as Net);
  const before = stats();
  for (let i = 0; i < 100; i += 1) client.write('0123456789');
  assert.equal(stats().bytesWritten, before.bytesWritten, 'nothing left inside write()');
  assert.equal(client.bytesWritten, 1000);
  let received = 0;
  await new Promise<void>((resolve) => {
    peer.on('data', (chunk: Buffer) => {
      received += chunk.length;
      if (received === 1000) resolve();
    });
  });
  assert.equal(stats().bytesWritten - before.bytesWritten, 1000);
  client.end();
  await happens(peer, 'end');
});

test('what was written before process.exit() arrives, and before an uncaught exception too', async (t) => {
  for (const ending of ['process.exit(3)', "throw new Error('uncaught')"]) {
    const to = address(t);
    const server = await listening(t, net.createServer({ allowHalfOpen: true }), to);
    const accepted = happens(server, 'connection');
    const program = `
      require('afunix').connect(process.argv[1], function () {
        this.write('last words');
        ${ending};
      });
    `;
    const child = spawn(process.execPath, ['-e', program, to], { cwd: root, stdio: 'ignore' });
    t.after(() => child.kill('SIGKILL'));
    const [peer] = (await accepted) as [Socket];
    assert.equal((await collected(peer)).toString(), 'last words', ending);
  }
});

test('what goes to a port is a genuine socket or server of net', async (t) => {
  const server = net.createServer((socket) => socket.end('over TCP'));
  server.listen(0, '127.0.0.1');
  t.after(() => server.close());
  await happens(server, 'listening');
  assert.equal(Object.getPrototypeOf(server), nodeNet.Server.prototype);
  const { port } = server.address() as nodeNet.AddressInfo;
  const socket = new net.Socket();
  socket.connect(port, '127.0.0.1');
  assert.equal(Object.getPrototypeOf(socket), nodeNet.Socket.prototype);
  assert.equal((await collected(socket)).toString(), 'over TCP');
});

test(
  'the listeners of cluster workers are those of net, their connections ours',
  { timeout: 60_000 },
  async (t) => {
    const variants = [
      ['node:net', 'rr', [], "socket of net's"],
      ['afunix', 'rr', [], 'socket of ours'],
      ['afunix', 'none', [], 'socket of ours'],
      ['node:net', 'rr', ['--require', 'afunix/register'], 'socket of ours'],
      ['node:net', 'none', ['--require', 'afunix/register'], 'socket of ours'],
    ] as const;
    for (const [name, policy, execArgv, whose] of variants) {
      const child = fork(path.join(__dirname, 'cluster-program.js'), [name, address(t)], {
        cwd: root,
        execArgv: [...execArgv],
        env: { ...process.env, NODE_CLUSTER_SCHED_POLICY: policy },
      });
      t.after(() => child.kill('SIGKILL'));
      const told: unknown[] = [];
      child.on('message', (message) => void told.push(message));
      await happens(child, 'exit');
      const expected = [{ whose: 'net' }, { whose: 'net' }, { whose }, { text: 'hello' }];
      const sorted = (values: unknown[]): string[] => values.map((v) => JSON.stringify(v)).sort();
      assert.deepEqual(sorted(told), sorted(expected), `${name}, ${policy}, ${execArgv.join(' ')}`);
    }
  },
);

test('an error says in `hint` what is wrong, without being printed differently', async (t) => {
  const missing = path.join(folder(t), 'missing', 's');
  const [error] = (await happens(net.connect(missing), 'error')) as [Error & { hint?: string }];
  const [theirs] = (await happens(nodeNet.connect(missing), 'error')) as [Error];
  assert.equal(error.message, theirs.message);
  assert.deepEqual(Object.keys(error), Object.keys(theirs));
  assert.equal(error.hint, `the directory '${path.dirname(missing)}' does not exist`);
});

test('a directory that is missing is EACCES for listen(), and the cause says ENOENT', async (t) => {
  const missing = path.join(folder(t), 'missing', 's');
  for (const [name, implementation] of both) {
    const server = implementation.createServer();
    server.listen(missing);
    const [error] = (await happens(server, 'error')) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'EACCES', name);
    const cause = error.cause as NodeJS.ErrnoException | undefined;
    assert.equal(cause?.code, name === 'afunix' ? 'ENOENT' : undefined, name);
  }
});

test('a server whose socket file was replaced leaves the new one alone', async (t) => {
  const to = address(t);
  const old = net.createServer();
  old.listen(to);
  await happens(old, 'listening');
  const { rename } = await import('node:fs/promises');
  await rename(to, `${to}.old`);
  await listening(t, net.createServer(), to);
  await closed(old);
  assert.equal(existsSync(to), true);
});

const SENDS_DESCRIPTORS = `
import socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
try:
    socket.send_fds(connection, [b'with descriptors'], [0, 1])
    print('sent', flush=True)
except PermissionError:
    connection.sendall(b'without descriptors')
    print('refused', flush=True)
connection.close()
`;

test('descriptors that a peer sends are refused or dropped, and never stay open', async (t) => {
  const to = address(t);
  const server = await listening(t, net.createServer(), to);
  const accepted = happens(server, 'connection');
  const python = spawn('python3', ['-c', SENDS_DESCRIPTORS, to], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => python.kill('SIGKILL'));
  const [[peer], line] = await Promise.all([
    accepted as Promise<[Socket]>,
    Promise.race([
      happens(createInterface({ input: python.stdout }), 'line').then(([text]) => text),
      happens(python, 'error'),
    ]),
  ]);
  const text = (await collected(peer)).toString();
  // Linux 6.16 and later refuse for us; before, the bytes arrive and the descriptors are closed.
  assert.ok(
    (line === 'refused' && text === 'without descriptors') ||
      (line === 'sent' && text === 'with descriptors'),
    `${String(line)}: ${text}`,
  );
});
