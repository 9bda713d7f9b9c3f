/** What a server does with those who connect: how many it takes, what it hands out, with which settings. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { Server, ServerOpts, Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { bothFamilies, scenario, type Stage } from './scenario';
import { attempt, callWith } from '../helpers/attempt';
import { startPartner } from '../helpers/partner';
import { closeServer, discard, happens, listen, pair, received } from '../helpers/sockets';

const socketEvents = ['connect', 'data', 'end', 'error', 'close'] as const;

function connect(stage: Stage, address: string, label?: string): Socket {
  const client = stage.net.connect(address);
  discard(stage, client);
  if (label !== undefined) stage.watch(client, label, socketEvents);
  return client;
}

/** Connects and waits until the server has it. */
async function admitted(stage: Stage, server: Server): Promise<{ client: Socket; peer: Socket }> {
  const accepted = happens(server, 'connection');
  const client = connect(stage, String(server.address()));
  const [[peer]] = await Promise.all([accepted, happens(client, 'connect')]);
  return { client, peer: peer as Socket };
}

async function leave(client: Socket, peer: Socket): Promise<void> {
  const closed = happens(peer, 'close');
  peer.resume();
  client.destroy();
  await closed;
}

function connectionsOf(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
  });
}

const prototypeOf = (object: object): object => Object.getPrototypeOf(object) as object;

scenario(
  'an accepted socket is a Socket of this module, open, and knows its server',
  async (stage) => {
    const address = stage.address();
    const server = stage.net.createServer();
    stage.defer(() => closeServer(server));
    server.listen(address);
    const seen = new Promise<Socket>((resolve) => {
      server.on('connection', function (this: unknown, ...args: unknown[]) {
        const [peer] = args as [Socket];
        discard(stage, peer);
        stage.trace('listener', this === server, args.length);
        resolve(peer);
      });
    });
    connect(stage, address);
    const peer = await seen;
    assert.ok(peer instanceof stage.net.Socket);
    assert.equal(Reflect.get(peer, 'server'), server);
    stage.trace(
      'peer',
      'class',
      peer.constructor.name,
      // What register makes of net has methods of its own in front.
      prototypeOf(stage.implementation === 'registered' ? prototypeOf(peer) : peer) ===
        stage.net.Socket.prototype,
    );
    stage.trace('peer', 'server', Reflect.get(peer, '_server') === server);
    stage.trace(
      'peer',
      'state',
      peer.readyState,
      peer.connecting,
      peer.pending,
      peer.destroyed,
      peer.allowHalfOpen,
    );
    stage.trace(
      'peer',
      'addresses',
      peer.address(),
      peer.remoteAddress,
      peer.remotePort,
      peer.remoteFamily,
    );
    stage.trace('peer', 'addresses', peer.localAddress, peer.localPort, peer.localFamily);
    stage.trace('peer', 'counters', peer.bytesRead, peer.bytesWritten, peer.timeout);
    stage.trace('peer', 'marks', peer.readableHighWaterMark, peer.writableHighWaterMark);
  },
  { over: bothFamilies },
);

scenario("the listener given to createServer() is the first of 'connection'", async (stage) => {
  const address = stage.path();
  const order: string[] = [];
  const server = stage.net.createServer((peer) => {
    discard(stage, peer);
    order.push('given to createServer');
  });
  server.on('connection', () => order.push('added'));
  server.prependListener('connection', () => order.push('prepended'));
  stage.defer(() => closeServer(server));
  server.listen(address);
  const accepted = happens(server, 'connection');
  connect(stage, address);
  await accepted;
  stage.trace('order', ...order, server.listenerCount('connection'));
  assert.deepEqual(order, ['prepended', 'given to createServer', 'added']);
});

scenario('createServer() takes its listener in every form', async (stage) => {
  const { net } = stage;
  const forms: Record<string, (listener: () => void) => Server> = {
    'createServer(listener)': (listener) => net.createServer(listener),
    'createServer({}, listener)': (listener) => net.createServer({}, listener),
    'createServer(null, listener)': (listener) =>
      callWith(net, 'createServer', null, listener) as Server,
    'createServer(undefined, listener)': (listener) => net.createServer(undefined, listener),
    'new Server(listener)': (listener) => new net.Server(listener),
    'new Server({}, listener)': (listener) => new net.Server({}, listener),
    'Server(listener)': (listener) => callWith(net, 'Server', listener) as Server,
  };
  for (const [form, create] of Object.entries(forms)) {
    const address = stage.path();
    let calls = 0;
    const server = create(() => (calls += 1));
    server.on('connection', (peer: Socket) => discard(stage, peer));
    server.listen(address);
    const accepted = happens(server, 'connection');
    connect(stage, address).destroy();
    const client = connect(stage, address);
    await Promise.all([accepted, happens(client, 'connect')]);
    client.destroy();
    stage.trace('form', form, server instanceof net.Server, calls > 0);
    assert.ok(calls > 0, form);
    await closeServer(server);
  }
});

scenario(
  'each of 200 clients at once has a connection of its own',
  async (stage) => {
    const address = stage.address();
    await listen(stage, address, {}, (peer) => {
      peer.on('data', (chunk: Buffer) => peer.end(`you are ${chunk.toString()}`));
    });
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, index) => {
        const client = connect(stage, address);
        client.write(`number ${index}`);
        return received(client);
      }),
    );
    answers.forEach((answer, index) => assert.equal(answer.toString(), `you are number ${index}`));
  },
  { over: bothFamilies },
);

scenario('connections are accepted in the order in which they were made', async (stage) => {
  const address = stage.path();
  const order: number[] = [];
  const sources: Socket[] = [];
  const server = await listen(stage, address, {}, (peer) => {
    const place = sources.push(peer) - 1;
    peer.on('data', (chunk: Buffer) => {
      order[place] = Number(chunk.toString());
    });
  });
  const clients: Socket[] = [];
  for (let index = 0; index < 50; index += 1) {
    const client = connect(stage, address);
    clients.push(client);
    client.write(String(index));
  }
  while ((await connectionsOf(server)) < 50) await happens(server, 'connection');
  const closed = sources.map((peer) => happens(peer, 'close'));
  for (const client of clients) client.end();
  await Promise.all(closed);
  assert.deepEqual(
    order,
    Array.from({ length: 50 }, (_, index) => index),
  );
});

scenario(
  "over maxConnections: 'drop', and the refused client sees its connection close",
  async (stage) => {
    const address = stage.address();
    const server = await listen(stage, address);
    server.maxConnections = 2;
    stage.watch(server, 'server', ['drop']);
    const first = await admitted(stage, server);
    await admitted(stage, server);
    const refused = connect(stage, address, 'refused');
    refused.resume();
    await Promise.all([happens(server, 'drop'), happens(refused, 'close')]);
    assert.equal(await connectionsOf(server), 2);
    assert.deepEqual(stage.lane('refused'), [['connect'], ['end'], ['close', false]]);

    await leave(first.client, first.peer);
    const third = await admitted(stage, server);
    assert.equal(await connectionsOf(server), 2);
    const refusedAgain = connect(stage, address, 'refused again');
    refusedAgain.resume();
    await happens(refusedAgain, 'close');
    assert.equal(third.peer.destroyed, false);
  },
  { over: bothFamilies },
);

scenario("the arguments of 'drop'", async (stage) => {
  const address = stage.path();
  const server = await listen(stage, address);
  server.maxConnections = 1;
  await admitted(stage, server);
  const dropped = happens(server, 'drop');
  connect(stage, address).resume();
  const args = await dropped;
  stage.trace('drop', args.length, args[0] === undefined);
});

for (const maximum of [0, undefined, null, 1000, '1', -1, NaN]) {
  scenario(
    `maxConnections of ${typeof maximum} ${String(maximum)} means what net takes it for`,
    async (stage) => {
      const address = stage.path();
      const server = await listen(stage, address);
      Reflect.set(server, 'maxConnections', maximum);
      for (let index = 0; index < 3; index += 1) {
        const outcome = Promise.race([
          happens(server, 'connection').then(() => 'connection'),
          happens(server, 'drop').then(() => 'drop'),
        ]);
        const client = connect(stage, address);
        client.on('error', () => undefined);
        stage.trace('server', await outcome);
      }
    },
  );
}

scenario(
  '0 as maxConnections is what the running Node does with it, for as long as it is set',
  async (stage) => {
    const address = stage.path();
    const server = await listen(stage, address);
    const major = Number(process.versions.node.split('.')[0]);
    server.maxConnections = 0;
    const outcome = Promise.race([
      happens(server, 'connection').then(() => 'connection'),
      happens(server, 'drop').then(() => 'drop'),
    ]);
    connect(stage, address).resume();
    const seen = await outcome;
    stage.trace('server', seen);
    assert.equal(seen, major >= 22 ? 'drop' : 'connection');
    server.maxConnections = 10;
    const { peer } = await admitted(stage, server);
    assert.equal(peer.destroyed, false);
  },
);

scenario('a lower maxConnections closes nobody', async (stage) => {
  const address = stage.path();
  const server = await listen(stage, address);
  const pairs = [
    await admitted(stage, server),
    await admitted(stage, server),
    await admitted(stage, server),
  ];
  server.maxConnections = 1;
  connect(stage, address, 'refused').resume();
  await happens(server, 'drop');
  for (const { peer } of pairs) assert.equal(peer.destroyed, false);
  assert.equal(await connectionsOf(server), 3);
});

scenario('100 refused clients leave nothing behind', async (stage) => {
  const address = stage.path();
  const server = await listen(stage, address);
  server.maxConnections = 1;
  const { client, peer } = await admitted(stage, server);
  let drops = 0;
  server.on('drop', () => (drops += 1));
  const outcomes = Array.from({ length: 100 }, () => {
    const refused = connect(stage, address);
    refused.on('error', () => undefined);
    refused.resume();
    return happens(refused, 'close');
  });
  await Promise.all(outcomes);
  stage.trace('drops', drops);
  assert.equal(drops, 100);
  assert.equal(await connectionsOf(server), 1);
  await leave(client, peer);
  assert.equal(await connectionsOf(server), 0);
});

scenario('getConnections() returns the server and calls back later', async (stage) => {
  const { server } = await pair(stage);
  const called = new Promise<void>((resolve) => {
    const returned = server.getConnections((...args: unknown[]) => {
      stage.trace('count', 'callback', args);
      resolve();
    });
    stage.trace('count', 'returned', Object.is(returned, server));
  });
  process.nextTick(() => stage.trace('count', 'tick from after'));
  await called;
  await stage.settled();
  assert.deepEqual(stage.lane('count'), [
    ['returned', true],
    ['callback', [null, 1]],
    ['tick from after'],
  ]);
});

scenario(
  'getConnections() counts those accepted and not closed, before listen() and after close() too',
  async (stage) => {
    const address = stage.path();
    const server = stage.net.createServer((peer) => discard(stage, peer));
    stage.defer(() => closeServer(server));
    stage.trace('count', 'before listen', await connectionsOf(server));
    server.listen(address);
    await happens(server, 'listening');
    stage.trace('count', 'listening', await connectionsOf(server));
    const ends = [
      await admitted(stage, server),
      await admitted(stage, server),
      await admitted(stage, server),
    ];
    stage.trace('count', 'three', await connectionsOf(server));
    const [first, second, third] = ends as [(typeof ends)[0], (typeof ends)[0], (typeof ends)[0]];
    await leave(first.client, first.peer);
    stage.trace('count', 'one left', await connectionsOf(server));
    const secondClosed = happens(second.peer, 'close');
    second.peer.destroy();
    await secondClosed;
    stage.trace('count', 'one destroyed', await connectionsOf(server));
    const closed = happens(server, 'close');
    server.close();
    stage.trace('count', 'closing', await connectionsOf(server));
    await leave(third.client, third.peer);
    await closed;
    stage.trace('count', 'closed', await connectionsOf(server));
    assert.deepEqual(
      stage.lane('count').map(([, count]) => count),
      [0, 0, 3, 2, 1, 1, 0],
    );
  },
);

scenario(
  'pauseOnConnect: not a byte is read until resume()',
  async (stage) => {
    const address = stage.address();
    const server = await listen(stage, address, { pauseOnConnect: true });
    stage.trace('server', server.listening, Reflect.get(server, 'pauseOnConnect'));
    const accepted = happens(server, 'connection');
    const client = connect(stage, address);
    const written = new Promise<void>((resolve) => client.write('waiting', () => resolve()));
    const [[peer]] = (await Promise.all([accepted, written])) as [[Socket], void];
    stage.watch(peer, 'peer', socketEvents);
    await stage.settled();
    stage.trace(
      'peer',
      'paused',
      peer.isPaused(),
      peer.bytesRead,
      peer.readableLength,
      peer.readableFlowing,
    );
    assert.equal(peer.bytesRead, 0);
    const data = happens(peer, 'data');
    peer.resume();
    await data;
    stage.trace('peer', 'resumed', peer.isPaused(), peer.bytesRead);
    const closed = happens(peer, 'close');
    client.end();
    await closed;
    assert.deepEqual(stage.lane('peer')[1], ['data', { bytes: 'waiting' }]);
  },
  { over: bothFamilies },
);

scenario('pauseOnConnect: the end of the input waits as well', async (stage) => {
  const address = stage.path();
  const server = await listen(stage, address, { pauseOnConnect: true });
  const accepted = happens(server, 'connection');
  const client = connect(stage, address);
  client.end('all of it');
  const [peer] = (await accepted) as [Socket];
  stage.watch(peer, 'peer', socketEvents);
  await stage.settled();
  assert.deepEqual(stage.lane('peer'), []);
  assert.equal(peer.bytesRead, 0);
  const all = received(peer);
  peer.resume();
  assert.equal((await all).toString(), 'all of it');
});

scenario('pauseOnConnect: the paused socket can write', async (stage) => {
  const address = stage.path();
  await listen(stage, address, { pauseOnConnect: true }, (peer) =>
    peer.end('not reading, but writing'),
  );
  const client = connect(stage, address);
  assert.equal((await received(client)).toString(), 'not reading, but writing');
});

scenario('allowHalfOpen: after the end of the input the server can still answer', async (stage) => {
  const address = stage.path();
  await listen(stage, address, { allowHalfOpen: true }, (peer) => {
    stage.watch(peer, 'peer', ['data', 'end', 'close']);
    peer.on('end', () => {
      stage.trace('peer', 'at its end', peer.allowHalfOpen, peer.writable, peer.readyState);
      setImmediate(() => peer.end('an answer after the end'));
    });
  });
  const client = connect(stage, address);
  client.end('a question');
  assert.equal((await received(client)).toString(), 'an answer after the end');
  await stage.settled();
});

scenario('without allowHalfOpen the server ends when the client does', async (stage) => {
  const address = stage.path();
  const server = await listen(stage, address, {}, (peer) => {
    stage.watch(peer, 'peer', ['data', 'end', 'finish', 'close']);
  });
  stage.trace('server', Reflect.get(server, 'allowHalfOpen'));
  const client = connect(stage, address, 'client');
  client.resume();
  client.end('a question');
  await happens(client, 'close');
  await stage.settled();
});

scenario('whoever is accepted after a property of the server was set has it', async (stage) => {
  const server = await listen(stage, stage.path());
  const changes: [name: string, value: unknown][] = [
    ['nothing', undefined],
    ['allowHalfOpen', true],
    ['highWaterMark', 1000],
    ['pauseOnConnect', true],
    ['allowHalfOpen', false],
    ['pauseOnConnect', false],
  ];
  for (const [name, value] of changes) {
    Reflect.set(server, name, value);
    const { client, peer } = await admitted(stage, server);
    stage.trace('peer', name, peer.allowHalfOpen, peer.isPaused(), peer.readableFlowing);
    stage.trace('peer', 'marks', peer.readableHighWaterMark, peer.writableHighWaterMark);
    const closed = happens(peer, 'close');
    peer.destroy();
    client.destroy();
    await closed;
  }
});

for (const highWaterMark of [0, 1, 1000, 65_536, 1_000_000]) {
  scenario(
    `highWaterMark ${highWaterMark} is that of the accepted sockets, both ways`,
    async (stage) => {
      const address = stage.path();
      const server = await listen(stage, address, { highWaterMark });
      const { peer } = await admitted(stage, server);
      stage.trace(
        'marks',
        Reflect.get(server, 'highWaterMark'),
        peer.readableHighWaterMark,
        peer.writableHighWaterMark,
      );
      assert.equal(peer.readableHighWaterMark, highWaterMark);
      assert.equal(peer.writableHighWaterMark, highWaterMark);
    },
  );
}

scenario(
  'a highWaterMark that is no number is refused, a negative one is the usual',
  async (stage) => {
    for (const highWaterMark of ['x', null, {}, true, '1024']) {
      stage.trace(
        'refused',
        attempt(() => callWith(stage.net, 'createServer', { highWaterMark })),
      );
    }
    for (const highWaterMark of [-1, -1000, undefined]) {
      const server = stage.net.createServer({ highWaterMark });
      stage.trace('taken', Reflect.get(server, 'highWaterMark'));
    }
  },
);

scenario('the options of createServer() are kept as properties', async (stage) => {
  const kept = [
    'allowHalfOpen',
    'pauseOnConnect',
    'noDelay',
    'keepAlive',
    'keepAliveInitialDelay',
    'highWaterMark',
  ];
  const cases: Record<string, unknown>[] = [
    {},
    {
      allowHalfOpen: true,
      pauseOnConnect: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 3500,
    },
    { allowHalfOpen: 1, pauseOnConnect: 1, noDelay: 1, keepAlive: 1, keepAliveInitialDelay: -5 },
    {
      allowHalfOpen: null,
      pauseOnConnect: null,
      noDelay: null,
      keepAlive: null,
      keepAliveInitialDelay: 999,
    },
    { keepAliveInitialDelay: undefined, highWaterMark: 5 },
  ];
  for (const options of cases) {
    const server = stage.net.createServer(options as ServerOpts);
    stage.trace('kept', ...kept.map((name) => Reflect.get(server, name) as unknown));
  }
  stage.trace(
    'refused',
    attempt(() => callWith(stage.net, 'createServer', { keepAliveInitialDelay: 'x' })),
  );
  const frozen = Object.freeze({ allowHalfOpen: true, keepAliveInitialDelay: 1000 });
  stage.trace(
    'frozen',
    attempt(() => stage.net.createServer(frozen)),
  );
});

scenario('noDelay and keepAlive do no harm to connections over a path', async (stage) => {
  const address = stage.path();
  await listen(
    stage,
    address,
    { noDelay: true, keepAlive: true, keepAliveInitialDelay: 1000 },
    (peer) => {
      assert.equal(peer.setNoDelay(true), peer);
      assert.equal(peer.setKeepAlive(true, 1000), peer);
      peer.end('hello');
    },
  );
  const client = connect(stage, address);
  assert.equal((await received(client)).toString(), 'hello');
});

scenario('properties of a server may be changed before it accepts', async (stage) => {
  const address = stage.path();
  const server = await listen(stage, address);
  Object.assign(server, { allowHalfOpen: true, pauseOnConnect: true, highWaterMark: 123 });
  const { peer } = await admitted(stage, server);
  stage.trace(
    'peer',
    peer.allowHalfOpen,
    peer.isPaused(),
    peer.readableHighWaterMark,
    peer.writableHighWaterMark,
  );
});

scenario(
  'captureRejections: a connection handler that rejects destroys its socket with the error',
  async (stage) => {
    const usual = EventEmitter.captureRejections;
    EventEmitter.captureRejections = true;
    stage.defer(() => (EventEmitter.captureRejections = usual));
    const address = stage.path();
    const server = stage.net.createServer(async (peer) => {
      discard(stage, peer);
      stage.watch(peer, 'peer', ['error', 'close']);
      await Promise.resolve();
      throw new Error('rejected on purpose');
    });
    EventEmitter.captureRejections = usual;
    stage.watch(server, 'server', ['error', 'close']);
    stage.defer(() => closeServer(server));
    server.listen(address);
    await happens(server, 'listening');
    const client = connect(stage, address, 'client');
    client.resume();
    await happens(client, 'close');
    await stage.settled();
    assert.equal(stage.lane('peer')[0]?.[0], 'error');
    assert.deepEqual(stage.lane('peer').at(-1), ['close', true]);
    assert.deepEqual(stage.lane('server'), []);
  },
);

scenario(
  'captureRejections: what other handlers reject with is an error of the server',
  async (stage) => {
    const usual = EventEmitter.captureRejections;
    EventEmitter.captureRejections = true;
    stage.defer(() => (EventEmitter.captureRejections = usual));
    const server = stage.net.createServer();
    EventEmitter.captureRejections = usual;
    stage.watch(server, 'server', ['error', 'close']);
    stage.defer(() => closeServer(server));
    server.on('listening', async () => {
      await Promise.resolve();
      throw new Error('rejected on purpose');
    });
    server.listen(stage.path());
    await happens(server, 'error');
    assert.equal(server.listening, true);
  },
);

scenario("a stranger's 'connection' event reaches the listener", async (stage) => {
  const stream = new PassThrough();
  const server = stage.net.createServer((peer: unknown) => stage.trace('server', peer === stream));
  server.emit('connection', stream);
  assert.deepEqual(stage.lane('server'), [[true]]);
});

scenario(
  'a server that nobody listens to accepts, and its connections can be counted',
  async (stage) => {
    const address = stage.path();
    const server = stage.net.createServer();
    stage.defer(() => closeServer(server));
    server.listen(address);
    await happens(server, 'listening');
    const clients = [connect(stage, address), connect(stage, address)];
    await Promise.all(clients.map((client) => happens(client, 'connect')));
    while ((await connectionsOf(server)) < 2) await new Promise(setImmediate);
    const closed = happens(server, 'close');
    server.close();
    for (const client of clients) client.end();
    await closed;
  },
);

scenario(
  "an exception in a 'connection' listener is uncaught once, and the server goes on accepting",
  async (stage) => {
    const partner = startPartner(stage, { path: stage.path() }, ({ net, parameters, tell }) => {
      let count = 0;
      process.on('uncaughtException', (error) => tell('uncaught', error.message));
      const server = net.createServer((peer) => {
        count += 1;
        peer.end(`number ${count}`);
        peer.resume();
        if (count === 3) server.close();
        else throw new Error(`thrown on purpose for ${count}`);
      });
      server.on('close', () => tell('server', 'close'));
      const next = (): void => {
        const client = net.connect(parameters.path);
        client.on('data', (chunk) => tell('client', chunk.toString()));
        client.on('close', () => {
          if (count < 3) next();
        });
      };
      server.listen(parameters.path, next);
    });
    for (const [lane, ...rest] of await partner.everything()) stage.trace(lane, ...rest);
    assert.equal(stage.lane('uncaught').length, 2);
    assert.deepEqual(stage.lane('client'), [['number 1'], ['number 2'], ['number 3']]);
  },
);

scenario('sockets destroyed inside the connection handler', async (stage) => {
  const address = stage.path();
  const server = await listen(stage, address, {}, (peer) => {
    stage.watch(peer, 'peer', ['error', 'close']);
    peer.destroy();
    stage.trace('peer', 'destroyed', peer.destroyed, peer.readyState);
  });
  for (let round = 0; round < 20; round += 1) {
    const client = connect(stage, address);
    client.resume();
    await happens(client, 'close');
  }
  await stage.settled();
  assert.equal(await connectionsOf(server), 0);
});

scenario('a client that is gone before it was accepted', async (stage) => {
  const address = stage.path();
  const server = await listen(stage, address, {}, (peer) => {
    stage.watch(peer, 'peer', socketEvents);
    peer.resume();
  });
  const accepted = happens(server, 'connection');
  const partner = startPartner(
    stage,
    { address },
    ({ net, parameters }) => {
      const client = net.connect(parameters.address);
      client.write('last words', () => process.exit());
    },
    { specifier: 'node:net' },
  );
  const [[peer]] = (await Promise.all([accepted, partner.ended])) as [[Socket], unknown];
  if (!peer.closed) await happens(peer, 'close');
  assert.deepEqual(stage.lane('peer'), [
    ['data', { bytes: 'last words' }],
    ['end'],
    ['close', false],
  ]);
});
