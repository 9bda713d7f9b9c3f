/** Becoming connected: the forms of connect(), the order of events, what waits, how it fails. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { bothFamilies, scenario } from './scenario';
import { discard, happens, listen, pair, received } from '../helpers/sockets';

const connectEvents = ['connect', 'ready', 'end', 'error', 'close'] as const;

scenario(
  "'connect' comes first, then 'ready', and never synchronously",
  async (stage) => {
    const address = stage.address();
    await listen(stage, address);
    const client = new stage.net.Socket();
    discard(stage, client);
    stage.watch(client, 'client', connectEvents);
    const ready = happens(client, 'ready');
    client.connect(address, () => stage.trace('client', 'callback of connect'));
    stage.trace('client', 'connect returned');
    process.nextTick(() => stage.trace('client', 'next tick'));
    await ready;
    const order = stage.lane('client').flat();
    assert.equal(order[0], 'connect returned');
    assert.equal(order[1], 'next tick');
    assert.deepEqual(order.slice(2), ['connect', 'callback of connect', 'ready']);
  },
  { over: bothFamilies },
);

scenario('every form of connect() reaches the server and returns the socket', async (stage) => {
  const address = stage.address();
  await listen(stage, address, {}, (peer) => peer.end());
  const { net } = stage;
  const forms: [string, (connected: () => void) => Socket][] = [
    ['net.connect(path)', (connected) => net.connect(address).on('connect', connected)],
    ['net.connect(path, callback)', (connected) => net.connect(address, connected)],
    [
      'net.connect({ path })',
      (connected) => net.connect({ path: address }).on('connect', connected),
    ],
    ['net.connect({ path }, callback)', (connected) => net.connect({ path: address }, connected)],
    [
      'net.createConnection(path)',
      (connected) => net.createConnection(address).on('connect', connected),
    ],
    [
      'net.createConnection({ path }, callback)',
      (connected) => net.createConnection({ path: address }, connected),
    ],
    [
      'socket.connect(path)',
      (connected) => new net.Socket().connect(address).on('connect', connected),
    ],
    ['socket.connect(path, callback)', (connected) => new net.Socket().connect(address, connected)],
    [
      'socket.connect({ path }, callback)',
      (connected) => new net.Socket().connect({ path: address }, connected),
    ],
    [
      'socket.connect(path, undefined)',
      (connected) =>
        Reflect.apply(net.Socket.prototype.connect, new net.Socket(), [address, undefined]).on(
          'connect',
          connected,
        ),
    ],
    [
      'connect(path, host, callback)',
      (connected) =>
        Reflect.apply(net.connect as (...all: unknown[]) => Socket, net, [
          address,
          'localhost',
          connected,
        ]),
    ],
    [
      'connect({ path, host, port })',
      (connected) =>
        net.connect(Object.assign({ path: address }, { host: 'localhost', port: 1 }), connected),
    ],
  ];
  for (const [form, connect] of forms) {
    let count = 0;
    const socket = connect(() => (count += 1));
    discard(stage, socket);
    assert.ok(socket instanceof net.Socket, form);
    socket.resume();
    await happens(socket, 'close');
    stage.trace('client', form, count);
    assert.equal(count, 1, form);
  }
});

scenario('connect() returns the socket itself', async (stage) => {
  const address = stage.address();
  await listen(stage, address);
  const client = new stage.net.Socket();
  discard(stage, client);
  const connected = happens(client, 'connect');
  assert.equal(client.connect(address), client);
  await connected;
});

scenario('Socket, Server and Stream can be called without new', async (stage) => {
  const { net } = stage;
  const callable = net as unknown as {
    Socket(options?: object): object;
    Server(listener?: () => void): object;
    Stream: unknown;
  };
  const plain = callable.Socket();
  assert.ok(plain instanceof net.Socket);
  assert.ok(callable.Server() instanceof net.Server);
  assert.equal(callable.Stream, net.Socket);
  const withOptions = callable.Socket({ allowHalfOpen: true });
  assert.ok(withOptions instanceof net.Socket);
  assert.equal(withOptions.allowHalfOpen, true);
  const server = callable.Server(() => undefined);
  assert.ok(server instanceof net.Server);
  stage.trace('net', 'connection listeners', server.listenerCount('connection'));
  assert.equal(server.listenerCount('connection'), 1);
});

scenario('net.connect() goes through Socket.prototype.connect', async (stage) => {
  const address = stage.address();
  await listen(stage, address);
  const prototype = stage.net.Socket.prototype;
  const original = Object.getOwnPropertyDescriptor(prototype, 'connect');
  assert.ok(original !== undefined && typeof original.value === 'function');
  const connect: unknown = original.value;
  stage.defer(() => Object.defineProperty(prototype, 'connect', original));
  let calls = 0;
  prototype.connect = function replaced(this: Socket, ...args: unknown[]): Socket {
    calls += 1;
    return Reflect.apply(connect as (...all: unknown[]) => Socket, this, args);
  };
  const client = stage.net.connect(address);
  discard(stage, client);
  await happens(client, 'connect');
  stage.trace('prototype', 'calls', calls);
  assert.equal(calls, 1);
});

scenario('a subclass of Socket connects like its base', async (stage) => {
  const address = stage.address();
  await listen(stage, address, {}, (peer) => peer.end('hello'));
  class Named extends stage.net.Socket {
    readonly label = 'named';
  }
  const client = new Named();
  discard(stage, client);
  client.connect(address);
  assert.equal((await received(client)).toString(), 'hello');
  assert.equal(client.label, 'named');
  assert.ok(client instanceof stage.net.Socket);
});

scenario(
  'what is written before connect arrives, and its callbacks come after connect',
  async (stage) => {
    const address = stage.address();
    let accept: (peer: Socket) => void = () => undefined;
    const accepted = new Promise<Socket>((resolve) => (accept = resolve));
    await listen(stage, address, {}, accept);
    const client = new stage.net.Socket();
    discard(stage, client);
    stage.watch(client, 'client', ['connect', 'ready', 'finish']);
    client.connect(address);
    for (const text of ['one ', 'two ', 'three']) {
      const returned = client.write(text, () => stage.trace('client', 'written', text));
      stage.trace('client', 'write returned', returned);
    }
    const finished = happens(client, 'finish');
    client.end(() => stage.trace('client', 'ended'));
    const text = await received(await accepted);
    await finished;
    assert.equal(text.toString(), 'one two three');
    const order = stage.lane('client').map(([what]) => what);
    assert.ok(order.indexOf('connect') < order.indexOf('written'), 'no callback before connect');
    assert.deepEqual(
      stage.lane('client').filter(([what]) => what === 'written'),
      [
        ['written', 'one '],
        ['written', 'two '],
        ['written', 'three'],
      ],
    );
  },
  { over: bothFamilies },
);

scenario('a write before connect() was called fails with ERR_SOCKET_CLOSED', async (stage) => {
  const client = new stage.net.Socket();
  discard(stage, client);
  stage.watch(client, 'client', ['error', 'close']);
  const closed = happens(client, 'close');
  const returned = client.write('too early', (error) => stage.trace('write', error));
  stage.trace('client', 'write returned', returned);
  await closed;
  await stage.settled();
  assert.equal(Reflect.get(Object(stage.lane('write')[0]?.[0]), 'code'), 'ERR_SOCKET_CLOSED');
  assert.deepEqual(
    stage.lane('client').map(([event]) => event),
    ['write returned', 'error', 'close'],
  );
});

scenario(
  'end() before connect sends the FIN once connected',
  async (stage) => {
    const address = stage.address();
    let accept: (peer: Socket) => void = () => undefined;
    const accepted = new Promise<Socket>((resolve) => (accept = resolve));
    await listen(stage, address, {}, accept);
    const client = new stage.net.Socket();
    discard(stage, client);
    stage.watch(client, 'client', ['connect', 'ready', 'finish', 'end', 'error', 'close']);
    client.connect(address);
    const closed = happens(client, 'close');
    assert.equal(client.end(), client);
    assert.equal(client.writable, false);
    const peer = await accepted;
    peer.resume();
    await happens(peer, 'end');
    await closed;
    assert.deepEqual(stage.lane('client'), [
      ['connect'],
      ['ready'],
      ['finish'],
      ['end'],
      ['close', false],
    ]);
  },
  { over: bothFamilies },
);

scenario('end(data) before connect sends the data and then the FIN', async (stage) => {
  const address = stage.address();
  let accept: (peer: Socket) => void = () => undefined;
  const accepted = new Promise<Socket>((resolve) => (accept = resolve));
  await listen(stage, address, {}, accept);
  const client = stage.net.connect(address);
  discard(stage, client);
  stage.watch(client, 'client', ['connect', 'ready', 'finish', 'end', 'error', 'close']);
  const closed = happens(client, 'close');
  client.end('all of it', () => stage.trace('client', 'ended'));
  assert.equal((await received(await accepted)).toString(), 'all of it');
  await closed;
});

scenario(
  'a socket ended before connect() was called still connects, and finishes once',
  async (stage) => {
    const address = stage.address();
    await listen(stage, address);
    const client = new stage.net.Socket();
    discard(stage, client);
    stage.watch(client, 'client', ['connect', 'ready', 'error']);
    let finishes = 0;
    client.on('finish', () => (finishes += 1));
    client.end();
    const ready = happens(client, 'ready');
    client.connect(address);
    await ready;
    await stage.settled();
    assert.equal(finishes, 1);
    assert.deepEqual(stage.lane('client'), [['connect'], ['ready']]);
  },
);

scenario(
  'destroy() before connect fails the queued writes with ERR_SOCKET_CLOSED_BEFORE_CONNECTION',
  async (stage) => {
    const address = stage.address();
    await listen(stage, address);
    const client = stage.net.connect(address);
    discard(stage, client);
    stage.watch(client, 'client', ['connect', 'ready', 'finish', 'error', 'close']);
    client.write('first', (error) => stage.trace('first write', error));
    client.write('second', (error) => stage.trace('second write', error));
    const closed = happens(client, 'close');
    client.destroy();
    await closed;
    await stage.settled();
    assert.deepEqual(stage.lane('client'), [['close', false]], "no 'error'");
    const [[first] = []] = stage.lane('first write');
    assert.equal(Reflect.get(Object(first), 'code'), 'ERR_SOCKET_CLOSED_BEFORE_CONNECTION');
    assert.equal(stage.lane('second write').length, 1);
  },
  { over: bothFamilies },
);

scenario(
  "a write after destroy() gives ERR_STREAM_DESTROYED to its callback and no 'error'",
  async (stage) => {
    const { client } = await pair(stage);
    stage.watch(client, 'client', ['error', 'close']);
    const closed = happens(client, 'close');
    client.destroy();
    const returned = client.write('late', (error) => stage.trace('late write', error));
    stage.trace('client', 'write returned', returned);
    await closed;
    await stage.settled();
    const [[error] = []] = stage.lane('late write');
    assert.equal(Reflect.get(Object(error), 'code'), 'ERR_STREAM_DESTROYED');
    assert.deepEqual(
      stage.lane('client').filter(([what]) => what === 'error'),
      [],
    );
  },
);

scenario(
  "after destroy() while connecting, neither 'connect' nor 'ready' comes",
  async (stage) => {
    const address = stage.address();
    await listen(stage, address);
    const client = stage.net.connect(address, () => stage.trace('client', 'callback of connect'));
    discard(stage, client);
    stage.watch(client, 'client', connectEvents);
    const closed = happens(client, 'close');
    client.destroy();
    await closed;
    await stage.settled();
    assert.deepEqual(stage.lane('client'), [['close', false]]);
  },
  { over: bothFamilies },
);

scenario(
  "destroy() inside 'connect' still lets 'ready' come, and nothing else before 'close'",
  async (stage) => {
    const address = stage.address();
    await listen(stage, address);
    const client = stage.net.connect(address);
    discard(stage, client);
    stage.watch(client, 'client', connectEvents);
    client.on('connect', () => client.destroy());
    await happens(client, 'close');
    await stage.settled();
  },
);

scenario('connecting to a path that is not there fails with ENOENT', async (stage) => {
  const address = stage.path();
  const client = stage.net.connect(address);
  discard(stage, client);
  stage.watch(client, 'client', connectEvents);
  stage.trace('client', 'connecting', client.connecting);
  await happens(client, 'close');
  assert.deepEqual(stage.lane('client'), [
    ['connecting', stage.lane('client')[0]?.[1]],
    [
      'error',
      {
        name: 'Error',
        code: 'ENOENT',
        errno: -2,
        syscall: 'connect',
        address: '<path>',
        message: 'connect ENOENT <path>',
      },
    ],
    ['close', true],
  ]);
});

scenario('connecting to a plain file fails with ECONNREFUSED', async (stage) => {
  const address = stage.path();
  writeFileSync(address, 'not a socket');
  const client = stage.net.connect(address);
  discard(stage, client);
  stage.watch(client, 'client', connectEvents);
  await happens(client, 'close');
  assert.deepEqual(stage.lane('client'), [
    [
      'error',
      {
        name: 'Error',
        code: 'ECONNREFUSED',
        errno: -111,
        syscall: 'connect',
        address: '<path>',
        message: 'connect ECONNREFUSED <path>',
      },
    ],
    ['close', true],
  ]);
});

scenario(
  'connecting to a directory, or below a plain file, fails as the system says',
  async (stage) => {
    const folder = stage.path();
    mkdirSync(folder);
    const file = stage.path();
    writeFileSync(file, '');
    for (const address of [folder, join(file, 'below')]) {
      const client = stage.net.connect(address);
      discard(stage, client);
      stage.watch(client, 'client', connectEvents);
      const [hadError] = await happens(client, 'close');
      assert.equal(hadError, true);
    }
    const codes = stage
      .lane('client')
      .filter(([event]) => event === 'error')
      .map(([, error]) => Reflect.get(Object(error), 'code') as unknown);
    assert.deepEqual(codes, ['ECONNREFUSED', 'ENOTDIR']);
  },
);

scenario('an abstract name that nobody listens on refuses', async (stage) => {
  const client = stage.net.connect(stage.abstract());
  discard(stage, client);
  stage.watch(client, 'client', connectEvents);
  await happens(client, 'close');
  const [[, error] = []] = stage.lane('client');
  assert.equal(Reflect.get(Object(error), 'code'), 'ECONNREFUSED');
  assert.equal(Reflect.get(Object(error), 'syscall'), 'connect');
});

scenario('a failed connect fails the writes that waited for it', async (stage) => {
  const client = stage.net.connect(stage.path());
  discard(stage, client);
  stage.watch(client, 'client', connectEvents);
  client.write('waiting', (error) => stage.trace('write', error));
  client.end((error?: Error) => stage.trace('end', error));
  await happens(client, 'close');
  await stage.settled();
  assert.equal(stage.lane('write').length, 1);
  assert.equal(stage.lane('end').length, 1);
});

scenario('the error of a failed connect is kept in `errored`', async (stage) => {
  const client = stage.net.connect(stage.path());
  discard(stage, client);
  let emitted: unknown;
  client.on('error', (error) => (emitted = error));
  await happens(client, 'close');
  assert.ok(emitted instanceof Error);
  assert.equal(client.errored, emitted);
  stage.trace('client', client.errored);
});

scenario('arguments of connect() are checked at once', async (stage) => {
  const attempts: [string, unknown[]][] = [
    ['nothing', []],
    ['an empty object', [{}]],
    ['a path that is an object', [{ path: {} }]],
    ['a path that is a number', [{ path: 1 }]],
    ['a path that is true', [{ path: true }]],
    ['path null', [{ path: null }]],
    ['a port out of range', [{ port: 65536 }]],
    ['a port that is an object', [{ port: {} }]],
    ['a negative port', [-1]],
  ];
  for (const [what, args] of attempts) {
    const client = new stage.net.Socket();
    discard(stage, client);
    client.on('error', (error) => stage.trace(what, 'event', error));
    try {
      Reflect.apply(client.connect.bind(client), undefined, args);
      stage.trace(what, 'accepted');
    } catch (error) {
      stage.trace(what, 'thrown', error);
    }
    client.destroy();
    await happens(client, 'close');
  }
  const codeOf = (what: string): unknown => Reflect.get(Object(stage.lane(what)[0]?.[1]), 'code');
  assert.equal(codeOf('nothing'), 'ERR_MISSING_ARGS');
  assert.equal(codeOf('an empty object'), 'ERR_MISSING_ARGS');
  assert.equal(codeOf('a path that is an object'), 'ERR_INVALID_ARG_TYPE');
  assert.equal(codeOf('a path that is a number'), 'ERR_INVALID_ARG_TYPE');
  assert.equal(codeOf('a port out of range'), 'ERR_SOCKET_BAD_PORT');
});

scenario('objectMode is refused', async (stage) => {
  for (const options of [
    { objectMode: true },
    { readableObjectMode: true },
    { writableObjectMode: true },
  ]) {
    let thrown: unknown;
    try {
      Reflect.construct(stage.net.Socket, [options]);
    } catch (error) {
      thrown = error;
    }
    stage.trace('constructor', thrown);
    assert.equal(Reflect.get(Object(thrown), 'code'), 'ERR_INVALID_ARG_VALUE');
  }
});

scenario('a connect callback is called once, however often data comes', async (stage) => {
  let calls = 0;
  const { client, peer } = await pair(stage, {
    beforeConnect: (socket) => socket.once('connect', () => (calls += 1)),
  });
  stage.trace('client', 'connect listeners', client.listenerCount('connect'));
  for (let round = 0; round < 5; round += 1) {
    const data = happens(client, 'data');
    peer.write('x');
    await data;
  }
  assert.equal(calls, 1);
  assert.equal(client.listenerCount('connect'), 0);
});

scenario('of the two ends in one process the server is told first', async (stage) => {
  const address = stage.address();
  const count = 3;
  let told = 0;
  const all = new Promise<void>((resolve) => {
    const tell = (event: string): void => {
      stage.trace('order', event);
      told += 1;
      if (told === 2 * count) resolve();
    };
    const server = stage.net.createServer((peer) => {
      discard(stage, peer);
      tell('connection');
    });
    stage.defer(() => server.close());
    server.listen(address, () => {
      for (let made = 0; made < count; made += 1) {
        const client = stage.net.connect(address, () => tell('connect'));
        discard(stage, client);
      }
    });
  });
  await all;
  assert.deepEqual(stage.lane('order').slice(0, 2), [['connection'], ['connect']]);
});

scenario('bufferSize counts from the moment of connect()', async (stage) => {
  const socket = new stage.net.Socket();
  socket.on('error', () => undefined);
  stage.trace('socket', 'before', socket.bufferSize);
  socket.on('connectionAttempt', () => stage.trace('socket', 'attempt', socket.bufferSize));
  socket.connect(stage.address());
  stage.trace('socket', 'behind', socket.bufferSize);
  await new Promise((resolve) => socket.on('close', resolve));
  stage.trace('socket', 'closed', socket.bufferSize);
});
