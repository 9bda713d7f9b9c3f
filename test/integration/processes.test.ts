/** Both ends in processes of their own, one of them made by `node:net` or by Python. */
import assert from 'node:assert/strict';
import { type ChildProcess, fork, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import net, { features } from 'afunix';
import type { Role, Told } from './end-program';
import {
  abstractName,
  address,
  bytes,
  collected,
  happens,
  hashOf,
  listening,
  sha256,
} from './support';

const SIZE = 16 * 1024 * 1024;

type Implementation = 'afunix' | 'node:net';

interface End {
  readonly child: ChildProcess;
  /** The next message of this kind; what came before it is passed over. */
  told<E extends Told['event']>(event: E): Promise<Extract<Told, { event: E }>>;
  readonly ended: Promise<unknown[]>;
}

function start(
  t: TestContext,
  role: Role,
  implementation: Implementation,
  address: string,
  size = 0,
): End {
  // An abstract name cannot be an argument: it has a NUL in it.
  const program = path.join(__dirname, 'end-program.js');
  const child = fork(program, [role, implementation, address.replace('\0', '@'), String(size)]);
  const messages: Told[] = [];
  const waiting = new Set<() => void>();
  child.on('message', (message) => {
    messages.push(message as Told);
    for (const look of waiting) look();
  });
  const ended = happens(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return {
    child,
    ended,
    told: (event) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          while (messages.length > 0) {
            const message = messages.shift();
            if (message?.event !== event) continue;
            waiting.delete(look);
            resolve(message as Extract<Told, { event: typeof event }>);
            return;
          }
        };
        waiting.add(look);
        void ended.then(([code, signal]) => {
          look();
          reject(new Error(`the ${role} ended (${String(code ?? signal)}) without '${event}'`));
        });
        look();
      }),
  };
}

const pairs: readonly [server: Implementation, client: Implementation][] = [
  ['afunix', 'afunix'],
  ['node:net', 'afunix'],
  ['afunix', 'node:net'],
];

for (const [server, client] of pairs) {
  for (const kind of ['a pathname', 'an abstract name']) {
    test(
      `16 MB echoed between a ${server} server and a ${client} client over ${kind}`,
      {
        timeout: 60_000,
      },
      async (t) => {
        const to = kind === 'a pathname' ? address(t) : abstractName();
        await start(t, 'echo', server, to).told('listening');
        const end = start(t, 'send-and-compare', client, to, SIZE);
        const { sent, received } = await end.told('compared');
        assert.equal(received, sent);
        assert.deepEqual(await end.ended, [0, null]);
      },
    );
  }
}

test('four forked clients at one forked server', { timeout: 60_000 }, async (t) => {
  const to = address(t);
  await start(t, 'echo', 'afunix', to).told('listening');
  const results = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const end = start(t, 'send-and-compare', 'afunix', to, SIZE / 4);
      const { sent, received } = await end.told('compared');
      return sent === received;
    }),
  );
  assert.deepEqual(results, [true, true, true, true]);
});

test('a client process that is killed is the end of its connection', async (t) => {
  const to = address(t);
  const server = start(t, 'hash', 'afunix', to);
  await server.told('listening');
  const client = start(t, 'hold', 'afunix', to);
  await client.told('connected');
  client.child.kill('SIGKILL');
  assert.deepEqual(await server.told('connection-closed'), {
    event: 'connection-closed',
    hadError: false,
  });
});

test('a server process that is killed ends the connections of its clients', async (t) => {
  const to = address(t);
  const server = start(t, 'echo', 'afunix', to);
  await server.told('listening');
  const socket = net.connect(to);
  socket.write('x');
  await happens(socket, 'data');
  server.child.kill('SIGKILL');
  socket.resume();
  const [hadError] = await happens(socket, 'close');
  assert.equal(hadError, false);
  await server.ended;
  // Its file is left behind, and says so.
  const [error] = (await happens(net.connect(to), 'error')) as [Error & { hint?: string }];
  assert.equal(error.message, `connect ECONNREFUSED ${to}`);
  assert.match(error.hint ?? '', /was left behind/);
});

test('a forked server that a parent talks to through a descriptor it was given', async (t) => {
  // `stdio` makes a pair of Unix sockets; the child makes its end an afunix socket.
  const program = `
    const net = require('afunix');
    const socket = new net.Socket({ fd: 3, allowHalfOpen: true });
    socket.pipe(socket);
  `;
  const child = spawn(process.execPath, ['-e', program], {
    cwd: path.dirname(require.resolve('afunix/package.json')),
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  const ended = happens(child, 'exit');
  const data = bytes(1024 * 1024);
  const other = child.stdio[3] as unknown as Socket;
  other.end(data);
  assert.equal(await hashOf(other), sha256(data));
  assert.deepEqual(await ended, [0, null]);
});

// Python

const PYTHON_ECHO_SERVER = `
import socket, sys
name = sys.argv[1]
if name.startswith('@'): name = '\\0' + name[1:]
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listener.bind(name)
listener.listen()
print('listening', flush=True)
connection, _ = listener.accept()
while True:
    data = connection.recv(65536)
    if not data: break
    connection.sendall(data)
connection.close()
`;

const PYTHON_ECHO_CLIENT = `
import hashlib, socket, sys, threading
name, size = sys.argv[1], int(sys.argv[2])
if name.startswith('@'): name = '\\0' + name[1:]
connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
connection.connect(name)
data = bytes(i * i % 251 for i in range(size))
def send():
    connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)
sender = threading.Thread(target=send)
sender.start()
received = bytearray()
while True:
    part = connection.recv(65536)
    if not part: break
    received += part
sender.join()
print('same' if received == data else 'different', len(received), flush=True)
`;

interface Python {
  line(): Promise<string>;
  readonly ended: Promise<unknown[]>;
}

/** A missing python3 fails with 'spawn python3 ENOENT'. */
function python(t: TestContext, program: string, ...parameters: string[]): Python {
  const child = spawn('python3', ['-c', program, ...parameters], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ended = happens(child, 'exit');
  ended.catch(() => {});
  return {
    ended,
    async line() {
      const next = await Promise.race([lines.next(), ended.then(() => lines.next())]);
      assert.ok(next.done !== true, 'python3 ended without a word');
      return next.value;
    },
  };
}

for (const kind of ['a pathname', 'an abstract name']) {
  // Python's abstract names are exact; the default here is that of the running Node's net.
  const abstractLength = 'exact';

  test(`a Python server echoes to afunix over ${kind}`, { timeout: 60_000 }, async (t) => {
    const to = kind === 'a pathname' ? address(t) : abstractName();
    const server = python(t, PYTHON_ECHO_SERVER, to.replace('\0', '@'));
    assert.equal(await server.line(), 'listening');
    const data = bytes(4 * 1024 * 1024);
    const socket = net.connect({ path: to, abstractLength, allowHalfOpen: true });
    socket.end(data);
    assert.equal(sha256(await collected(socket)), sha256(data));
    assert.deepEqual(await server.ended, [0, null]);
  });

  test(`a Python client is echoed by afunix over ${kind}`, { timeout: 60_000 }, async (t) => {
    const to = kind === 'a pathname' ? address(t) : abstractName();
    const server = net.createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
    await listening(t, server, { path: to, abstractLength });
    const size = 4 * 1024 * 1024;
    const client = python(t, PYTHON_ECHO_CLIENT, to.replace('\0', '@'), String(size));
    assert.equal(await client.line(), `same ${size}`);
    assert.deepEqual(await client.ended, [0, null]);
  });
}

test('exact and padded names are different names', async (t) => {
  const name = abstractName();
  await listening(t, net.createServer(), { path: name, abstractLength: 'exact' });
  const padded = net.connect({ path: name, abstractLength: 'padded' });
  const [error] = (await happens(padded, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNREFUSED');
  const byDefault = net.connect(name);
  const outcome = features().abstractLength === 'exact' ? 'connect' : 'error';
  await happens(byDefault, outcome);
  byDefault.destroy();
});
