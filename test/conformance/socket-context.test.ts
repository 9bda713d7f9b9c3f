/** What surrounds a callback: async context, diagnostics channels, exceptions that nobody caught. */
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { scenario, type Stage } from './scenario';
import { inChild } from '../helpers/child';
import { discard, happens, listen, pair, pattern } from '../helpers/sockets';

/** Traces, for each event, the context in which its listener was called. */
function traceContext(
  stage: Stage,
  storage: AsyncLocalStorage<string>,
  emitter: EventEmitter,
  label: string,
  events: readonly string[],
): void {
  for (const event of events)
    emitter.on(event, () => stage.trace(label, event, storage.getStore()));
}

const contextOf = (stage: Stage, label: string, event: string): unknown[] => [
  ...new Set(
    stage
      .lane(label)
      .filter(([what]) => what === event)
      .map(([, context]) => context),
  ),
];

scenario("'data' and the other events run in the context of connect()", async (stage) => {
  const storage = new AsyncLocalStorage<string>();
  const address = stage.address();
  await listen(stage, address, {}, (peer) => peer.on('data', (chunk: Buffer) => peer.end(chunk)));
  const client = storage.run('connect', () => stage.net.connect(address));
  discard(stage, client);
  traceContext(stage, storage, client, 'client', ['connect', 'ready', 'data', 'end', 'close']);
  const closed = happens(client, 'close');
  storage.run('write', () => client.write('echo'));
  await closed;
  for (const event of ['connect', 'ready', 'data', 'end', 'close']) {
    assert.deepEqual(contextOf(stage, 'client', event), ['connect'], event);
  }
});

scenario('the context is that of connect(), not that of the constructor', async (stage) => {
  const storage = new AsyncLocalStorage<string>();
  const address = stage.address();
  await listen(stage, address, {}, (peer) => peer.end('hello'));
  const client = storage.run('constructor', () => new stage.net.Socket());
  discard(stage, client);
  traceContext(stage, storage, client, 'client', ['connect', 'ready', 'data', 'end', 'close']);
  const closed = happens(client, 'close');
  storage.run('connect', () => client.connect(address));
  await closed;
  assert.deepEqual(contextOf(stage, 'client', 'data'), ['connect']);
});

scenario(
  'a listener added in another context is still called in that of connect()',
  async (stage) => {
    const storage = new AsyncLocalStorage<string>();
    const address = stage.address();
    await listen(stage, address, {}, (peer) => peer.end('hello'));
    const client = storage.run('connect', () => stage.net.connect(address));
    discard(stage, client);
    const closed = happens(client, 'close');
    storage.run('listener', () => traceContext(stage, storage, client, 'client', ['data']));
    await closed;
    assert.deepEqual(contextOf(stage, 'client', 'data'), ['connect']);
  },
);

scenario('a hundred sockets in a hundred contexts do not mix them up', async (stage) => {
  const storage = new AsyncLocalStorage<number>();
  const address = stage.address();
  await listen(stage, address, {}, (peer) => peer.pipe(peer));
  const mistakes: string[] = [];
  await Promise.all(
    Array.from({ length: 100 }, (_, number) =>
      storage.run(number, async () => {
        const client = stage.net.connect(address);
        discard(stage, client);
        let bytes = 0;
        client.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (storage.getStore() !== number)
            mistakes.push(`${number} was called in ${storage.getStore()}`);
          if (bytes < 20) client.write('x');
          else client.end();
        });
        client.write('x');
        await happens(client, 'close');
        if (storage.getStore() !== number)
          mistakes.push(`${number} went on in ${storage.getStore()}`);
      }),
    ),
  );
  assert.deepEqual(mistakes, []);
});

scenario('write callbacks run in the context of write()', async (stage) => {
  const storage = new AsyncLocalStorage<string>();
  const { client, peer } = await pair(stage);
  peer.resume();
  const contexts: (string | undefined)[] = [];
  const write = (context: string, chunk: string | Buffer): Promise<void> =>
    new Promise((resolve) => {
      storage.run(context, () => {
        client.write(chunk, () => {
          contexts.push(storage.getStore());
          resolve();
        });
      });
    });
  await write('small', 'x');
  await write('large', pattern(3_000_000));
  stage.trace('client', ...contexts);
  assert.deepEqual(contexts, ['small', 'large']);
});

scenario(
  'what a promise awaits on a socket keeps the context of the awaiting function',
  async (stage) => {
    const storage = new AsyncLocalStorage<string>();
    const { client, peer } = await pair(stage);
    const contexts = await storage.run('reader', async () => {
      const seen: (string | undefined)[] = [];
      peer.end('for the reader');
      for await (const chunk of client) seen.push(`${storage.getStore()}: ${String(chunk)}`);
      seen.push(storage.getStore());
      return seen;
    });
    assert.deepEqual(contexts, ['reader: for the reader', 'reader']);
  },
);

scenario("'timeout' runs in the context of setTimeout()", async (stage) => {
  const storage = new AsyncLocalStorage<string>();
  const { client } = await pair(stage);
  traceContext(stage, storage, client, 'client', ['timeout']);
  const timedOut = happens(client, 'timeout');
  storage.run('setTimeout', () => client.setTimeout(10));
  await timedOut;
  assert.deepEqual(contextOf(stage, 'client', 'timeout'), ['setTimeout']);
});

scenario("'timeout' runs in the context of the last setTimeout()", async (stage) => {
  const storage = new AsyncLocalStorage<string>();
  const { client } = await pair(stage);
  traceContext(stage, storage, client, 'client', ['timeout']);
  const timedOut = happens(client, 'timeout');
  storage.run('first', () => client.setTimeout(20));
  storage.run('none', () => client.setTimeout(0));
  storage.run('last', () => client.setTimeout(60));
  await timedOut;
  assert.deepEqual(contextOf(stage, 'client', 'timeout'), ['last']);
});

scenario("'timeout' after another runs in the context of what started it", async (stage) => {
  const storage = new AsyncLocalStorage<string>();
  const { client, peer } = await pair(stage);
  peer.resume();
  const first = happens(client, 'timeout');
  storage.run('setTimeout', () => client.setTimeout(10));
  await first;
  traceContext(stage, storage, client, 'client', ['timeout']);
  const second = happens(client, 'timeout');
  storage.run('write', () => client.write('x'));
  await second;
  assert.deepEqual(contextOf(stage, 'client', 'timeout'), ['write']);
});

scenario(
  "'connection' runs in the context of listen(), the events of accepted sockets in none",
  async (stage) => {
    const storage = new AsyncLocalStorage<string>();
    const address = stage.address();
    const server = stage.net.createServer();
    stage.defer(() => new Promise<void>((resolve) => server.close(() => resolve())));
    const closed = new Promise<void>((resolve) => {
      server.on('connection', (peer) => {
        discard(stage, peer);
        stage.trace('server', 'connection', storage.getStore());
        traceContext(stage, storage, peer, 'peer', ['data', 'end', 'close']);
        peer.on('close', () => resolve());
      });
    });
    const listening = happens(server, 'listening');
    storage.run('listen', () => server.listen(address));
    await listening;
    const client = storage.run('client', () => stage.net.connect(address));
    discard(stage, client);
    client.end('hello');
    await closed;
    assert.deepEqual(contextOf(stage, 'server', 'connection'), ['listen']);
    assert.deepEqual(
      contextOf(stage, 'peer', 'data'),
      [undefined],
      'whoever listened is not who is served',
    );
  },
);

scenario('net.connect() publishes the socket on net.client.socket', async (stage) => {
  const address = stage.address();
  await listen(stage, address);
  const published: unknown[] = [];
  const onMessage = (message: unknown): void =>
    void published.push(Reflect.get(Object(message), 'socket'));
  subscribe('net.client.socket', onMessage);
  stage.defer(() => unsubscribe('net.client.socket', onMessage));
  const client = stage.net.connect(address);
  discard(stage, client);
  assert.deepEqual(published.length, 1, 'while connect() runs');
  assert.equal(published[0], client);
  await happens(client, 'connect');
  assert.equal(published.length, 1);
});

scenario('every accepted socket is published on net.server.socket', async (stage) => {
  const address = stage.address();
  const published: unknown[] = [];
  const onMessage = (message: unknown): void =>
    void published.push(Reflect.get(Object(message), 'socket'));
  subscribe('net.server.socket', onMessage);
  stage.defer(() => unsubscribe('net.server.socket', onMessage));
  const accepted: Socket[] = [];
  const server = await listen(stage, address, {}, (peer) => void accepted.push(peer));
  for (let round = 0; round < 3; round += 1) {
    const connection = happens(server, 'connection');
    discard(stage, stage.net.connect(address));
    await connection;
  }
  await stage.settled();
  stage.trace('channel', published.length);
  assert.deepEqual(published.length, 3);
  published.forEach((socket, index) => assert.equal(socket, accepted[index]));
});

scenario(
  'an exception in a listener reaches uncaughtException once, and leaves the module usable',
  async (stage) => {
    const outcome = await inChild(stage, stage.path(), ({ net, address, say }) => {
      process.on('uncaughtException', (error) => say(`uncaught ${error.message}`));
      const places = [
        'connect',
        'ready',
        'data',
        'end',
        'finish',
        'close',
        'error',
        'drain',
        'timeout',
        'write callback',
      ];
      let refused = false;
      const server = net.createServer({ allowHalfOpen: true }, (peer) => {
        peer.on('error', () => undefined);
        peer.pipe(peer);
        if (refused) return;
        refused = true;
        throw new Error('connection');
      });
      const next = (): void => {
        const place = places.shift();
        if (place === undefined) return finish();
        const client = net.connect(address);
        client.on('error', () => undefined);
        const fail = (): void => {
          setImmediate(() => {
            client.destroy();
            next();
          });
          throw new Error(place);
        };
        if (place === 'write callback') client.write('x', fail);
        else client.once(place, fail);
        if (place === 'data') client.write('echo');
        if (place === 'drain') client.resume().write(Buffer.alloc(1_000_000));
        if (place === 'timeout') client.setTimeout(10);
        if (place === 'finish' || place === 'end') client.resume().end();
        if (place === 'close') client.destroy();
        if (place === 'error') client.destroy(new Error('on purpose'));
      };
      const finish = (): void => {
        const client = net.connect(address, () => client.write('still working'));
        client.on('data', (chunk: Buffer) => {
          say(chunk.toString());
          client.destroy();
          server.close(() => say('server closed'));
        });
      };
      server.listen(address, next);
    });
    const lines = outcome.stdout.trim().split('\n');
    stage.trace('child', 'code', outcome.code, 'stderr', outcome.stderr);
    stage.trace('child', [...lines].sort());
    assert.equal(outcome.code, 0);
    assert.deepEqual(
      lines.filter((line) => !line.includes('connection')),
      [
        'uncaught connect',
        'uncaught ready',
        'uncaught data',
        'uncaught end',
        'uncaught finish',
        'uncaught close',
        'uncaught error',
        'uncaught drain',
        'uncaught timeout',
        'uncaught write callback',
        'still working',
        'server closed',
      ],
    );
    assert.equal(lines.filter((line) => line === 'uncaught connection').length, 1);
  },
);

scenario(
  "an exception in one socket's listener does not keep data from the others",
  async (stage) => {
    const outcome = await inChild(stage, stage.path(), ({ net, address, say }) => {
      const clients = 20;
      let uncaught = 0;
      let received = 0;
      process.on('uncaughtException', () => {
        uncaught += 1;
        finishWhenDone();
      });
      const peers: Socket[] = [];
      const finishWhenDone = (): void => {
        if (received + uncaught !== clients) return;
        say(`${received} received, ${uncaught} uncaught`);
        process.exit(0);
      };
      const server = net.createServer((peer) => {
        peers.push(peer);
        if (peers.length === clients) for (const each of peers) each.write('x');
      });
      server.listen(address, () => {
        for (let number = 0; number < clients; number += 1) {
          net.connect(address).on('data', () => {
            if (number % 2 === 0) throw new Error(`${number}`);
            received += 1;
            finishWhenDone();
          });
        }
      });
    });
    stage.trace('child', outcome);
    assert.deepEqual(outcome, {
      code: 0,
      signal: null,
      stdout: '10 received, 10 uncaught\n',
      stderr: '',
    });
  },
);

scenario('an exception without a handler ends the process with code 1', async (stage) => {
  const outcome = await inChild(stage, stage.path(), ({ net, address }) => {
    net
      .createServer((peer) => peer.write('x'))
      .listen(address, () => {
        net.connect(address).on('data', () => {
          throw new Error('fatal');
        });
      });
  });
  stage.trace('child', outcome.code, outcome.signal, outcome.stderr.includes('Error: fatal'));
  assert.equal(outcome.code, 1);
  assert.ok(outcome.stderr.includes('Error: fatal'));
});

scenario(
  "microtasks and next ticks run between the listeners of two sockets' events",
  async (stage) => {
    const { client, peer } = await pair(stage);
    const order: string[] = [];
    const done = new Promise<void>((resolve) => {
      client.on('data', () => {
        order.push('data');
        process.nextTick(() => order.push('tick'));
        queueMicrotask(() => order.push('microtask'));
        setImmediate(() => resolve());
      });
    });
    peer.write('x');
    await done;
    stage.trace('client', ...order);
    assert.deepEqual(order, ['data', 'tick', 'microtask']);
  },
);
