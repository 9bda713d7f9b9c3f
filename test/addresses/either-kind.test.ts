/** listen() and connect() with either kind of address; and where a string stays the path that it is for node:net. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import http from 'node:http';
import nodeNet, { type AddressInfo, type ListenOptions, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Agent as UndiciAgent, request as undiciRequest } from 'undici';
import net, { formatAddress, parseAddress } from 'afunix';
import { Agent, connector, serve } from 'afunix/http';
import seqpacket from 'afunix/seqpacket';
import { runLone } from '../helpers/lone-process';
import { happens } from '../helpers/sockets';
import { freshDirectory, freshPath } from '../helpers/socket-paths';

interface Kind {
  readonly name: string;
  /** Where to listen. */
  from(t: TestContext): string;
}

let names = 0;

const kinds: readonly Kind[] = [
  { name: 'unix:/path', from: (t) => `unix:${freshPath(t)}` },
  { name: 'unix:///path', from: (t) => `unix://${freshPath(t)}` },
  { name: 'a path by itself', from: (t) => freshPath(t) },
  {
    name: 'unix-abstract:name',
    from: () => `unix-abstract:afunix-address-${process.pid}-${(names += 1)}`,
  },
  { name: 'tcp://host:port', from: () => 'tcp://127.0.0.1:0' },
  { name: 'tcp://[IPv6]:port', from: () => 'tcp://[::1]:0' },
];

/** What is no path for node:net and can be given as it is. */
const asStrings = kinds.filter(({ name }) => !name.startsWith('unix-abstract'));

async function echo(t: TestContext, ...where: [string | ListenOptions]): Promise<Server> {
  const server = net.createServer((socket) => socket.pipe(socket));
  t.after(() => server.close());
  server.listen(...(where as [string]));
  await happens(server, 'listening');
  return server;
}

/** Where a server listens, for its clients. */
function addressOf(server: Server): string {
  return formatAddress(server.address() as string | AddressInfo);
}

async function roundTrip(socket: Socket, text: string): Promise<string> {
  let answer = '';
  socket.setEncoding('utf8').on('data', (piece: string) => (answer += piece));
  socket.end(text);
  await happens(socket, 'close');
  return answer;
}

function isAbout(address: string, socket: Socket): void {
  // Sockets on a path are ours, all others net's own.
  assert.equal('detach' in socket, !address.startsWith('tcp:'), address);
}

for (const { name, from } of asStrings) {
  test(`one program, listening and connecting: ${name}`, async (t) => {
    const server = await echo(t, from(t));
    const address = addressOf(server);
    for (const connect of [
      (): Socket => net.connect(address),
      (): Socket => net.createConnection(address, () => undefined),
      (): Socket => new net.Socket().connect(address),
    ]) {
      const socket = connect();
      assert.equal(await roundTrip(socket, `to ${address}`), `to ${address}`);
      isAbout(address, socket);
    }
  });

  test(`http by serve(), Agent and connector(): ${name}`, async (t) => {
    const server = http.createServer((request, response) => response.end(`got ${request.url}`));
    serve(server, from(t));
    await happens(server, 'listening');
    t.after(() => server.close());
    const address = addressOf(server);
    const agent = new Agent({ address, keepAlive: true });
    t.after(() => agent.destroy());
    for (const options of [{ path: '/1' }, { path: '/2', host: 'elsewhere.example' }]) {
      const request = http.request({ agent, ...options }).end();
      const [response] = (await happens(request, 'response')) as [http.IncomingMessage];
      isAbout(address, response.socket);
      let text = '';
      for await (const piece of response) text += String(piece);
      assert.equal(text, `got ${options.path}`);
    }
    const dispatcher = new UndiciAgent({ connect: connector(address) });
    const { body } = await undiciRequest('http://service/3', { dispatcher });
    assert.equal(await body.text(), 'got /3');
    await dispatcher.close();
  });
}

for (const { name, from } of kinds) {
  test(`with other options, by parseAddress(): ${name}`, async (t) => {
    const server = await echo(t, { ...parseAddress(from(t)), backlog: 7 });
    const address = addressOf(server);
    const socket = net.connect({ ...parseAddress(address), timeout: 60_000 });
    assert.equal(await roundTrip(socket, 'x'), 'x');
    isAbout(address, socket);
    // node:net takes the same.
    assert.equal(await roundTrip(nodeNet.connect(parseAddress(address)), 'y'), 'y');
  });
}

test('the backlog and the listener may follow the address', async (t) => {
  for (const address of [`unix:${freshPath(t)}`, 'tcp://127.0.0.1:0']) {
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(address, 5, resolve));
    await new Promise((resolve) => server.close(resolve));
  }
});

test('messages have Unix addresses only', async (t) => {
  const address = `unix:${freshPath(t)}`;
  const server = seqpacket.createServer((socket) => socket.on('message', (m) => socket.send(m)));
  server.listen(address);
  await happens(server, 'listening');
  t.after(() => server.close());
  const socket = seqpacket.connect(address);
  socket.send('whole');
  const [message] = (await happens(socket, 'message')) as [Buffer];
  assert.equal(message.toString(), 'whole');
  socket.destroy();
  const tcp = 'tcp://127.0.0.1:80';
  assert.throws(() => seqpacket.connect(tcp), {
    code: 'ERR_INVALID_ARG_TYPE',
    message: /pathnames and abstract names only\. Received 'tcp:\/\/127\.0\.0\.1:80'/,
  });
  assert.throws(() => seqpacket.createServer().listen(tcp), { code: 'ERR_INVALID_ARG_VALUE' });
});

test('what is wrong is thrown at once, and nothing has happened', () => {
  for (const address of ['unix://host/path', 'tcp://:80', 'tcp://localhost:99999', 'tcp://::1:9']) {
    const server = net.createServer();
    const socket = new net.Socket();
    for (const act of [
      () => net.connect(address),
      () => socket.connect(address),
      () => server.listen(address),
      () => serve(http.createServer(), address),
      () => connector(address),
      () => new Agent({ address }),
    ]) {
      assert.throws(act, { code: 'ERR_INVALID_ARG_VALUE' });
    }
    assert.equal(server.listening, false);
    assert.equal(socket.connecting, false);
  }
  assert.throws(() => new Agent({ address: 'unix:/x', socketPath: '/y' }), {
    code: 'ERR_INVALID_ARG_VALUE',
  });
});

test('a path that is too long says how long it is, and what the limit is', async () => {
  const path = `/${'x'.repeat(120)}`;
  const [error] = (await happens(net.connect(`unix:${path}`), 'error')) as [
    NodeJS.ErrnoException & { hint: string; address: string },
  ];
  assert.equal(error.code, 'EINVAL');
  assert.equal(error.address, path);
  assert.match(error.hint, /121 bytes long and the limit is 107/);
});

test('options about the socket file are refused with a port, and never dropped', () => {
  const address = parseAddress('tcp://127.0.0.1:0');
  for (const options of [{ mode: 0o660 }, { authorize: () => true }, { stale: 'probe' as const }]) {
    assert.throws(() => net.createServer().listen({ ...address, ...options }), {
      code: 'ERR_INVALID_ARG_VALUE',
    });
  }
});

test('what node:net takes for a file of that name stays one', async (t) => {
  const folder = freshDirectory(t);
  const before = process.cwd();
  process.chdir(folder);
  t.after(() => process.chdir(before));
  for (const path of ['unix:x', 'unix:@x', 'unix-abstract:x', 'tcp:x']) {
    const server = await echo(t, path);
    assert.equal(server.address(), path);
    assert.ok(existsSync(join(folder, path)));
    assert.equal(await roundTrip(nodeNet.connect(path), 'a'), 'a');
    assert.equal(await roundTrip(net.connect(path), 'b'), 'b');
  }
  const [error] = (await happens(net.connect('unix:nobody'), 'error')) as [{ hint: string }];
  assert.match(error.hint, /'unix:nobody' was taken for a pathname.*parseAddress\(\)/);
});

test('{ path } is the path to the byte, whatever it looks like', async (t) => {
  const folder = freshDirectory(t);
  const before = process.cwd();
  process.chdir(folder);
  t.after(() => process.chdir(before));
  mkdirSync('unix:');
  const server = await echo(t, { path: 'unix:/x' });
  assert.ok(existsSync(join(folder, 'unix:', 'x')));
  assert.equal(await roundTrip(net.connect({ path: 'unix:/x' }), 'c'), 'c');
  assert.equal(server.address(), 'unix:/x');
});

test('under afunix/register the strings of node:net are paths; those of afunix are addresses', async (t) => {
  const lines = await runLone(t, freshDirectory(t), async ({ net, require, parameters, say }) => {
    const nodeNet = require('node:net') as typeof import('node:net');
    const { once } = require('node:events') as typeof import('node:events');
    const { mkdirSync, existsSync } = require('node:fs') as typeof import('node:fs');
    const { dirname, join } = require('node:path') as typeof import('node:path');
    const dist = dirname(Object.keys(require.cache).find((file) => /dist.index\.js$/.test(file))!);
    require(join(dist, 'register'));
    process.chdir(parameters);
    mkdirSync('unix:');
    const folder = nodeNet.createServer((socket) => socket.end('in a folder')).listen('unix:/x');
    await once(folder, 'listening');
    say(existsSync(join(parameters, 'unix:', 'x')));
    const path = `unix:${join(parameters, 'y')}`;
    const file = net.createServer((socket) => socket.end('an address')).listen(path);
    await once(file, 'listening');
    say(existsSync(join(parameters, 'y')));
    const ask = async (socket: Socket): Promise<void> => {
      socket.once('data', (text) => say(text));
      socket.once('error', ({ code }: NodeJS.ErrnoException) => say(code));
      await once(socket, 'close').catch(() => undefined);
    };
    await ask(nodeNet.connect('unix:/x'));
    const socket = new nodeNet.Socket();
    await ask(socket.connect('unix:/x'));
    // The same object once more, which is one of ours by now.
    await ask(socket.connect('unix:/x'));
    await ask(nodeNet.connect(path));
    await ask(net.connect(path));
    folder.close();
    file.close();
  });
  assert.deepEqual(lines, [
    'true',
    'true',
    'in a folder',
    'in a folder',
    'in a folder',
    'ENOENT',
    'an address',
  ]);
});
