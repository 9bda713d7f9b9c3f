/** Ports and hosts are node:net's: the same functions, and sockets and servers that do what its do. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { EventEmitter } from 'node:events';
import nodeNet, { type AddressInfo, type Server, type Socket } from 'node:net';
import { scenario, type Stage } from './scenario';
import { callWith } from '../helpers/attempt';
import { startPartner } from '../helpers/partner';
import { closeServer, discard, happens, received, receives } from '../helpers/sockets';

const host = '127.0.0.1';
const socketEvents = [
  'lookup',
  'connect',
  'ready',
  'data',
  'end',
  'timeout',
  'error',
  'close',
] as const;

function portOf(server: Server): number {
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return address.port;
}

/** A server on a free port of the loopback interface. */
async function tcpServer(
  stage: Stage,
  onConnection: (peer: Socket) => void = () => undefined,
): Promise<Server> {
  const server = stage.net.createServer((peer) => {
    discard(stage, peer);
    onConnection(peer);
  });
  stage.defer(() => closeServer(server));
  server.listen(0, host);
  await happens(server, 'listening');
  return server;
}

/** A port on which nobody listens. */
async function freePort(): Promise<number> {
  const server = nodeNet.createServer().listen(0, host);
  await happens(server, 'listening');
  const port = portOf(server);
  await closeServer(server);
  return port;
}

const identical = [
  'isIP',
  'isIPv4',
  'isIPv6',
  'BlockList',
  'SocketAddress',
  'getDefaultAutoSelectFamily',
  'setDefaultAutoSelectFamily',
  'getDefaultAutoSelectFamilyAttemptTimeout',
  'setDefaultAutoSelectFamilyAttemptTimeout',
] as const;

for (const name of identical) {
  scenario(`${name} is node:net's own`, async (stage) => {
    assert.equal(stage.net[name], nodeNet[name]);
  });
}

scenario('isIP, isIPv4 and isIPv6 answer', async (stage) => {
  for (const text of [
    '127.0.0.1',
    '::1',
    'fe80::1%lo',
    '256.0.0.1',
    '',
    '/run/x.sock',
    'localhost',
    '::ffff:1.2.3.4',
  ]) {
    stage.trace(
      'answers',
      text,
      stage.net.isIP(text),
      stage.net.isIPv4(text),
      stage.net.isIPv6(text),
    );
  }
});

scenario('the defaults for choosing a family are shared with node:net', async (stage) => {
  const { net } = stage;
  const usual = nodeNet.getDefaultAutoSelectFamily();
  stage.defer(() => nodeNet.setDefaultAutoSelectFamily(usual));
  for (const value of [false, true]) {
    net.setDefaultAutoSelectFamily(value);
    assert.equal(nodeNet.getDefaultAutoSelectFamily(), value);
    assert.equal(net.getDefaultAutoSelectFamily(), value);
  }
  const usualTimeout = nodeNet.getDefaultAutoSelectFamilyAttemptTimeout();
  stage.defer(() => nodeNet.setDefaultAutoSelectFamilyAttemptTimeout(usualTimeout));
  net.setDefaultAutoSelectFamilyAttemptTimeout(1234);
  assert.equal(nodeNet.getDefaultAutoSelectFamilyAttemptTimeout(), 1234);
});

scenario('a BlockList and a SocketAddress work', async (stage) => {
  const list = new stage.net.BlockList();
  list.addAddress('10.0.0.1');
  stage.trace('list', list.check('10.0.0.1'), list.check('10.0.0.2'));
  const address = new stage.net.SocketAddress({ address: '10.0.0.1', port: 80 });
  stage.trace('address', address.address, address.port, address.family);
});

type ListenForm = (server: Server, listening: () => void) => unknown;

const listenForms: Record<string, ListenForm> = {
  'listen(0)': (server, listening) => server.listen(0).on('listening', listening),
  'listen(0, callback)': (server, listening) => server.listen(0, listening),
  'listen(0, host, callback)': (server, listening) => server.listen(0, host, listening),
  'listen(0, host, backlog, callback)': (server, listening) => server.listen(0, host, 5, listening),
  'listen(0, backlog, callback)': (server, listening) => server.listen(0, 5, listening),
  "listen('0')": (server, listening) => callWith(server, 'listen', '0', listening),
  'listen()': (server, listening) => server.listen().on('listening', listening),
  'listen(callback)': (server, listening) => server.listen(listening),
  'listen(null, callback)': (server, listening) => callWith(server, 'listen', null, listening),
  'listen(undefined, callback)': (server, listening) =>
    callWith(server, 'listen', undefined, listening),
  'listen({ port: 0 })': (server, listening) =>
    server.listen({ port: 0 }).on('listening', listening),
  "listen({ port: '0', host })": (server, listening) =>
    callWith(server, 'listen', { port: '0', host }, listening),
  'listen({ port: 0, host, backlog, exclusive })': (server, listening) =>
    server.listen({ port: 0, host, backlog: 5, exclusive: true }, listening),
  'listen({ port: undefined })': (server, listening) =>
    callWith(server, 'listen', { port: undefined }, listening),
  'listen({ port: null })': (server, listening) =>
    callWith(server, 'listen', { port: null }, listening),
  'listen({ port: 0, path })': (server, listening) =>
    server.listen({ port: 0, path: '/nowhere' }, listening),
  "listen(0, 'localhost')": (server, listening) => server.listen(0, 'localhost', listening),
};

for (const [form, perform] of Object.entries(listenForms)) {
  scenario(`${form} listens on a port`, async (stage) => {
    const server = stage.net.createServer((peer) => {
      discard(stage, peer);
      peer.end('hello');
    });
    stage.defer(() => closeServer(server));
    stage.watch(server, 'server', ['listening', 'error', 'close']);
    const listening = new Promise<void>((resolve) => {
      const returned = perform(server, resolve);
      stage.trace('server', 'returned', returned === server);
    });
    await listening;
    const { address, family, port } = server.address() as AddressInfo;
    stage.trace('server', address, family, typeof port, server.listening);
    const client = stage.net.connect(port, address === '::1' ? '::1' : host);
    discard(stage, client);
    assert.equal((await received(client)).toString(), 'hello');
    await closeServer(server);
  });
}

type ConnectForm = (stage: Stage, port: number, connected: () => void) => Socket;

const connectForms: Record<string, ConnectForm> = {
  'net.connect(port)': ({ net }, port, connected) => net.connect(port).on('connect', connected),
  'net.connect(port, callback)': ({ net }, port, connected) =>
    callWith(net, 'connect', port, connected) as Socket,
  'net.connect(port, host)': ({ net }, port, connected) =>
    net.connect(port, host).on('connect', connected),
  'net.connect(port, host, callback)': ({ net }, port, connected) =>
    net.connect(port, host, connected),
  'net.connect(port as text, host, callback)': ({ net }, port, connected) =>
    callWith(net, 'connect', String(port), host, connected) as Socket,
  'net.connect({ port })': ({ net }, port, connected) =>
    net.connect({ port }).on('connect', connected),
  'net.connect({ port, host }, callback)': ({ net }, port, connected) =>
    net.connect({ port, host }, connected),
  'net.connect({ port, path: undefined })': ({ net }, port, connected) =>
    callWith(net, 'connect', { port, host, path: undefined }, connected) as Socket,
  'net.connect({ port, path: null })': ({ net }, port, connected) =>
    callWith(net, 'connect', { port, host, path: null }, connected) as Socket,
  "net.connect({ port, path: '' })": ({ net }, port, connected) =>
    callWith(net, 'connect', { port, host, path: '' }, connected) as Socket,
  'net.createConnection(port, host)': ({ net }, port, connected) =>
    net.createConnection(port, host, connected),
  'new Socket().connect(port)': ({ net }, port, connected) =>
    new net.Socket().connect(port, connected),
  'new Socket().connect(port, host)': ({ net }, port, connected) =>
    new net.Socket().connect(port, host, connected),
  'new Socket().connect({ port, host })': ({ net }, port, connected) =>
    new net.Socket().connect({ port, host }, connected),
  'Socket().connect(port, host)': ({ net }, port, connected) =>
    (callWith(net, 'Socket') as Socket).connect(port, host, connected),
};

for (const [form, perform] of Object.entries(connectForms)) {
  scenario(`${form} connects over TCP`, async (stage) => {
    // All addresses, because a form without a host may try ::1 first.
    const server = stage.net.createServer((peer) => {
      discard(stage, peer);
      stage.trace(
        'peer',
        peer instanceof stage.net.Socket,
        peer.remoteFamily,
        typeof peer.remotePort,
      );
      peer.pipe(peer);
    });
    stage.defer(() => closeServer(server));
    server.listen(0);
    await happens(server, 'listening');
    let called = 0;
    const client = perform(stage, portOf(server), () => (called += 1));
    discard(stage, client);
    stage.watch(client, 'client', ['connect', 'ready', 'data', 'end', 'error', 'close']);
    assert.ok(client instanceof stage.net.Socket);
    const echoed = happens(client, 'data');
    client.write('hello');
    await echoed;
    stage.trace(
      'client',
      client.remotePort === portOf(server),
      client.remoteFamily === client.localFamily,
      called,
    );
    assert.equal(called, 1);
    const closed = happens(client, 'close');
    client.end();
    await closed;
  });
}

scenario('ends of a TCP connection know their addresses', async (stage) => {
  const peers: Socket[] = [];
  const server = await tcpServer(stage, (peer) => peers.push(peer));
  const port = portOf(server);
  const client = stage.net.connect(port, host);
  discard(stage, client);
  await Promise.all([happens(server, 'connection'), happens(client, 'connect')]);
  const [peer] = peers;
  assert.ok(peer !== undefined);
  assert.equal(client.remoteAddress, host);
  assert.equal(client.remotePort, port);
  assert.equal(peer.localPort, port);
  assert.equal(peer.remotePort, client.localPort);
  stage.trace(
    'client',
    client.remoteFamily,
    client.localAddress,
    client.localFamily,
    Object.keys(client.address()),
  );
  stage.trace(
    'peer',
    Reflect.get(peer, 'server') === server,
    peer.remoteAddress,
    peer.localAddress,
  );
  assert.equal(Reflect.get(peer, 'server'), server);
});

scenario('what was set before connect() holds over TCP', async (stage) => {
  const server = await tcpServer(stage, (peer) => {
    peer.setEncoding('utf8');
    peer.on('data', (text: string) => peer.write(`echo ${text}`));
  });
  const marks = { readableHighWaterMark: 1000, writableHighWaterMark: 2000 };
  const client = new stage.net.Socket({ allowHalfOpen: true, ...marks });
  discard(stage, client);
  stage.watch(client, 'client', ['connect', 'ready', 'timeout', 'end', 'error', 'close']);
  const before = [
    client.setNoDelay(true),
    client.setKeepAlive(true, 5000),
    client.setTimeout(60_000),
    client.setEncoding('latin1'),
    client.ref(),
    client.pause(),
  ];
  assert.ok(before.every((returned) => returned === client));
  client.connect(portOf(server), host);
  stage.trace(
    'client',
    'write',
    client.write('before '),
    client.write('connect'),
    client.bytesWritten,
  );
  stage.trace('client', 'connecting', client.connecting, client.pending, client.readyState);
  await happens(client, 'connect');
  stage.trace(
    'client',
    'connected',
    client.connecting,
    client.pending,
    client.readyState,
    client.isPaused(),
  );
  stage.trace('client', 'kept', client.timeout, client.allowHalfOpen, client.readableEncoding);
  stage.trace('client', 'marks', client.readableHighWaterMark, client.writableHighWaterMark);
  let text = '';
  await new Promise<void>((resolve) => {
    client.on('data', (part: string) => {
      assert.equal(typeof part, 'string');
      text += part;
      if (text.replaceAll('echo ', '').length === 'before connect'.length) resolve();
    });
    client.resume();
  });
  assert.equal(text.replaceAll('echo ', ''), 'before connect');
  client.removeAllListeners('data');
});

scenario('a timeout set before connect() fires over TCP', async (stage) => {
  const server = await tcpServer(stage);
  const client = new stage.net.Socket();
  discard(stage, client);
  const fired = new Promise<void>((resolve) => client.setTimeout(20, resolve));
  client.connect(portOf(server), host);
  await fired;
  stage.trace('client', client.destroyed, client.timeout);
  assert.equal(client.destroyed, false);
});

scenario('the timeout option of net.connect() works over TCP', async (stage) => {
  const server = await tcpServer(stage);
  const client = stage.net.connect({ port: portOf(server), host, timeout: 20 });
  discard(stage, client);
  await happens(client, 'timeout');
  stage.trace('client', client.timeout);
  assert.equal(client.timeout, 20);
});

scenario('onread works over TCP', async (stage) => {
  const server = await tcpServer(stage, (peer) => peer.end('hello'));
  let text = '';
  const client = stage.net.connect({
    port: portOf(server),
    host,
    onread: {
      buffer: Buffer.alloc(16),
      callback: (count, buffer) => {
        text += Buffer.from(buffer).toString('latin1', 0, count);
        return true;
      },
    },
  });
  discard(stage, client);
  await happens(client, 'close');
  assert.equal(text, 'hello');
});

scenario('a refused TCP connection is told with its port', async (stage) => {
  const port = await freePort();
  const client = stage.net.connect(port, host);
  discard(stage, client);
  const [error] = await happens(client, 'error');
  assert.ok(error instanceof Error);
  assert.equal(Reflect.get(error, 'code'), 'ECONNREFUSED');
  assert.equal(Reflect.get(error, 'port'), port);
  assert.equal(error.message, `connect ECONNREFUSED ${host}:${port}`);
  stage.trace(
    'error',
    Object.keys(error),
    Reflect.get(error, 'syscall'),
    Reflect.get(error, 'address'),
  );
  const [hadError] = await happens(client, 'close');
  assert.equal(hadError, true);
});

scenario('a port in use is an error event with its port', async (stage) => {
  const first = await tcpServer(stage);
  const port = portOf(first);
  const server = stage.net.createServer();
  const failed = happens(server, 'error');
  assert.equal(server.listen(port, host), server);
  const [error] = await failed;
  assert.ok(error instanceof Error);
  assert.equal(error.message, `listen EADDRINUSE: address already in use ${host}:${port}`);
  stage.trace('error', Object.keys(error), Reflect.get(error, 'code'), server.listening);
  const listening = happens(server, 'listening');
  server.listen(0, host);
  await listening;
  assert.notEqual(portOf(server), port);
  await closeServer(server);
});

scenario('a custom lookup is asked', async (stage) => {
  const server = await tcpServer(stage, (peer) => peer.end());
  const client = stage.net.connect({
    port: portOf(server),
    host: 'a-name-that-is-nowhere.invalid',
    family: 4,
    lookup: (name, options, callback) => {
      stage.trace('lookup', name, options.family);
      setImmediate(() => callback(null, host, 4));
    },
  });
  discard(stage, client);
  stage.watch(client, 'client', socketEvents);
  client.resume();
  await happens(client, 'close');
  assert.equal(stage.lane('client')[0]?.[0], 'lookup');
});

scenario('a signal ends a TCP server and a TCP connection', async (stage) => {
  const abort = new AbortController();
  const server = stage.net.createServer((peer) => discard(stage, peer));
  stage.watch(server, 'server', ['listening', 'close']);
  stage.defer(() => closeServer(server));
  server.listen({ port: 0, host, signal: abort.signal });
  await happens(server, 'listening');
  const ending = new AbortController();
  const client = stage.net.connect({ port: portOf(server), host, signal: ending.signal } as never);
  discard(stage, client);
  stage.watch(client, 'client', ['connect', 'error', 'close']);
  await happens(client, 'connect');
  const closed = [happens(client, 'close'), happens(server, 'close')];
  ending.abort();
  abort.abort();
  await Promise.all(closed);
});

scenario(
  'server methods over TCP: close, getConnections, maxConnections, ref and unref',
  async (stage) => {
    const server = await tcpServer(stage, (peer) => peer.resume());
    stage.trace(
      'server',
      server.ref() === server,
      server.unref() === server,
      server.ref() === server,
    );
    server.maxConnections = 1;
    const first = stage.net.connect(portOf(server), host);
    discard(stage, first);
    await Promise.all([happens(server, 'connection'), happens(first, 'connect')]);
    const refused = stage.net.connect(portOf(server), host);
    discard(stage, refused);
    refused.on('error', () => undefined);
    refused.resume();
    const [[data]] = await Promise.all([happens(server, 'drop'), happens(refused, 'close')]);
    stage.trace(
      'drop',
      Object.keys(data as object).sort(),
      Reflect.get(data as object, 'localAddress'),
    );
    const count = await new Promise((resolve) =>
      server.getConnections((_, connections) => resolve(connections)),
    );
    assert.equal(count, 1);
    const closed = happens(server, 'close');
    server.close((error) => stage.trace('server', 'closed', error));
    first.end();
    await closed;
    await stage.settled();
    server.close((error) => stage.trace('server', 'closed again', error));
    await stage.settled();
  },
);

scenario('resetAndDestroy() resets a TCP connection', async (stage) => {
  const server = await tcpServer(stage, (peer) => {
    stage.watch(peer, 'peer', ['end', 'error', 'close']);
    peer.resume();
  });
  const accepted = happens(server, 'connection');
  const client = stage.net.connect(portOf(server), host);
  discard(stage, client);
  const [[peer]] = (await Promise.all([accepted, happens(client, 'connect')])) as [
    [Socket],
    unknown[],
  ];
  const closed = happens(peer, 'close');
  assert.equal(client.resetAndDestroy(), client);
  await closed;
  assert.equal(Reflect.get(stage.lane('peer')[0]?.[1] as object, 'code'), 'ECONNRESET');
});

scenario('half-open over TCP', async (stage) => {
  const server = stage.net.createServer(
    { allowHalfOpen: true, noDelay: true, keepAlive: true },
    (peer) => {
      discard(stage, peer);
      peer.resume();
      peer.on('end', () => peer.end('after your end'));
    },
  );
  stage.defer(() => closeServer(server));
  server.listen(0, host);
  await happens(server, 'listening');
  const client = stage.net.connect(portOf(server), host);
  discard(stage, client);
  client.end('mine');
  assert.equal((await received(client)).toString(), 'after your end');
});

scenario('pauseOnConnect and highWaterMark over TCP', async (stage) => {
  const server = stage.net.createServer({ pauseOnConnect: true, highWaterMark: 1234 }, (peer) =>
    discard(stage, peer),
  );
  stage.defer(() => closeServer(server));
  server.listen(0, host);
  await happens(server, 'listening');
  const accepted = happens(server, 'connection');
  const client = stage.net.connect(portOf(server), host);
  discard(stage, client);
  client.write('hello');
  const [peer] = (await accepted) as [Socket];
  stage.trace(
    'peer',
    peer.isPaused(),
    peer.readableHighWaterMark,
    peer.writableHighWaterMark,
    peer.bytesRead,
  );
  const text = receives(peer, 5);
  peer.resume();
  assert.equal((await text).toString(), 'hello');
});

scenario('one server listens on a path, then on a port, then on a path', async (stage) => {
  const path = stage.path();
  const server = stage.net.createServer((peer) => {
    discard(stage, peer);
    peer.end('hello');
  });
  stage.watch(server, 'server', ['listening', 'error', 'close']);
  stage.defer(() => closeServer(server));
  for (const target of [path, 0, path, 0]) {
    server.listen(target);
    await happens(server, 'listening');
    const address = server.address();
    stage.trace('server', typeof address, server.listening);
    const client =
      typeof address === 'string'
        ? stage.net.connect(address)
        : stage.net.connect(portOf(server), host);
    discard(stage, client);
    assert.equal((await received(client)).toString(), 'hello');
    await closeServer(server);
  }
});

scenario('one socket connects to a path, then to a port, then to a path', async (stage) => {
  const path = stage.path();
  const tcp = await tcpServer(stage, (peer) => peer.end('tcp'));
  const unix = stage.net.createServer((peer) => {
    discard(stage, peer);
    peer.end('unix');
  });
  stage.defer(() => closeServer(unix));
  unix.listen(path);
  await happens(unix, 'listening');
  const socket = new stage.net.Socket();
  discard(stage, socket);
  stage.watch(socket, 'socket', ['connect', 'data', 'end', 'error', 'close']);
  for (const target of ['path', 'port', 'path', 'port']) {
    const closed = happens(socket, 'close');
    if (target === 'path') socket.connect(path);
    else socket.connect(portOf(tcp), host);
    await closed;
    stage.trace('socket', socket.bytesRead, socket.destroyed);
  }
  const texts = stage.lane('socket').filter(([event]) => event === 'data');
  assert.deepEqual(
    texts.map(([, data]) => data),
    ['unix', 'tcp', 'unix', 'tcp'].map((bytes) => ({ bytes })),
  );
});

scenario('a subclass connects to a port like its base', async (stage) => {
  const server = await tcpServer(stage, (peer) => peer.end('hello'));
  class Named extends stage.net.Socket {
    readonly label = 'named';
  }
  const client = new Named();
  discard(stage, client);
  client.connect(portOf(server), host);
  assert.equal((await received(client)).toString(), 'hello');
  stage.trace('client', client.label, client instanceof Named, client instanceof stage.net.Socket);
});

scenario('a subclass of Server listens on a port like its base', async (stage) => {
  class Named extends stage.net.Server {
    readonly label = 'named';
  }
  const server = new Named((peer) => peer.end('hello'));
  stage.defer(() => closeServer(server));
  server.listen(0, host);
  await happens(server, 'listening');
  const client = stage.net.connect(portOf(server), host);
  discard(stage, client);
  assert.equal((await received(client)).toString(), 'hello');
  stage.trace('server', server.label, server instanceof Named);
});

scenario('a subclass on a port is a net.Server or net.Socket to whoever asks', async (stage) => {
  class NamedServer extends stage.net.Server {}
  class NamedSocket extends stage.net.Socket {}
  const server = new NamedServer((peer) => peer.end('hello'));
  stage.defer(() => closeServer(server));
  server.listen(0, host);
  await happens(server, 'listening');
  const client = new NamedSocket().connect(portOf(server), host);
  discard(stage, client);
  stage.trace('server', server instanceof nodeNet.Server, server instanceof NamedServer);
  stage.trace('client', client instanceof nodeNet.Socket, client instanceof NamedSocket);
  stage.trace('other', {} instanceof nodeNet.Server, new EventEmitter() instanceof nodeNet.Socket);
  assert.equal((await received(client)).toString(), 'hello');
});

scenario('a server on a port can be sent to a child, of whatever class it is', async (stage) => {
  const program = `process.on('message', (message, server) => {
    process.send([message, typeof server, server.address().port]);
    server.close();
  });`;
  class Named extends stage.net.Server {}
  for (const server of [stage.net.createServer(), new Named()]) {
    stage.defer(() => closeServer(server));
    server.listen(0, host);
    await happens(server, 'listening');
    const child = spawn(process.execPath, ['-e', program], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    stage.defer(() => child.kill('SIGKILL'));
    const answer = happens(child, 'message');
    child.send(null as never, server);
    const [[message, type, port]] = (await answer) as [[unknown, string, number]];
    stage.trace('child', message, type, port === portOf(server));
    const exit = happens(child, 'exit');
    child.disconnect();
    await exit;
  }
  assert.deepEqual(stage.lane('child')[1], [null, 'object', true]);
});

scenario('4 MB over TCP, both ways', async (stage) => {
  const size = 4_000_000;
  const server = await tcpServer(stage, (peer) => peer.pipe(peer));
  const client = stage.net.connect(portOf(server), host);
  discard(stage, client);
  const bytes = Buffer.alloc(size, 'all sorts of things ');
  const echoed = receives(client, size);
  client.write(bytes);
  assert.deepEqual(await echoed, bytes);
  assert.equal(client.bytesWritten, size);
  assert.equal(client.bytesRead, size);
});

scenario('a TCP server holds its process, an unref()ed one does not', async (stage) => {
  for (const unreffed of [false, true]) {
    const partner = startPartner(stage, { unreffed, host }, ({ net, parameters, tell }) => {
      process.on('exit', () => tell('exit'));
      const server = net.createServer();
      if (parameters.unreffed) server.unref();
      server.listen(0, parameters.host);
      setTimeout(
        () => {
          tell('held');
          server.close();
        },
        parameters.unreffed ? 100_000 : 20,
      ).unref();
    });
    stage.trace('child', await partner.everything(), await partner.ended);
  }
  assert.deepEqual(
    stage.lane('child').map(([told]) => told),
    [[['held'], ['exit']], [['exit']]],
  );
});
