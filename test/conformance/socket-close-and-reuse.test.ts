/** 'close', and the second life of a socket after it. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { bothFamilies, scenario, type Stage } from './scenario';
import { discard, happens, listen, received, tolerate } from '../helpers/sockets';

const lifeEvents = ['connect', 'ready', 'end', 'finish', 'error', 'close'] as const;

scenario(
  "the flag of 'close' is false after a clean end and true after an error",
  async (stage) => {
    const address = stage.address();
    await listen(stage, address, {}, (peer) => peer.end());
    const clean = stage.net.connect(address);
    discard(stage, clean);
    clean.resume();
    const [withoutError] = await happens(clean, 'close');
    const failing = stage.net.connect(address);
    discard(stage, failing);
    failing.on('error', () => undefined);
    await happens(failing, 'connect');
    const closed = happens(failing, 'close');
    failing.destroy(new Error('on purpose'));
    const [withError] = await closed;
    stage.trace('flags', withoutError, withError);
    assert.deepEqual([withoutError, withError], [false, true]);
  },
  { over: bothFamilies },
);

scenario("in 'close' the descriptor is really closed", async (stage) => {
  const address = stage.address();
  const descriptors = (): number => readdirSync('/proc/self/fd').length;
  const client = new stage.net.Socket();
  discard(stage, client);
  const server = await listen(stage, address);
  const before = descriptors();
  const accepted = happens(server, 'connection');
  client.connect(address);
  const [peer] = (await accepted) as [Socket];
  if (client.connecting) await happens(client, 'connect');
  assert.equal(descriptors(), before + 2);
  peer.pause();
  client.destroy();
  await happens(client, 'close');
  assert.equal(descriptors(), before + 1, "one left in 'close' of the first end");
});

scenario("'close' comes once, and nothing after it", async (stage) => {
  const address = stage.address();
  await listen(stage, address, {}, (peer) => peer.end('bye'));
  const client = stage.net.connect(address);
  discard(stage, client);
  stage.watch(client, 'client', lifeEvents);
  client.resume();
  await happens(client, 'close');
  client.destroy();
  client.end();
  client.resume();
  await stage.settled();
  assert.deepEqual(stage.lane('client'), [
    ['connect'],
    ['ready'],
    ['end'],
    ['finish'],
    ['close', false],
  ]);
});

async function reconnectInClose(stage: Stage, address: string, rounds: number): Promise<void> {
  const client = new stage.net.Socket();
  discard(stage, client);
  const seen: string[] = [];
  client.on('data', (chunk: Buffer) => seen.push(chunk.toString()));
  await new Promise<void>((resolve, reject) => {
    let round = 0;
    client.on('error', reject);
    client.on('connect', () => client.write(`round ${round}`));
    client.on('close', (hadError) => {
      stage.trace('client', 'close', hadError, client.bytesWritten, client.bytesRead);
      round += 1;
      if (round === rounds) return resolve();
      client.connect(address);
    });
    client.connect(address);
  });
  assert.deepEqual(
    seen,
    Array.from({ length: rounds }, (_, round) => `round ${round}`),
  );
}

scenario(
  "a socket connects again inside 'close', fifty times",
  async (stage) => {
    const address = stage.address();
    await listen(stage, address, {}, (peer) =>
      peer.once('data', (chunk: Buffer) => peer.end(chunk)),
    );
    await reconnectInClose(stage, address, 50);
    const lines = stage.lane('client');
    assert.equal(lines.length, 50);
    assert.deepEqual(lines[0], ['close', false, 7, 7]);
    assert.deepEqual(
      lines[49],
      ['close', false, 8, 8],
      'the counters start again with every connection',
    );
  },
  { over: bothFamilies },
);

scenario('a socket that was refused connects later', async (stage) => {
  const address = stage.address();
  const client = new stage.net.Socket();
  discard(stage, client);
  stage.watch(client, 'client', lifeEvents);
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const closed = happens(client, 'close');
    client.connect(address);
    await closed;
    stage.trace('client', client.destroyed, client.connecting, client.readyState);
  }
  await listen(stage, address, {}, (peer) => peer.end('welcome'));
  const closed = happens(client, 'close');
  client.connect(address);
  assert.equal((await received(client)).toString(), 'welcome');
  await closed;
  assert.equal(client.errored, null);
});

scenario("a socket that was refused connects again inside 'close'", async (stage) => {
  const address = stage.address();
  let attempts = 0;
  const client = stage.net.connect(address);
  discard(stage, client);
  client.on('error', (error) => stage.trace('client', 'error', error));
  const welcomed = received(client);
  client.on('close', (hadError) => {
    stage.trace('client', 'close', hadError);
    attempts += 1;
    if (attempts < 5) client.connect(address);
    if (attempts === 5)
      void listen(stage, address, {}, (peer) => peer.end('hi')).then(() => client.connect(address));
  });
  assert.equal((await welcomed).toString(), 'hi');
  assert.equal(attempts, 5);
});

scenario(
  'a socket can write again after a connection in which its peer ended first',
  async (stage) => {
    const address = stage.address();
    const lives: Promise<Buffer>[] = [];
    await listen(stage, address, { allowHalfOpen: true }, (peer) => {
      lives.push(received(peer));
      if (lives.length === 1) peer.end();
    });
    const client = stage.net.connect(address);
    discard(stage, client);
    client.resume();
    await happens(client, 'close');
    stage.trace(
      'client',
      'write is own property',
      Object.hasOwn(client, 'write') && client.writable,
    );

    const closed = happens(client, 'close');
    client.connect(address, () =>
      stage.trace('client', 'writable', client.writable, client.write('second life')),
    );
    await happens(client, 'connect');
    client.end();
    await Promise.all(lives);
    assert.equal((await lives[1])?.toString(), 'second life');
    client.destroy();
    await closed;
  },
);

scenario('listeners and the encoding stay through a second life', async (stage) => {
  const address = stage.address();
  await listen(stage, address, {}, (peer) => peer.end('\u00e9t\u00e9'));
  const client = new stage.net.Socket();
  discard(stage, client);
  client.setEncoding('utf8');
  stage.watch(client, 'client', ['connect', 'ready', 'data', 'end', 'finish', 'close', 'error']);
  for (let life = 0; life < 2; life += 1) {
    const closed = happens(client, 'close');
    client.connect(address);
    await closed;
    stage.trace('client', 'encoding', client.readableEncoding);
  }
  const texts = stage.lane('client').filter(([event]) => event === 'data');
  assert.deepEqual(texts, [
    ['data', '\u00e9t\u00e9'],
    ['data', '\u00e9t\u00e9'],
  ]);
});

scenario('state begins again with the second connect()', async (stage) => {
  const address = stage.address();
  await listen(stage, address, {}, (peer) => peer.end('x'));
  const client = new stage.net.Socket();
  discard(stage, client);
  client.resume();
  const state = (when: string): void =>
    stage.trace('client', when, {
      destroyed: client.destroyed,
      connecting: client.connecting,
      pending: client.pending,
      readyState: client.readyState,
      readable: client.readable,
      writable: client.writable,
      readableEnded: client.readableEnded,
      writableEnded: client.writableEnded,
      writableFinished: client.writableFinished,
      closed: client.closed,
      errored: client.errored,
    });
  for (let life = 0; life < 2; life += 1) {
    const closed = happens(client, 'close');
    client.connect(address);
    state('after connect()');
    await happens(client, 'connect');
    await closed;
    state('after close');
  }
  const lines = stage.lane('client');
  assert.deepEqual(lines[2], lines[0]);
  assert.deepEqual(lines[3], lines[1]);
});

scenario('a paused socket stays paused in its next life', async (stage) => {
  const address = stage.address();
  await listen(stage, address, {}, (peer) => {
    tolerate(peer);
    peer.end('data');
  });
  const client = new stage.net.Socket();
  discard(stage, client);
  const closed = happens(client, 'close');
  client.connect(address);
  client.pause();
  await happens(client, 'connect');
  client.destroy();
  await closed;
  stage.trace('client', 'paused', client.isPaused());
  const again = happens(client, 'connect');
  client.connect(address);
  await again;
  stage.trace('client', 'paused', client.isPaused());
  const text = received(client);
  client.resume();
  assert.equal((await text).toString(), 'data');
});

scenario(
  '150 clients reconnect again and again, and each gets its own echo',
  async (stage) => {
    const clients = 150;
    const rounds = 4;
    const address = stage.address();
    const server = await listen(stage, address, {}, (peer) =>
      peer.once('data', (chunk: Buffer) => peer.end(chunk)),
    );
    let connections = 0;
    server.on('connection', () => (connections += 1));
    const echoes = await Promise.all(
      Array.from({ length: clients }, async (_, number) => {
        const client = new stage.net.Socket();
        discard(stage, client);
        const seen: string[] = [];
        client.on('data', (chunk: Buffer) => seen.push(chunk.toString()));
        await new Promise<void>((resolve, reject) => {
          let round = 0;
          client.on('error', reject);
          client.on('connect', () => client.write(`${number}:${round}`));
          client.on('close', () => {
            round += 1;
            if (round === rounds) resolve();
            else client.connect(address);
          });
          client.connect(address);
        });
        return seen.join(' ');
      }),
    );
    assert.equal(connections, clients * rounds);
    echoes.forEach((echo, number) => {
      assert.equal(
        echo,
        Array.from({ length: rounds }, (_, round) => `${number}:${round}`).join(' '),
      );
    });
  },
  { over: bothFamilies },
);

scenario('a socket destroyed while connecting connects again', async (stage) => {
  const address = stage.address();
  await listen(stage, address, {}, (peer) => {
    tolerate(peer);
    peer.end('fine');
  });
  const client = stage.net.connect(address);
  discard(stage, client);
  stage.watch(client, 'client', lifeEvents);
  const closed = happens(client, 'close');
  client.destroy();
  await closed;
  client.connect(address);
  assert.equal((await received(client)).toString(), 'fine');
});

scenario('a socket destroyed before it ever connected connects afterwards', async (stage) => {
  const address = stage.address();
  await listen(stage, address, {}, (peer) => peer.end('fine'));
  const client = new stage.net.Socket();
  discard(stage, client);
  const closed = happens(client, 'close');
  client.destroy();
  await closed;
  stage.watch(client, 'client', lifeEvents);
  client.connect(address);
  assert.equal((await received(client)).toString(), 'fine');
});
