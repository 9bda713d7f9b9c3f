/** In which async context callbacks run, and what async_hooks and tracing channels are told: as with net. */
import assert from 'node:assert/strict';
import { AsyncLocalStorage, createHook, executionAsyncId } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import http from 'node:http';
import type { Server, Socket } from 'node:net';
import { scenario, type Stage } from './scenario';
import { closeServer, discard, happens, listen, pair, pattern, tolerate } from '../helpers/sockets';

const storage = new AsyncLocalStorage<string>();

/** Resolves when the function that it makes has been called; that is traced with the context. */
class Calls {
  readonly all: Promise<void>[] = [];
  constructor(private readonly stage: Stage) {}

  at(lane: string, label: string): () => void {
    let called = (): void => undefined;
    this.all.push(new Promise((resolve) => (called = resolve)));
    return () => {
      this.stage.trace(lane, label, storage.getStore());
      called();
    };
  }
}

scenario('callbacks of connect(), write(), end(), setTimeout() and once()', async (stage) => {
  const address = stage.address();
  await listen(stage, address, { allowHalfOpen: true }, (peer) => peer.pipe(peer));
  const calls = new Calls(stage);
  const at = (label: string): (() => void) => calls.at('client', label);
  const client = storage.run('constructor', () => new stage.net.Socket());
  discard(stage, client);
  client.resume();
  storage.run('once', () => client.once('connect', at('once connect')));
  storage.run('connect', () => client.connect(address, at('connect')));
  storage.run('early write', () => client.write('early', at('early write')));
  // On a busy machine connecting may take longer than the time-out.
  await Promise.all(calls.all);
  storage.run('setTimeout', () => client.setTimeout(20, at('setTimeout')));
  await happens(client, 'timeout');
  client.setTimeout(0);
  await new Promise<void>((resolve) => {
    const told = at('write');
    storage.run('write', () => client.write('x', () => (told(), resolve())));
  });
  storage.run('cork', () => {
    client.cork();
    client.write('x', at('first corked'));
    client.write('y', at('second corked'));
  });
  storage.run('uncork', () => client.uncork());
  // What waits behind something else is told in the context of that.
  await Promise.all(calls.all);
  client.once('finish', at('finish'));
  client.once('end', at('end'));
  client.once('close', at('close'));
  storage.run('end', () => client.end(at('end callback')));
  await Promise.all(calls.all);
  assert.ok(
    stage.lane('client').some(([label, context]) => label === 'write' && context === 'write'),
  );
});

scenario("'drain', and a callback that waits for it, behind a full queue", async (stage) => {
  const { client, peer } = await pair(stage);
  peer.pause();
  const calls = new Calls(stage);
  // Each by itself: whether what is behind has left when 'drain' comes depends on when short writes do.
  const at = (label: string): (() => void) => calls.at(label, label);
  storage.run('drain listener', () => client.once('drain', at('drain')));
  storage.run('large', () => client.write(pattern(4_000_000), at('large')));
  storage.run('behind', () => client.write('behind', at('behind')));
  peer.resume();
  await Promise.all(calls.all);
});

scenario(
  'a connection that fails, and one that is destroyed while something waits',
  async (stage) => {
    const calls = new Calls(stage);
    const nobody = stage.address();
    const failing = storage.run('connect', () => stage.net.connect(nobody));
    storage.run('write', () => failing.write('x', calls.at('failing', 'write')));
    failing.once('error', calls.at('failing', 'error'));
    failing.once('close', calls.at('failing', 'close'));
    await Promise.all(calls.all);
    const { client, peer } = await pair(stage);
    peer.pause();
    storage.run('write', () => client.write(pattern(4_000_000), calls.at('destroyed', 'write')));
    client.once('error', calls.at('destroyed', 'error'));
    client.once('close', calls.at('destroyed', 'close'));
    storage.run('destroy', () => client.destroy(new Error('on purpose')));
    await Promise.all(calls.all);
  },
);

scenario(
  'callbacks of a server: listen(), getConnections(), close(), and its events',
  async (stage) => {
    const address = stage.address();
    const calls = new Calls(stage);
    const at = (label: string): (() => void) => calls.at('server', label);
    const server = storage.run('constructor', () => stage.net.createServer());
    stage.defer(() => closeServer(server));
    server.on('connection', (peer: Socket) => {
      stage.trace('server', 'connection', storage.getStore());
      discard(stage, peer);
    });
    server.once('drop', at('drop'));
    storage.run('listen', () => server.listen(address, at('listen')));
    await happens(server, 'listening');
    const first = storage.run('first', () => stage.net.connect(address));
    discard(stage, first);
    await happens(server, 'connection');
    server.maxConnections = 1;
    const second = storage.run('second', () => stage.net.connect(address));
    tolerate(second);
    discard(stage, second);
    await happens(second, 'close');
    storage.run('getConnections', () => server.getConnections(at('getConnections')));
    server.once('close', at('close'));
    storage.run('close', () => server.close(at('close callback')));
    storage.run('destroy', () => first.destroy());
    await Promise.all(calls.all);
  },
);

scenario('a server that fails to listen', async (stage) => {
  const address = stage.address();
  await listen(stage, address);
  const calls = new Calls(stage);
  const server = storage.run('constructor', () => stage.net.createServer());
  server.once('error', calls.at('server', 'error'));
  storage.run('listen', () => server.listen(address));
  await Promise.all(calls.all);
});

scenario('the callback of onread, and what is awaited of a socket', async (stage) => {
  const address = stage.address();
  await listen(stage, address, {}, (peer) => peer.end('hello'));
  const calls = new Calls(stage);
  const onread = {
    buffer: Buffer.alloc(64),
    callback: calls.at('reader', 'onread') as () => boolean,
  };
  const reader = storage.run('connect', () => stage.net.connect({ path: address, onread }));
  discard(stage, reader);
  await Promise.all(calls.all);
  await storage.run('awaiting', async () => {
    const client = stage.net.connect(address);
    discard(stage, client);
    await once(client, 'connect');
    stage.trace('awaited', 'connect', storage.getStore());
    for await (const _ of client) stage.trace('awaited', 'chunk', storage.getStore());
    stage.trace('awaited', 'end', storage.getStore());
  });
  assert.ok(stage.lane('awaited').every(([, context]) => context === 'awaiting'));
});

scenario("enterWith() in 'connection' and in 'data' reaches no other socket", async (stage) => {
  const address = stage.address();
  const seen: (string | undefined)[] = [];
  await listen(stage, address, {}, (peer) => {
    seen.push(storage.getStore());
    storage.enterWith('entered in connection');
    peer.once('data', () => {
      seen.push(storage.getStore());
      storage.enterWith('entered in data');
      peer.end();
    });
  });
  for (let round = 0; round < 3; round += 1) {
    const client = stage.net.connect(address);
    discard(stage, client);
    client.resume();
    client.write('x');
    await happens(client, 'close');
  }
  stage.trace('server', ...seen);
});

scenario(
  'http: each request has its own context, also on a connection that is used again',
  async (stage) => {
    const address = stage.address();
    const server = http.createServer((incoming, outgoing) => {
      stage.trace('server', 'request', storage.getStore());
      void storage.run(`serving ${incoming.url}`, async () => {
        // When 'end' comes differs: net's connections are parsed in C++. Whoever awaits it does not notice.
        for await (const _ of incoming) stage.trace('server', 'body', storage.getStore());
        stage.trace('server', 'end', storage.getStore());
        outgoing.end('x');
      });
    });
    await storage.run('listen', () =>
      listen(
        stage,
        address,
        { allowHalfOpen: true },
        (peer) => void server.emit('connection', peer),
      ),
    );
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    stage.defer(() => agent.destroy());
    let made = 0;
    Reflect.set(agent, 'createConnection', () => {
      made += 1;
      const socket = stage.net.connect(address);
      discard(stage, socket);
      return socket;
    });
    for (const name of ['first', 'second', 'third']) {
      await storage.run(name, async () => {
        const request = http.request({ agent, path: `/${name}`, method: 'POST' });
        request.end('body');
        const [response] = (await once(request, 'response')) as [http.IncomingMessage];
        stage.trace('client', 'awaited', storage.getStore());
        response.on('data', () => stage.trace('client', 'data', storage.getStore()));
        await once(response, 'end');
        stage.trace('client', 'end', storage.getStore());
      });
      await stage.settled();
    }
    assert.equal(made, 1);
    assert.ok(
      stage
        .lane('client')
        .every(
          ([, context], index) => context === ['first', 'second', 'third'][Math.floor(index / 3)],
        ),
    );
  },
);

scenario('async_hooks: whatever is entered has been made, and is left again', async (stage) => {
  const made = new Set<number>();
  const inside: number[] = [];
  const wrong: string[] = [];
  const hook = createHook({
    init: (id) => void made.add(id),
    before: (id) => void inside.push(id),
    after: (id) => {
      const entered = inside.pop();
      if (entered !== undefined && entered !== id) wrong.push(`${entered} entered, ${id} left`);
    },
  });
  const ids: Record<string, number[]> = {};
  const note = (label: string) => (): void => void (ids[label] ??= []).push(executionAsyncId());
  hook.enable();
  stage.defer(() => hook.disable());
  const address = stage.address();
  const server: Server = await listen(stage, address, {}, (peer) => {
    note('connection')();
    peer.on('data', note('peer'));
    peer.on('end', note('peer'));
    peer.pipe(peer);
  });
  server.on('close', note('server close'));
  const clients = [stage.net.connect(address), stage.net.connect(address)];
  for (const [index, client] of clients.entries()) {
    discard(stage, client);
    client.on('data', note(`client ${index}`));
    client.write('x', note('write'));
    await happens(client, 'data');
    client.end();
    await happens(client, 'close');
  }
  await closeServer(server);
  hook.disable();
  assert.deepEqual(wrong, []);
  for (const [label, all] of Object.entries(ids)) {
    for (const id of all) assert.ok(made.has(id), `${label} ran in ${id}, which was never made`);
  }
  // One resource for all that one socket tells, another for another.
  const [first, second] = [new Set(ids['client 0']), new Set(ids['client 1'])];
  stage.trace(
    'resources',
    first.size,
    second.size,
    [...first].some((id) => second.has(id)),
  );
  assert.equal(first.size, 1);
});

/** The parts of net's tracing channel; a Node that has none publishes on none of them. */
const LISTENING = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'];

scenario("net's tracing channel for listen() is told the same", async (stage) => {
  for (const part of LISTENING) {
    const name = `tracing:net.server.listen:${part}`;
    const onMessage = (message: unknown): void => {
      const { server, options, error } = message as Record<string, unknown>;
      stage.trace('channel', part, server === told, options, error);
    };
    subscribe(name, onMessage);
    stage.defer(() => unsubscribe(name, onMessage));
  }
  const address = stage.address();
  let told = stage.net.createServer();
  const first = told;
  stage.defer(() => closeServer(first));
  told.listen(address);
  await happens(told, 'listening');
  told = stage.net.createServer();
  told.listen({ path: address, backlog: 3 });
  await happens(told, 'error');
});

scenario(
  'net.client.socket is told of new Socket().connect() where net tells it',
  async (stage) => {
    const address = stage.address();
    await listen(stage, address);
    let published = 0;
    const onMessage = (): void => void (published += 1);
    subscribe('net.client.socket', onMessage);
    stage.defer(() => unsubscribe('net.client.socket', onMessage));
    const client = new stage.net.Socket();
    discard(stage, client);
    client.connect(address);
    await happens(client, 'connect');
    client.destroy();
    await happens(client, 'close');
    client.connect(address);
    await happens(client, 'connect');
    stage.trace('published', published);
  },
);
