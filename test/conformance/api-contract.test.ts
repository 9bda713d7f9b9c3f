/** The shape of the module: what is exported, what a prototype carries, what is refused and in which words. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel';
import { EventEmitter } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import nodeNet, { type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { Duplex } from 'node:stream';
import { inherits, inspect } from 'node:util';
import { bothFamilies, scenario, type Stage } from './scenario';
import { attempt, callWith } from '../helpers/attempt';
import { collectGarbage } from '../helpers/collect-garbage';
import { startProgram } from '../helpers/partner';
import {
  closeServer,
  discard,
  happens,
  listen,
  pair,
  received,
  receives,
} from '../helpers/sockets';

const socketEvents = ['connect', 'ready', 'data', 'end', 'error', 'close'] as const;

/** Members of net.Socket.prototype in Node 20, without `_handle`: a socket of ours has no handle of libuv's. */
const socketMembers = [
  'constructor',
  '_unrefTimer',
  '_final',
  'setTimeout',
  '_onTimeout',
  'setNoDelay',
  'setKeepAlive',
  'address',
  '_connecting',
  'pending',
  'readyState',
  'bufferSize',
  '_read',
  'end',
  'resetAndDestroy',
  'pause',
  'resume',
  'read',
  'destroySoon',
  '_destroy',
  '_reset',
  '_getpeername',
  'bytesRead',
  'remoteAddress',
  'remoteFamily',
  'remotePort',
  '_getsockname',
  'localAddress',
  'localPort',
  'localFamily',
  '_writeGeneric',
  '_writev',
  '_write',
  '_bytesDispatched',
  'bytesWritten',
  'connect',
  'ref',
  'unref',
] as const;

const serverMembers: readonly PropertyKey[] = [
  'constructor',
  'listen',
  'listening',
  'address',
  'getConnections',
  'close',
  '_emitCloseIfDrained',
  'ref',
  'unref',
  Symbol.asyncDispose,
  EventEmitter.captureRejectionSymbol,
];

const moduleMembers = [
  '_createServerHandle',
  '_normalizeArgs',
  'BlockList',
  'SocketAddress',
  'connect',
  'createConnection',
  'createServer',
  'isIP',
  'isIPv4',
  'isIPv6',
  'Server',
  'Socket',
  'Stream',
  'getDefaultAutoSelectFamily',
  'setDefaultAutoSelectFamily',
  'getDefaultAutoSelectFamilyAttemptTimeout',
  'setDefaultAutoSelectFamilyAttemptTimeout',
] as const;

/** 'method', 'accessor', or the type of the value; looked for along the prototypes. */
function kindOf(target: object, key: PropertyKey): string {
  for (
    let owner: object | null = target;
    owner !== null;
    owner = Object.getPrototypeOf(owner) as object | null
  ) {
    const descriptor = Object.getOwnPropertyDescriptor(owner, key);
    if (descriptor === undefined) continue;
    if (descriptor.get !== undefined || descriptor.set !== undefined) return 'accessor';
    return typeof descriptor.value === 'function' ? 'method' : typeof descriptor.value;
  }
  return 'absent';
}

for (const member of socketMembers) {
  scenario(`Socket.prototype.${member} is of the same kind`, async (stage) => {
    const kind = kindOf(stage.net.Socket.prototype, member);
    stage.trace('kind', kind);
    assert.notEqual(kind, 'absent');
  });
}

for (const member of serverMembers) {
  scenario(`Server.prototype[${String(member)}] is of the same kind`, async (stage) => {
    const kind = kindOf(stage.net.Server.prototype, member);
    stage.trace('kind', kind);
    assert.notEqual(kind, 'absent');
  });
}

for (const member of moduleMembers) {
  scenario(`the module's ${member} is of the same type`, async (stage) => {
    const type = typeof Reflect.get(stage.net, member);
    stage.trace('type', type);
    assert.equal(type, 'function');
  });
}

scenario(
  '_setSimultaneousAccepts, which Node 24 no longer has, is there where net has it',
  async (stage) => {
    stage.trace('type', typeof Reflect.get(stage.net, '_setSimultaneousAccepts'));
  },
);

scenario('every public export of the running Node is there, with the same type', async (stage) => {
  const names = Object.keys(nodeNet).filter((name) => !name.startsWith('_'));
  for (const name of names) {
    const type = typeof Reflect.get(stage.net, name);
    stage.trace('export', name, type);
    assert.equal(type, 'function', name);
  }
  assert.ok(names.includes('createServer') && names.length >= 15);
});

scenario('functions take as many parameters as those of net', async (stage) => {
  const { net } = stage;
  stage.trace(
    'module',
    net.createServer.length,
    net.connect.length,
    net.Socket.length,
    net.Server.length,
  );
  for (const member of [
    'connect',
    'setTimeout',
    'setKeepAlive',
    'setNoDelay',
    'address',
    'end',
    'ref',
    'unref',
  ]) {
    stage.trace('socket', member, (Reflect.get(net.Socket.prototype, member) as () => void).length);
  }
  for (const member of ['listen', 'close', 'getConnections', 'address', 'ref', 'unref']) {
    stage.trace('server', member, (Reflect.get(net.Server.prototype, member) as () => void).length);
  }
});

scenario('names and relations of the classes', async (stage) => {
  const { net } = stage;
  const prototype: object = net.Socket.prototype;
  stage.trace('names', net.Socket.name, net.Server.name, net.createServer.name, net.connect.name);
  stage.trace(
    'same',
    Reflect.get(net, 'Stream') === net.Socket,
    net.createConnection === net.connect,
  );
  stage.trace(
    'constructors',
    prototype.constructor === net.Socket,
    net.Server.prototype.constructor === net.Server,
  );
  stage.trace('socket', Object.getPrototypeOf(net.Socket) === Duplex, prototype instanceof Duplex);
  stage.trace(
    'server',
    Object.getPrototypeOf(net.Server) === EventEmitter,
    net.Server.prototype instanceof EventEmitter,
  );
  stage.trace(
    'printed',
    inspect(new net.Socket(), { depth: -1 }),
    inspect(new net.Server(), { depth: -1 }),
  );
  stage.trace('tag', String(new net.Socket()), String(new net.Server()));
  assert.equal(Reflect.get(net, 'Stream'), net.Socket);
});

scenario('what other code asks a socket for and must not find', async (stage) => {
  const { client, peer } = await pair(stage);
  for (const socket of [new stage.net.Socket(), client, peer]) {
    for (const absent of ['encrypted', 'then', 'authorized', 'getPeerCertificate']) {
      assert.equal(absent in socket, false, absent);
    }
  }
});

scenario('the plain properties of a fresh socket', async (stage) => {
  const socket = new stage.net.Socket();
  for (const name of [
    'connecting',
    '_hadError',
    '_parent',
    '_host',
    'server',
    '_server',
    'allowHalfOpen',
  ]) {
    stage.trace(
      'own',
      name,
      Reflect.get(socket, name),
      Object.prototype.hasOwnProperty.call(socket, name),
    );
  }
  for (const name of [
    'destroyed',
    'closed',
    'errored',
    'readable',
    'writable',
    'pending',
    'readyState',
    'timeout',
  ]) {
    stage.trace('state', name, Reflect.get(socket, name));
  }
  for (const name of [
    'bytesRead',
    'bytesWritten',
    'bufferSize',
    'writableLength',
    'readableLength',
  ]) {
    stage.trace('counter', name, Reflect.get(socket, name));
  }
  for (const name of [
    'remoteAddress',
    'remotePort',
    'remoteFamily',
    'localAddress',
    'localPort',
    'localFamily',
  ]) {
    stage.trace('address', name, Reflect.get(socket, name));
  }
  for (const name of ['parser', '_httpMessage', '_paused', 'autoSelectFamilyAttemptedAddresses']) {
    stage.trace('absent', name, Reflect.get(socket, name));
  }
  stage.trace('address', socket.address());
});

scenario('the plain properties of a fresh server', async (stage) => {
  const server = new stage.net.Server();
  for (const name of [
    'allowHalfOpen',
    'pauseOnConnect',
    'noDelay',
    'keepAlive',
    'keepAliveInitialDelay',
  ]) {
    stage.trace(
      'own',
      name,
      Reflect.get(server, name),
      Object.prototype.hasOwnProperty.call(server, name),
    );
  }
  for (const name of [
    'highWaterMark',
    '_connections',
    '_unref',
    '_usingWorkers',
    'maxConnections',
    'listening',
  ]) {
    stage.trace('own', name, Reflect.get(server, name));
  }
  stage.trace('listeners', server.eventNames());
});

scenario('sockets and servers can be given further properties', async (stage) => {
  const marker = Symbol('marker');
  for (const object of [new stage.net.Socket(), new stage.net.Server()]) {
    assert.equal(Object.isExtensible(object), true);
    assert.equal(Reflect.set(object, 'host', 'x') && Reflect.get(object, 'host'), 'x');
    assert.equal(Reflect.set(object, marker, 1) && Reflect.get(object, marker), 1);
  }
});

const countedEvents = [
  'data',
  'end',
  'close',
  'error',
  'drain',
  'timeout',
  'connect',
  'ready',
  'finish',
  'readable',
];

scenario('a fresh socket has one listener, for its own end', async (stage) => {
  const socket = new stage.net.Socket();
  for (const event of countedEvents) stage.trace('fresh', event, socket.listenerCount(event));
  stage.trace('names', socket.eventNames());
  assert.deepEqual(socket.eventNames(), ['end']);
});

scenario('connected sockets have no listeners but that one', async (stage) => {
  const { client, peer } = await pair(stage);
  await stage.settled();
  for (const event of countedEvents) stage.trace('client', event, client.listenerCount(event));
  for (const event of countedEvents) stage.trace('peer', event, peer.listenerCount(event));
  for (const event of ['data', 'close', 'error', 'drain', 'timeout']) {
    assert.equal(client.listenerCount(event), 0, event);
    assert.equal(peer.listenerCount(event), 0, event);
  }
});

scenario('a socket survives removeAllListeners()', async (stage) => {
  const { client, peer } = await pair(stage);
  client.removeAllListeners();
  peer.removeAllListeners();
  const text = receives(client, 5);
  peer.write('hello');
  assert.equal((await text).toString(), 'hello');
  const answer = receives(peer, 5);
  client.end('world');
  assert.equal((await answer).toString(), 'world');
});

scenario('Socket, Server and Stream can be called without new, and by call()', async (stage) => {
  const { net } = stage;
  for (const name of ['Socket', 'Stream', 'Server']) {
    const made = callWith(net, name) as object;
    stage.trace(
      'called',
      name,
      made.constructor.name,
      made instanceof (Reflect.get(net, name) as () => void),
    );
  }
  const socket = callWith(net, 'Socket', { allowHalfOpen: true }) as Socket;
  assert.equal(socket.allowHalfOpen, true);
});

type OldStyle = new () => Socket;

scenario(
  'an old-style subclass made with util.inherits and Socket.call(this)',
  async (stage) => {
    const { net } = stage;
    function Greeter(this: Socket & { greeting: string }): void {
      Reflect.apply(net.Socket as unknown as () => void, this, [{ allowHalfOpen: false }]);
      this.greeting = 'hello';
    }
    inherits(Greeter, net.Socket);
    Reflect.set(
      Greeter.prototype as object,
      'greet',
      function (this: Socket & { greeting: string }) {
        return this.write(this.greeting);
      },
    );
    const address = stage.address();
    await listen(stage, address, {}, (peer) => peer.pipe(peer));
    const socket = new (Greeter as unknown as OldStyle)();
    discard(stage, socket);
    stage.watch(socket, 'greeter', socketEvents);
    assert.ok(socket instanceof net.Socket);
    assert.ok(socket instanceof Duplex);
    assert.equal(socket.connect(address), socket);
    const echoed = happens(socket, 'data');
    callWith(socket, 'greet');
    await echoed;
    const closed = happens(socket, 'close');
    socket.end();
    await closed;
    assert.deepEqual(stage.lane('greeter')[2], ['data', { bytes: 'hello' }]);
  },
  { over: bothFamilies },
);

scenario('an old-style subclass of Server', async (stage) => {
  const { net } = stage;
  function Welcomer(this: Server): void {
    Reflect.apply(net.Server as unknown as () => void, this, [
      (peer: Socket) => peer.end('welcome'),
    ]);
  }
  inherits(Welcomer, net.Server);
  const server = new (Welcomer as unknown as new () => Server)();
  stage.defer(() => closeServer(server));
  stage.watch(server, 'server', ['listening', 'close']);
  assert.ok(server instanceof net.Server);
  const path = stage.path();
  server.listen(path);
  const client = net.connect(path);
  discard(stage, client);
  assert.equal((await received(client)).toString(), 'welcome');
  await closeServer(server);
});

scenario('subclasses by class: fields, overridden methods and super calls', async (stage) => {
  const { net } = stage;
  class Counting extends net.Socket {
    readonly label = 'counting';
    writes = 0;
    override write(...args: unknown[]): boolean {
      this.writes += 1;
      return Reflect.apply(super.write.bind(this), undefined, args) as boolean;
    }
    override destroy(error?: Error): this {
      stage.trace('counting', 'destroy', error);
      return super.destroy(error);
    }
  }
  class Taking extends net.Server {
    override listen(...args: unknown[]): this {
      stage.trace('taking', 'listen', args.length);
      Reflect.apply(super.listen.bind(this), undefined, args);
      return this;
    }
  }
  const path = stage.path();
  const server = new Taking((peer) => peer.pipe(peer));
  stage.defer(() => closeServer(server));
  server.listen(path);
  await happens(server, 'listening');
  const socket = new Counting();
  discard(stage, socket);
  stage.trace('counting', socket.label, socket instanceof net.Socket, socket.constructor.name);
  const replaced = Object.prototype.hasOwnProperty.call(socket, 'write');
  socket.connect(path);
  stage.trace(
    'counting',
    'own write',
    replaced,
    Object.prototype.hasOwnProperty.call(socket, 'write'),
  );
  const echoed = receives(socket, 3);
  socket.write('abc');
  assert.equal((await echoed).toString(), 'abc');
  stage.trace('counting', 'writes', socket.writes);
});

scenario(
  'net.connect() goes through Socket.prototype.connect, createServer().listen() through that of Server',
  async (stage) => {
    const { net } = stage;
    const restore = (prototype: object, name: string): ((...args: unknown[]) => unknown) => {
      const original = Object.getOwnPropertyDescriptor(prototype, name);
      assert.ok(original !== undefined);
      stage.defer(() => Object.defineProperty(prototype, name, original));
      return original.value as (...args: unknown[]) => unknown;
    };
    const connect = restore(net.Socket.prototype, 'connect');
    const listenMethod = restore(net.Server.prototype, 'listen');
    Reflect.set(net.Socket.prototype, 'connect', function (this: Socket, ...args: unknown[]) {
      stage.trace('connect', args.length, Array.isArray(args[0]), this instanceof net.Socket);
      return Reflect.apply(connect, this, args);
    });
    Reflect.set(net.Server.prototype, 'listen', function (this: Server, ...args: unknown[]) {
      stage.trace('listen', args.length);
      return Reflect.apply(listenMethod, this, args);
    });
    const path = stage.path();
    await listen(stage, path);
    for (const form of [
      () => net.connect(path),
      () => net.createConnection({ path }),
      () => net.connect(path, () => undefined),
    ]) {
      const client = form();
      discard(stage, client);
      await happens(client, 'connect');
    }
    assert.equal(stage.lane('connect').length, 3);
    assert.equal(stage.lane('listen').length, 1);
  },
);

scenario(
  'a connect() that was replaced on the prototype decides where sockets go',
  async (stage) => {
    const { net } = stage;
    const path = stage.path();
    await listen(stage, path, {}, (peer) => peer.end('redirected'));
    const prototype = net.Socket.prototype;
    const original = Object.getOwnPropertyDescriptor(prototype, 'connect');
    assert.ok(original !== undefined);
    stage.defer(() => Object.defineProperty(prototype, 'connect', original));
    const connect = original.value as (...args: unknown[]) => Socket;
    Reflect.set(prototype, 'connect', function (this: Socket) {
      return Reflect.apply(connect, this, [path]);
    });
    const client = net.connect(`${path}.nowhere`);
    discard(stage, client);
    assert.equal((await received(client)).toString(), 'redirected');
  },
);

scenario("methods added to the prototypes are every socket's", async (stage) => {
  const { net } = stage;
  Reflect.set(net.Socket.prototype, 'shout', function (this: Socket, text: string) {
    return this.write(text.toUpperCase());
  });
  stage.defer(() => Reflect.deleteProperty(net.Socket.prototype, 'shout'));
  const { client, peer } = await pair(stage);
  const heard = receives(client, 5);
  callWith(peer, 'shout', 'hello');
  assert.equal((await heard).toString(), 'HELLO');
});

scenario('an emit() that was replaced on the prototype sees every event', async (stage) => {
  const { net } = stage;
  const prototype = net.Socket.prototype;
  const seen: string[] = [];
  Reflect.set(prototype, 'emit', function (this: Socket, event: string, ...args: unknown[]) {
    if (this === client) seen.push(event);
    return Reflect.apply(EventEmitter.prototype.emit, this, [event, ...args]);
  });
  stage.defer(() => Reflect.deleteProperty(prototype, 'emit'));
  const path = stage.path();
  await listen(stage, path, {}, (peer) => peer.end('x'));
  const client = new net.Socket();
  discard(stage, client);
  client.connect(path);
  client.resume();
  await happens(client, 'close');
  const kept = seen.filter((event) => ['connect', 'ready', 'data', 'end', 'close'].includes(event));
  stage.trace('seen', ...kept);
  assert.deepEqual(kept, ['connect', 'ready', 'data', 'end', 'close']);
});

/** Each must be refused synchronously, with Node's own code and words, or not refused at all. */
const badConnects: Record<string, unknown[]> = {
  nothing: [],
  'an empty object': [{}],
  'only a host': [{ host: 'localhost' }],
  'path undefined': [{ path: undefined }],
  'path null': [{ path: null }],
  'a path that is an object': [{ path: {} }],
  'a path that is a list': [{ path: [] }],
  'a path that is a number': [{ path: 5 }],
  'a path that is true': [{ path: true }],
  'a path that is a function': [{ path: () => undefined }],
  'a path that is a buffer': [{ path: Buffer.from('/nowhere') }],
  'a path that is a symbol': [{ path: Symbol('path') }],
  'port -1': [-1],
  'port 65536': [65_536],
  'port 1.5': [1.5],
  'port NaN': [NaN],
  'port Infinity': [Infinity],
  'port as text beyond the last': ['65536'],
  'port option -1': [{ port: -1 }],
  'port option 65536': [{ port: 65_536 }],
  'port option true': [{ port: true }],
  'port option {}': [{ port: {} }],
  'port option null': [{ port: null }],
  'port option empty': [{ port: '' }],
  'port option of blanks': [{ port: ' ' }],
  'port option as a word': [{ port: 'http' }],
  null: [null],
  undefined: [undefined],
  true: [true],
  'a function': [() => undefined],
  'a symbol': [Symbol('x')],
  'a local address that is none': [{ port: 1, localAddress: 'x' }],
  'a local port that is none': [{ port: 1, host: '127.0.0.1', localPort: 'x' }],
  'a lookup that is no function': [{ port: 1, lookup: 'x' }],
};

for (const [what, args] of Object.entries(badConnects)) {
  scenario(`connect(${what}) is refused as net refuses it`, async (stage) => {
    const socket = new stage.net.Socket();
    discard(stage, socket);
    stage.watch(socket, 'socket', ['error', 'close', 'connect']);
    const thrown = attempt(() => callWith(socket, 'connect', ...args));
    stage.trace('socket.connect', thrown);
    const module = attempt(() => callWith(stage.net, 'connect', ...args));
    stage.trace('net.connect', module);
    assert.ok(thrown instanceof Error, 'socket.connect() did not throw');
    assert.ok(module instanceof Error, 'net.connect() did not throw');
    await stage.settled();
  });
}

scenario('a path goes before a port, whatever the port is', async (stage) => {
  const path = stage.path();
  await listen(stage, path);
  for (const port of [-1, 70_000, 'x', {}, null, 80]) {
    const client = new stage.net.Socket();
    discard(stage, client);
    const connected = happens(client, 'connect');
    stage.trace(
      'client',
      attempt(() => callWith(client, 'connect', { path, port })),
    );
    await connected;
  }
});

scenario('after a refused connect() the socket can still be connected', async (stage) => {
  const path = stage.path();
  await listen(stage, path, {}, (peer) => peer.end('hello'));
  const client = new stage.net.Socket();
  discard(stage, client);
  assert.ok(attempt(() => callWith(client, 'connect', {})) instanceof TypeError);
  client.connect(path);
  assert.equal((await received(client)).toString(), 'hello');
});

const badSocketOptions: Record<string, unknown> = {
  objectMode: { objectMode: true },
  readableObjectMode: { readableObjectMode: true },
  writableObjectMode: { writableObjectMode: true },
  'fd as text': { fd: 'x' },
  'fd -1': { fd: -1 },
  'fd 1.5': { fd: 1.5 },
  'fd null': { fd: null },
  'fd that is not open': { fd: 123_456 },
  'a number that is no descriptor': -1,
  'a signal that is none': { signal: 'x' },
  'keepAliveInitialDelay as text': { keepAliveInitialDelay: 'x' },
  'a high-water mark as text': { highWaterMark: 'x' },
  'a negative high-water mark': { highWaterMark: -1 },
  'a readable high-water mark that is NaN': { readableHighWaterMark: NaN },
  'an unknown encoding': { encoding: 'klingon' },
  'an unknown default encoding': { defaultEncoding: 'klingon' },
};

for (const [what, options] of Object.entries(badSocketOptions)) {
  scenario(`new Socket() with ${what}`, async (stage) => {
    stage.trace(
      'socket',
      attempt(() => Reflect.construct(stage.net.Socket, [options])),
    );
  });
}

const harmlessSocketOptions: Record<string, unknown> = {
  null: null,
  true: true,
  text: 'x',
  'onread null': { onread: null },
  'onread without a callback': { onread: { buffer: Buffer.alloc(1) } },
  'onread with a text for a buffer': { onread: { buffer: 'x', callback: () => true } },
  'onread undefined beside readable': { onread: undefined, readable: true },
  'keepAliveInitialDelay below 0': { keepAliveInitialDelay: -1 },
  'objectMode false': { objectMode: false, readableObjectMode: false, writableObjectMode: false },
  'what concerns TCP': {
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 1000,
    host: 'x',
    family: 4,
  },
};

for (const [what, options] of Object.entries(harmlessSocketOptions)) {
  scenario(`new Socket() with ${what} works as ever`, async (stage) => {
    const path = stage.path();
    await listen(stage, path, {}, (peer) => peer.end('hello'));
    const client = Reflect.construct(stage.net.Socket, [options]) as Socket;
    discard(stage, client);
    client.connect(path);
    assert.equal((await received(client)).toString(), 'hello');
  });
}

const badServerOptions: Record<string, unknown[]> = {
  text: ['x'],
  'an empty text': [''],
  0: [0],
  1: [1],
  true: [true],
  false: [false],
  'a symbol': [Symbol('x')],
  'a big number': [1n],
  'text and a listener': ['x', () => undefined],
  'keepAliveInitialDelay as text': [{ keepAliveInitialDelay: 'x' }],
  'keepAliveInitialDelay null': [{ keepAliveInitialDelay: null }],
  'highWaterMark as text': [{ highWaterMark: 'x' }],
};

for (const [what, args] of Object.entries(badServerOptions)) {
  scenario(`createServer(${what}) is refused as net refuses it`, async (stage) => {
    const thrown = attempt(() => callWith(stage.net, 'createServer', ...args));
    stage.trace('createServer', thrown);
    stage.trace(
      'Server',
      attempt(() => Reflect.construct(stage.net.Server, args)),
    );
    assert.equal(Reflect.get(Object(thrown) as object, 'code'), 'ERR_INVALID_ARG_TYPE');
  });
}

const badListens: Record<string, unknown[]> = {
  'an empty object': [{}],
  'only a host': [{ host: 'localhost' }],
  'only a backlog': [{ backlog: 5 }],
  'fd -1': [{ fd: -1 }],
  'fd as text': [{ fd: '3' }],
  'fd true': [{ fd: true }],
  'fd null': [{ fd: null }],
  'path -1': [{ path: -1 }],
  'path 0': [{ path: 0 }],
  'path 5': [{ path: 5 }],
  'path null': [{ path: null }],
  'path undefined': [{ path: undefined }],
  'an empty path': [{ path: '' }],
  'path true': [{ path: true }],
  'path {}': [{ path: {} }],
  'path as a list': [{ path: ['/nowhere'] }],
  'path as a buffer': [{ path: Buffer.from('/nowhere') }],
  'a path that is a number in text': [{ path: '5' }],
  'a path that is a function': [{ path: () => undefined }],
  true: [true],
  false: [false],
  'port -1': [-1],
  'port 65536': [65_536],
  'port 1.5': [1.5],
  'port NaN': [NaN],
  'port Infinity': [Infinity],
  'port as text beyond the last': ['65536'],
  'an empty text': [''],
  'port option -1': [{ port: -1 }],
  'port option 65536': [{ port: 65_536 }],
  'port option NaN': [{ port: NaN }],
  'port option as a word': [{ port: 'http' }],
  'port option true': [{ port: true }],
  'port option {}': [{ port: {} }],
  'port option false': [{ port: false }],
  'a bad port beside a good path': [{ port: -1, path: '/nowhere' }],
  'a port as a word beside a good path': [{ port: 'http', path: '/nowhere' }],
  'a symbol': [Symbol('x')],
  'a list': [[]],
};

for (const [what, args] of Object.entries(badListens)) {
  scenario(`listen(${what}) is refused as net refuses it`, async (stage) => {
    const server = new stage.net.Server();
    stage.defer(() => closeServer(server));
    stage.watch(server, 'server', ['error', 'listening']);
    const thrown = attempt(() => callWith(server, 'listen', ...args));
    stage.trace('server', thrown, server.listening);
    assert.ok(thrown instanceof Error, 'listen() did not throw');
    const path = stage.path();
    server.listen(path);
    await happens(server, 'listening');
    assert.equal(server.address(), path);
  });
}

const badWrites: Record<string, unknown[]> = {
  'a number': [1337],
  null: [null],
  undefined: [undefined],
  true: [true],
  'an object': [{}],
  'a list': [[1, 2]],
  'a symbol': [Symbol('x')],
  'a function': [() => undefined],
  'an array buffer': [new ArrayBuffer(4)],
  'no encoding there is': ['x', 'klingon'],
};

for (const [what, args] of Object.entries(badWrites)) {
  for (const method of ['write', 'end']) {
    const nothing =
      method === 'end' && [null, undefined].includes(args[0] as null) ? ', which is nothing' : '';
    scenario(`${method}(${what}${nothing}) says the same as net's`, async (stage) => {
      const { client, peer } = await pair(stage);
      stage.watch(client, 'client', ['error', 'close', 'finish']);
      const thrown = attempt(() => callWith(client, method, ...args));
      stage.trace('client', thrown, client.destroyed, client.writable, client.bytesWritten);
      await stage.settled();
      if (method === 'write') {
        assert.ok(thrown instanceof TypeError);
        const text = receives(peer, 5);
        client.write('hello');
        assert.equal((await text).toString(), 'hello');
      }
    });
  }
}

scenario("write('x', 'buffer') throws a TypeError", async (stage) => {
  const { client } = await pair(stage);
  client.on('error', () => undefined);
  const thrown = attempt(() => callWith(client, 'write', 'x', 'buffer'));
  stage.trace('client', thrown);
  assert.ok(thrown instanceof TypeError);
});

scenario('what write() accepts besides text and buffers', async (stage) => {
  const { client, peer } = await pair(stage);
  const whole = receives(peer, 17);
  client.write(new Uint8Array([65, 66]));
  client.write(Buffer.from('xxCDxx').subarray(2, 4));
  stage.trace(
    'view',
    attempt(() => callWith(client, 'write', new DataView(new Uint8Array([69, 70]).buffer))),
  );
  stage.trace(
    'words',
    attempt(() => callWith(client, 'write', new Uint16Array([0x4847]))),
  );
  client.write('', () => stage.trace('callback', 'of nothing'));
  client.end('IJKLMNOPQ-and-more');
  stage.trace('peer', (await whole).toString().slice(0, 17));
});

scenario(
  'connect errors: fields, words and order of events',
  async (stage) => {
    const missing = stage.address();
    const file = stage.path();
    writeFileSync(file, '');
    for (const [label, address] of [
      ['missing', missing],
      ['file', file],
      ['through a file', `${file}/s`],
    ] as const) {
      const client = stage.net.connect(address);
      discard(stage, client);
      stage.watch(client, label, socketEvents);
      const [error] = await happens(client, 'error');
      assert.ok(error instanceof Error);
      assert.equal(error.message, `connect ${String(Reflect.get(error, 'code'))} ${address}`);
      const keys = Object.keys(error).filter((key) => key !== 'hint');
      stage.trace(label, 'fields', keys, client.destroyed, client.connecting, client.pending);
      await stage.settled();
    }
    const expected = stage.family === 'pathname' ? 'ENOENT' : 'ECONNREFUSED';
    assert.equal(Reflect.get(stage.lane('missing')[0]?.[1] as object, 'code'), expected);
  },
  { over: bothFamilies },
);

const chained = [
  'ref',
  'unref',
  'setNoDelay',
  'setKeepAlive',
  'setTimeout',
  'pause',
  'resume',
  'setEncoding',
  'end',
];

for (const method of [...chained, 'destroy', 'connect', 'cork', 'uncork', 'destroySoon']) {
  scenario(
    `what socket.${method}() returns before connect, after it, and after close`,
    async (stage) => {
      const args = method === 'setTimeout' ? [1000] : [];
      const fresh = new stage.net.Socket();
      discard(stage, fresh);
      fresh.on('error', () => undefined);
      const outcome = (socket: Socket): unknown => {
        let result: unknown;
        const thrown = attempt(() => (result = callWith(socket, method, ...args)));
        return thrown instanceof Error ? thrown : result === socket ? 'this' : result;
      };
      if (method !== 'connect') {
        const before = outcome(fresh);
        stage.trace('before', before);
        if (chained.includes(method)) assert.equal(before, 'this');
      }
      const { client, peer } = await pair(stage);
      client.on('error', () => undefined);
      stage.trace('connected', outcome(client));
      const closed = client.closed ? Promise.resolve([]) : happens(client, 'close');
      client.resume();
      peer.destroy();
      client.destroy();
      await closed;
      if (method !== 'connect') stage.trace('closed', outcome(client));
      await stage.settled();
    },
  );
}

scenario('addresses of a connected socket, and after close', async (stage) => {
  const { client, peer } = await pair(stage);
  const names = [
    'remoteAddress',
    'remotePort',
    'remoteFamily',
    'localAddress',
    'localPort',
    'localFamily',
  ];
  const show = (when: string): void => {
    for (const [label, socket] of [
      ['client', client],
      ['peer', peer],
    ] as const) {
      stage.trace(
        label,
        when,
        socket.address(),
        ...names.map((name) => Reflect.get(socket, name) as unknown),
      );
    }
  };
  show('connected');
  const closed = [happens(client, 'close'), happens(peer, 'close')];
  client.resume();
  peer.resume();
  client.end();
  await Promise.all(closed);
  show('closed');
  assert.deepEqual(client.address(), {});
});

/** What is published on a channel of net while the scenario runs. */
function published(
  stage: Stage,
  name: string,
  note: (message: Record<string, unknown>) => void,
): void {
  const listener = (message: unknown): void => note(message as Record<string, unknown>);
  subscribe(name, listener);
  stage.defer(() => unsubscribe(name, listener));
  assert.equal(channel(name).hasSubscribers, true);
}

scenario(
  'diagnostics channels tell of every client and every accepted socket',
  async (stage) => {
    const { net } = stage;
    const address = stage.address();
    const accepted: unknown[] = [];
    const begun: unknown[] = [];
    published(stage, 'net.client.socket', (message) => {
      stage.trace('client', Object.keys(message), message['socket'] instanceof net.Socket);
      begun.push(message['socket']);
    });
    published(stage, 'net.server.socket', (message) => {
      stage.trace('server', Object.keys(message), message['socket'] instanceof net.Socket);
      accepted.push(message['socket']);
    });
    const peers: Socket[] = [];
    const server = await listen(stage, address, {}, (peer) => peers.push(peer));
    const client = net.connect(address);
    discard(stage, client);
    await Promise.all([happens(server, 'connection'), happens(client, 'connect')]);
    await stage.settled();
    assert.deepEqual(begun, [client]);
    assert.deepEqual(accepted, peers);

    const own = new net.Socket();
    discard(stage, own);
    own.connect(address);
    await happens(own, 'connect');
    await stage.settled();
    stage.trace('client', 'of new Socket().connect()', begun.length);
  },
  { over: bothFamilies },
);

scenario(
  'the tracing channel of listen() tells of its beginning, its end and its errors',
  async (stage) => {
    const path = stage.path();
    for (const event of ['asyncStart', 'asyncEnd', 'error']) {
      published(stage, `tracing:net.server.listen:${event}`, (message) => {
        stage.trace('listen', event, Object.keys(message), message['error'], message['options']);
      });
    }
    const server = new stage.net.Server();
    stage.defer(() => closeServer(server));
    server.listen({ path, backlog: 5 });
    stage.trace('listen', 'returned');
    await happens(server, 'listening');
    const late = new stage.net.Server();
    const failed = happens(late, 'error');
    late.listen({ path });
    stage.trace('listen', 'returned');
    await failed;
  },
);

scenario(
  '20 strings of 4,000,000 hexadecimal digits arrive whole while garbage is collected',
  async (stage) => {
    const path = stage.path();
    const strings = 20;
    const bytes = 2_000_000;
    const sent = createHash('sha256');
    const arrived = createHash('sha256');
    let total = 0;
    const server = await listen(stage, path, {}, (peer) => {
      peer.on('data', (chunk: Buffer) => {
        const before = total;
        total += chunk.length;
        arrived.update(chunk);
        if (Math.floor(before / bytes) !== Math.floor(total / bytes)) collectGarbage();
      });
    });
    const accepted = happens(server, 'connection');
    const client = stage.net.connect(path);
    discard(stage, client);
    const [peer] = (await accepted) as [Socket];
    const ended = happens(peer, 'end');
    for (let index = 0; index < strings; index += 1) {
      const digits = createHash('sha256')
        .update(String(index))
        .digest('hex')
        .repeat(bytes / 32);
      sent.update(Buffer.from(digits, 'hex'));
      client.write(digits, 'hex');
      collectGarbage();
    }
    client.end();
    await ended;
    assert.equal(total, strings * bytes);
    assert.equal(arrived.digest('hex'), sent.digest('hex'));
    assert.equal(client.bytesWritten, strings * bytes);
  },
  { limit: 60_000 },
);

scenario('text in every encoding net knows arrives as the bytes it stands for', async (stage) => {
  const samples: [string, BufferEncoding][] = [
    ['grüße', 'latin1'],
    ['grüße', 'binary'],
    ['grüße 世界', 'utf8'],
    ['grüße 世界', 'utf-8'],
    ['grüße 世界', 'utf16le'],
    ['grüße 世界', 'ucs2'],
    ['plain', 'ascii'],
    ['00ff7f80', 'hex'],
    ['AAECAwQF/+8=', 'base64'],
    ['AAECAwQF_-8', 'base64url'],
  ];
  const expected = Buffer.concat(samples.map(([text, encoding]) => Buffer.from(text, encoding)));
  const { client, peer } = await pair(stage);
  const whole = receives(peer, expected.length);
  for (const [text, encoding] of samples) client.write(text, encoding);
  assert.deepEqual(await whole, expected);
});

const load = createRequire(__filename);

function moduleOf({ implementation }: Stage): string {
  return implementation === 'afunix' ? implementation : 'node:net';
}

scenario(
  'as an ES module it has the same names, and a default export with all of them',
  async (stage) => {
    // An import by name is resolved from the package's own folder.
    const root = dirname(load.resolve('afunix/package.json'));
    const source = `
    import net, * as names from '${moduleOf(stage)}';
    import { Socket, Server, connect, createServer, isIP } from '${moduleOf(stage)}';
    const { writeSync } = await import('node:fs');
    const wanted = ${JSON.stringify(moduleMembers.filter((name) => !name.startsWith('_')))};
    const missing = wanted.filter((name) => typeof names[name] !== 'function' || names[name] !== net[name]);
    const same = [Socket === net.Socket, Server === net.Server, connect === net.connect];
    writeSync(1, JSON.stringify(['found', missing, same, typeof createServer, isIP('::1')]) + '\\n');
  `;
    const program = [process.execPath, '--input-type=module', '-e', source];
    const partner = startProgram(stage, program, { directory: root });
    const [missing, same, ...rest] = await partner.told('found');
    stage.trace('module', same, ...rest);
    assert.deepEqual(missing, []);
    assert.deepEqual(same, [true, true, true]);
  },
);

scenario('loaded by require() it is its own default as well', async (stage) => {
  const loaded = load(moduleOf(stage)) as Record<string, unknown>;
  assert.equal(loaded['createServer'], stage.net.createServer);
  const byDefault = (loaded['default'] ?? loaded) as Record<string, unknown>;
  for (const member of moduleMembers) assert.equal(byDefault[member], loaded[member], member);
});

scenario(
  'a stranger may not make a file appear: refused calls leave no trace on disk',
  async (stage) => {
    const path = stage.path();
    const server = new stage.net.Server();
    for (const options of [
      { path, port: -1 },
      { path, signal: 'x' },
    ]) {
      assert.ok(attempt(() => callWith(server, 'listen', options)) instanceof Error);
    }
    assert.equal(existsSync(path), false);
  },
);
