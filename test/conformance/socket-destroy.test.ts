/** destroy(), destroySoon(), resetAndDestroy(), and peers that go without saying so. */
import assert from 'node:assert/strict';
import nodeNet, { type Socket } from 'node:net';
import { bothFamilies, scenario, type Stage } from './scenario';
import { type ChildBody, inChild, startChild } from '../helpers/child';
import {
  discard,
  happens,
  listen,
  pair,
  pattern,
  received,
  receives,
  tolerate,
} from '../helpers/sockets';

const lifeEvents = ['end', 'finish', 'error', 'close'] as const;

scenario(
  "destroy() gives 'close' with false, and nothing else",
  async (stage) => {
    const { client } = await pair(stage);
    stage.watch(client, 'client', lifeEvents);
    const closed = happens(client, 'close');
    assert.equal(client.destroy(), client);
    stage.trace('client', 'destroyed', client.destroyed);
    await closed;
    await stage.settled();
    assert.deepEqual(stage.lane('client'), [
      ['destroyed', true],
      ['close', false],
    ]);
  },
  { over: bothFamilies },
);

scenario("destroy(error) gives 'error' and then 'close' with true", async (stage) => {
  const { client } = await pair(stage);
  stage.watch(client, 'client', lifeEvents);
  const closed = happens(client, 'close');
  const cause = new Error('on purpose');
  client.destroy(cause);
  await closed;
  assert.equal(client.errored, cause);
  assert.deepEqual(stage.lane('client'), [
    ['error', { name: 'Error', message: 'on purpose' }],
    ['close', true],
  ]);
});

scenario("'close' is never synchronous", async (stage) => {
  const { client } = await pair(stage);
  const fresh = new stage.net.Socket();
  discard(stage, fresh);
  for (const [socket, label] of [
    [client, 'connected'],
    [fresh, 'fresh'],
  ] as const) {
    stage.watch(socket, label, ['close']);
    const closed = happens(socket, 'close');
    socket.destroy();
    stage.trace(label, 'destroy returned');
    await closed;
    assert.deepEqual(
      stage.lane(label).map(([event]) => event),
      ['destroy returned', 'close'],
    );
  }
});

scenario('a second destroy() does nothing, and its error is not reported', async (stage) => {
  const { client } = await pair(stage);
  stage.watch(client, 'client', lifeEvents);
  const closed = happens(client, 'close');
  client.destroy();
  client.destroy(new Error('too late'));
  await closed;
  client.destroy(new Error('much too late'));
  await stage.settled();
  assert.deepEqual(stage.lane('client'), [['close', false]]);
});

scenario('destroying one end ends the other', async (stage) => {
  const { client, peer } = await pair(stage);
  stage.watch(peer, 'peer', lifeEvents);
  const closed = happens(peer, 'close');
  client.destroy();
  await closed;
  assert.deepEqual(stage.lane('peer'), [['end'], ['finish'], ['close', false]]);
});

scenario('the peer still gets everything that was accepted before destroySoon()', async (stage) => {
  const { client, peer } = await pair(stage);
  stage.watch(client, 'client', ['finish', 'error', 'close']);
  const content = pattern(2_000_000);
  const text = received(peer);
  client.write(content);
  client.destroySoon();
  stage.trace('client', 'destroyed at once', client.destroyed);
  assert.ok((await text).equals(content));
  if (!client.closed) await happens(client, 'close');
  assert.deepEqual(stage.lane('client'), [
    ['destroyed at once', false],
    ['finish'],
    ['close', false],
  ]);
});

scenario('destroySoon() on an idle socket finishes and closes', async (stage) => {
  const { client, peer } = await pair(stage);
  stage.watch(client, 'client', lifeEvents);
  stage.watch(peer, 'peer', lifeEvents);
  const closed = Promise.all([happens(client, 'close'), happens(peer, 'close')]);
  client.destroySoon();
  await closed;
});

scenario('destroySoon() after end() destroys at once when everything was sent', async (stage) => {
  const { client } = await pair(stage, { server: { allowHalfOpen: true } });
  const finished = happens(client, 'finish');
  client.end();
  await finished;
  const closed = happens(client, 'close');
  client.destroySoon();
  stage.trace('client', 'destroyed', client.destroyed);
  assert.equal(client.destroyed, true);
  await closed;
});

scenario('resetAndDestroy() without a handle reports ERR_SOCKET_CLOSED', async (stage) => {
  const client = new stage.net.Socket();
  discard(stage, client);
  stage.watch(client, 'client', lifeEvents);
  const closed = happens(client, 'close');
  assert.equal(client.resetAndDestroy(), client);
  await closed;
  const [[event, error] = []] = stage.lane('client');
  assert.equal(event, 'error');
  assert.equal(Reflect.get(Object(error), 'code'), 'ERR_SOCKET_CLOSED');
});

scenario(
  'resetAndDestroy() on a connected Unix socket throws ERR_INVALID_HANDLE_TYPE and changes nothing',
  async (stage) => {
    const { client, peer } = await pair(stage);
    let thrown: unknown;
    try {
      client.resetAndDestroy();
    } catch (error) {
      thrown = error;
    }
    stage.trace('client', thrown, client.destroyed, client.readyState);
    assert.equal(Reflect.get(Object(thrown), 'code'), 'ERR_INVALID_HANDLE_TYPE');
    const data = receives(client, 5);
    peer.write('still');
    assert.equal((await data).toString(), 'still');
  },
);

scenario('resetAndDestroy() while connecting throws as well', async (stage) => {
  const address = stage.address();
  await listen(stage, address);
  const client = stage.net.connect(address);
  discard(stage, client);
  let thrown: unknown;
  try {
    client.resetAndDestroy();
  } catch (error) {
    thrown = error;
  }
  stage.trace('client', thrown);
  assert.equal(Reflect.get(Object(thrown), 'code'), 'ERR_INVALID_HANDLE_TYPE');
  await happens(client, 'connect');
});

scenario(
  'writes that have not left yet are called back once when the socket is destroyed',
  async (stage) => {
    const { client, peer } = await pair(stage);
    peer.pause();
    stage.watch(client, 'client', lifeEvents);
    let calls = 0;
    const inFlight = new Promise<void>((resolve) => {
      client.write(pattern(20_000_000), () => {
        calls += 1;
        resolve();
      });
    });
    const queued = new Promise<unknown>((resolve) => {
      client.write('behind it', (error) => {
        calls += 1;
        resolve(error);
      });
    });
    const closed = happens(client, 'close');
    client.destroy();
    await closed;
    await inFlight;
    assert.ok((await queued) instanceof Error, 'what never left is reported as failed');
    await stage.settled();
    assert.equal(calls, 2);
    assert.deepEqual(stage.lane('client'), [['close', false]]);
  },
);

scenario(
  "with 20 MB pending when the peer goes, 'error' comes at most once and 'close' once",
  async (stage) => {
    const { client, peer } = await pair(stage);
    peer.pause();
    let errors = 0;
    let closes = 0;
    client.on('error', (error: NodeJS.ErrnoException) => {
      errors += 1;
      assert.ok(error.code === 'EPIPE' || error.code === 'ECONNRESET', error.code);
    });
    client.on('close', (hadError) => {
      closes += 1;
      stage.trace('client', 'close', hadError);
    });
    let callbacks = 0;
    for (let piece = 0; piece < 20; piece += 1)
      client.write(pattern(1_000_000), () => (callbacks += 1));
    const closed = happens(client, 'close');
    setImmediate(() => peer.destroy());
    await closed;
    await stage.settled();
    stage.trace('client', { errors, closes, callbacks });
    assert.deepEqual({ errors, closes, callbacks }, { errors: 1, closes: 1, callbacks: 20 });
  },
  { over: bothFamilies },
);

scenario(
  "with 10 MB pending in both directions, 'error' still comes at most once",
  async (stage) => {
    const { client, peer } = await pair(stage);
    const counts = { errors: 0, closes: 0 };
    client.on('error', () => (counts.errors += 1));
    client.on('close', () => (counts.closes += 1));
    client.pause();
    peer.pause();
    client.write(pattern(10_000_000));
    peer.on('error', () => undefined);
    peer.write(pattern(10_000_000));
    const closed = happens(client, 'close');
    setImmediate(() => peer.destroy());
    client.resume();
    await closed;
    await stage.settled();
    assert.deepEqual(counts, { errors: 1, closes: 1 });
  },
);

scenario('a peer that closes with unread input resets the connection', async (stage) => {
  const { client, peer } = await pair(stage);
  peer.pause();
  stage.watch(client, 'client', lifeEvents);
  const written = new Promise<void>((resolve) => client.write('never read', () => resolve()));
  await written;
  const closed = happens(client, 'close');
  peer.destroy();
  await closed;
});

/** Lets the peer write an answer and then close with unread input, while the client does not read. */
async function answeredAndReset(stage: Stage, answer: Buffer): Promise<Socket> {
  const { client, peer } = await pair(stage, { beforeConnect: (socket) => socket.pause() });
  peer.pause();
  await new Promise<void>((resolve) => client.write('never read', () => resolve()));
  await new Promise<void>((resolve) => peer.write(answer, () => resolve()));
  const peerClosed = happens(peer, 'close');
  peer.destroy();
  await peerClosed;
  return client;
}

scenario('what a peer wrote before its reset is read first', async (stage) => {
  for (const length of [10, 65_536, 100_000, 131_072]) {
    const client = await answeredAndReset(stage, pattern(length));
    let bytes = 0;
    let bytesAtError: number | undefined;
    client.on('data', (chunk: Buffer) => (bytes += chunk.length));
    client.on('error', (error: NodeJS.ErrnoException) => {
      assert.equal(error.code, 'ECONNRESET');
      bytesAtError = bytes;
    });
    const closed = happens(client, 'close');
    client.resume();
    const [hadError] = await closed;
    assert.equal(bytes, length);
    assert.equal(hadError, bytesAtError !== undefined);
    assert.ok(bytesAtError === undefined || bytesAtError === length);
  }
});

scenario(
  'a reset behind the last data is reported, or taken for the end, as the net of this Node does',
  async (stage) => {
    for (const length of [10, 65_536, 100_000, 131_072]) {
      const client = await answeredAndReset(stage, pattern(length));
      stage.watch(client, `${length} bytes`, ['end', 'finish', 'error', 'close']);
      const closed = happens(client, 'close');
      client.resume();
      await closed;
      assert.equal(client.bytesRead, length);
    }
  },
);

scenario("destroy() inside 'data' stops further data", async (stage) => {
  const { client, peer } = await pair(stage);
  let chunks = 0;
  client.on('data', () => {
    chunks += 1;
    client.destroy();
  });
  stage.watch(client, 'client', lifeEvents);
  const closed = happens(client, 'close');
  peer.on('error', () => undefined);
  peer.write(pattern(1_000_000));
  await closed;
  await stage.settled();
  stage.trace('client', chunks);
  assert.equal(chunks, 1);
});

scenario("destroy() inside 'end' closes without error", async (stage) => {
  const { client, peer } = await pair(stage);
  stage.watch(client, 'client', lifeEvents);
  client.on('end', () => client.destroy());
  client.resume();
  const closed = happens(client, 'close');
  peer.end();
  await closed;
  await stage.settled();
  assert.deepEqual(stage.lane('client'), [['end'], ['close', false]]);
});

scenario("destroy() inside 'connection' closes the client", async (stage) => {
  const address = stage.address();
  await listen(stage, address, {}, (peer) => peer.destroy());
  const client = stage.net.connect(address);
  discard(stage, client);
  stage.watch(client, 'client', ['connect', 'end', 'error', 'close']);
  await happens(client, 'close');
  assert.deepEqual(stage.lane('client'), [['connect'], ['end'], ['close', false]]);
});

scenario('what was written before destroy() in the same tick still arrives', async (stage) => {
  const ways: readonly [string, (socket: Socket) => unknown][] = [
    ['write and destroy', (socket) => socket.write('text') && socket.destroy()],
    [
      'write with a callback and destroy',
      (socket) => socket.write('text', () => undefined) && socket.destroy(),
    ],
    [
      'several writes and destroy',
      (socket) => ['te', 'xt'].map((part) => socket.write(part)) && socket.destroy(),
    ],
    ['end and destroy', (socket) => socket.end('text').destroy()],
    ['a long write and destroy', (socket) => socket.write(pattern(50_000)) && socket.destroy()],
  ];
  for (const [label, act] of ways) {
    const { client, peer } = await pair(stage);
    client.on('error', () => undefined);
    const text = received(peer);
    act(client);
    const bytes = await text;
    stage.trace(label, bytes);
    assert.equal(bytes.length, label.startsWith('a long') ? 50_000 : 4, label);
  }
});

scenario('what was written just before the process ended still arrives', async (stage) => {
  const address = stage.address();
  let arrival: (text: string) => void = () => undefined;
  await listen(
    stage,
    address,
    {},
    (peer) => void received(peer).then((bytes) => arrival(bytes.toString())),
  );
  const endings: Record<string, ChildBody> = {
    'process.exit() after write()': ({ net, address: where }) => {
      const socket = net.connect(where, () => {
        socket.write('last words');
        process.exit(0);
      });
    },
    'process.exit() after write() with a callback': ({ net, address: where }) => {
      const socket = net.connect(where, () => {
        socket.write('last words', () => undefined);
        process.exit(0);
      });
    },
    'process.exit() after end()': ({ net, address: where }) => {
      const socket = net.connect(where, () => {
        socket.end('last words');
        process.exit(0);
      });
    },
    "write() inside 'exit'": ({ net, address: where }) => {
      const socket = net.connect(where, () => process.exit(0));
      process.on('exit', () => socket.write('last words'));
    },
    'an uncaught exception after write()': ({ net, address: where }) => {
      const socket = net.connect(where, () => {
        socket.write('last words');
        throw new Error('on purpose');
      });
    },
  };
  for (const [label, body] of Object.entries(endings)) {
    const text = new Promise<string>((resolve) => (arrival = resolve));
    const { code } = await inChild(stage, address, body);
    stage.trace(label, code, await text);
    assert.equal(await text, 'last words', label);
  }
});

scenario("destroy(error) without an 'error' listener is an uncaught exception", async (stage) => {
  const outcome = await inChild(stage, stage.path(), ({ net, say }) => {
    process.on('uncaughtException', (error) => say(`uncaught: ${error.message}`));
    const socket = new net.Socket();
    socket.on('close', (hadError) => say(`close ${hadError}`));
    socket.destroy(new Error('nobody listens'));
  });
  stage.trace('child', outcome);
  assert.equal(outcome.code, 0);
  assert.ok(outcome.stdout.includes('uncaught: nobody listens\n'));
});

scenario('a peer killed with SIGKILL is noticed as end', async (stage) => {
  const address = stage.address();
  let accept: (peer: Socket) => void = () => undefined;
  const accepted = new Promise<Socket>((resolve) => (accept = resolve));
  await listen(stage, address, {}, accept);
  const running = startChild(stage, address, ({ net, address: where }) => {
    net.connect(where).resume();
    setInterval(() => undefined, 1000);
  });
  const peer = await accepted;
  stage.watch(peer, 'peer', lifeEvents);
  peer.resume();
  const closed = happens(peer, 'close');
  running.child.kill('SIGKILL');
  await closed;
  assert.equal((await running.outcome).signal, 'SIGKILL');
  assert.deepEqual(stage.lane('peer'), [['end'], ['finish'], ['close', false]]);
});

scenario(
  'a peer killed with SIGKILL while data for it is pending gives one error, no hang',
  async (stage) => {
    const address = stage.address();
    let accept: (peer: Socket) => void = () => undefined;
    const accepted = new Promise<Socket>((resolve) => (accept = resolve));
    await listen(stage, address, {}, accept);
    const running = startChild(stage, address, ({ net, address: where }) => {
      net.connect(where).pause();
      setInterval(() => undefined, 1000);
    });
    const peer = await accepted;
    let errors = 0;
    peer.on('error', (error: NodeJS.ErrnoException) => {
      errors += 1;
      assert.ok(error.code === 'EPIPE' || error.code === 'ECONNRESET', error.code);
    });
    peer.resume();
    peer.write(pattern(10_000_000));
    const closed = happens(peer, 'close');
    running.child.kill('SIGKILL');
    const [hadError] = await closed;
    await running.outcome;
    stage.trace('peer', hadError, errors);
    assert.equal(errors, 1);
  },
);

scenario(
  'a socket is closed for its peer when destroy() returns, read from or not',
  async (stage) => {
    for (const reads of [true, false]) {
      for (let round = 0; round < 20; round += 1) {
        const address = stage.address();
        const server = await listen(stage, address);
        const accepted = happens(server, 'connection');
        // Of `net`, whichever is tried: it says at once what the kernel does.
        const client = nodeNet.connect(address);
        discard(stage, client);
        tolerate(client);
        const [peer] = (await accepted) as [Socket];
        if (client.connecting) await happens(client, 'connect');
        if (reads) peer.resume();
        else peer.pause();
        await stage.settled();
        peer.destroy();
        const refused = new Promise((resolve) => client.write('x', resolve));
        stage.trace('client', await refused);
        assert.equal(Reflect.get(Object(await refused), 'code'), 'EPIPE');
      }
    }
  },
  { over: bothFamilies },
);
