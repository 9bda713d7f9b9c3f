/** How data arrives: flowing, paused, iterated, read, put back, decoded. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { PassThrough, pipeline } from 'node:stream';
import { bothFamilies, scenario } from './scenario';
import { discard, happens, listen, pair, pattern, received, receives } from '../helpers/sockets';

const lifeEvents = ['data', 'end', 'finish', 'error', 'close'] as const;

scenario(
  "one small write arrives as one 'data'",
  async (stage) => {
    const { client, peer } = await pair(stage);
    stage.watch(client, 'client', ['data']);
    for (const text of ['a', 'bc', 'def']) {
      const data = happens(client, 'data');
      peer.write(text);
      await data;
    }
    assert.deepEqual(stage.lane('client'), [
      ['data', { bytes: 'a' }],
      ['data', { bytes: 'bc' }],
      ['data', { bytes: 'def' }],
    ]);
  },
  { over: bothFamilies },
);

scenario(
  'megabytes arrive whole and in order, both ways at once',
  async (stage) => {
    const { client, peer } = await pair(stage);
    const up = pattern(6_000_000);
    const down = pattern(5_000_000).reverse();
    const texts = Promise.all([received(peer), received(client)]);
    client.end(up);
    peer.end(down);
    const [atPeer, atClient] = await texts;
    assert.ok(atPeer.equals(up));
    assert.ok(atClient.equals(down));
  },
  { over: bothFamilies },
);

scenario(
  'what is in the queue when it is read comes in one piece, as far as one read of 64 KiB reaches',
  async (stage) => {
    for (const length of [8191, 8192, 8193, 20_000, 40_000, 65_536, 70_000]) {
      const { client, peer } = await pair(stage);
      peer.on('data', (chunk: Buffer) => stage.trace(`${length} bytes`, chunk.length));
      // It reads, as a socket does that has had something short.
      const short = happens(peer, 'data');
      client.write('short');
      await short;
      const all = receives(peer, length);
      client.write(pattern(length));
      assert.deepEqual(await all, pattern(length));
      stage.trace(`${length} bytes`, 'of', peer.bytesRead);
    }
    assert.deepEqual(stage.lane('40000 bytes'), [[5], [40_000], ['of', 40_005]]);
    assert.deepEqual(stage.lane('70000 bytes'), [[5], [65_536], [4464], ['of', 70_005]]);
  },
  { over: bothFamilies },
);

scenario('ten thousand small writes arrive in order', async (stage) => {
  const { client, peer } = await pair(stage);
  const lines = Array.from({ length: 10_000 }, (_, number) => `${number}\n`);
  const text = received(client);
  for (const line of lines) peer.write(line);
  peer.end();
  assert.equal((await text).toString(), lines.join(''));
});

scenario(
  'pause() and resume() before connect take effect in the order they were called',
  async (stage) => {
    const orders: ('pause' | 'resume')[][] = [
      ['pause'],
      ['resume'],
      ['pause', 'resume'],
      ['resume', 'pause'],
      ['pause', 'resume', 'pause'],
      ['resume', 'pause', 'resume'],
    ];
    for (const moment of ['before connect()', 'while connecting']) {
      for (const order of orders) {
        const label = `${moment}: ${order.join(', ')}`;
        const address = stage.address();
        await listen(stage, address, {}, (peer) => peer.end('data'));
        const client = new stage.net.Socket();
        discard(stage, client);
        stage.watch(client, label, ['data', 'end', 'close']);
        const closed = happens(client, 'close');
        const act = (): void => order.forEach((method) => client[method]());
        if (moment === 'before connect()') act();
        client.connect(address);
        if (moment === 'while connecting') act();
        await happens(client, 'connect');
        await stage.settled();
        stage.trace(label, 'settled', client.isPaused());
        client.resume();
        await closed;
        const paused = order.at(-1) === 'pause';
        assert.deepEqual(
          stage.lane(label)[0],
          paused ? ['settled', true] : ['data', { bytes: 'data' }],
          label,
        );
      }
    }
  },
);

scenario("pause() inside 'data' stops the bytes at once", async (stage) => {
  const { client, peer } = await pair(stage);
  const content = pattern(3_000_000);
  const chunks: Buffer[] = [];
  let allowed = true;
  client.on('data', (chunk: Buffer) => {
    assert.ok(allowed, 'no data while paused');
    chunks.push(chunk);
    client.pause();
    allowed = false;
    setImmediate(() => {
      allowed = true;
      client.resume();
    });
  });
  const ended = happens(client, 'end');
  peer.end(content);
  await ended;
  assert.ok(Buffer.concat(chunks).equals(content));
});

scenario('later chunks wait while the socket is paused', async (stage) => {
  const { client, peer } = await pair(stage);
  stage.watch(client, 'client', ['data']);
  const first = happens(client, 'data');
  peer.write('first');
  await first;
  client.pause();
  for (const text of ['second', 'third']) {
    await new Promise<void>((resolve) => peer.write(text, () => resolve()));
    await stage.settled();
  }
  assert.deepEqual(stage.lane('client'), [['data', { bytes: 'first' }]]);
  const rest = receives(client, 11);
  client.resume();
  assert.equal((await rest).toString(), 'secondthird');
});

scenario("resume() straight after pause() inside 'data' loses nothing", async (stage) => {
  const { client, peer } = await pair(stage);
  const content = pattern(1_000_000);
  client.on('data', () => {
    client.pause();
    client.resume();
  });
  const text = received(client);
  peer.end(content);
  assert.ok((await text).equals(content));
});

scenario(
  'a paused reader stops its writer, and resuming lets everything through',
  async (stage) => {
    const { client, peer } = await pair(stage);
    const content = pattern(20_000_000);
    client.pause();
    let finished = false;
    peer.on('finish', () => (finished = true));
    peer.end(content);
    await stage.settled();
    assert.equal(finished, false, 'the writer waits');
    assert.ok(peer.writableLength > 0);
    assert.ok(
      client.bytesRead < 2_000_000,
      `${client.bytesRead} bytes were read though nobody asked`,
    );
    const text = received(client);
    client.resume();
    assert.ok((await text).equals(content));
  },
);

scenario('a reader that nobody listens to buffers up to its mark and no further', async (stage) => {
  const { client, peer } = await pair(stage, { client: { readableHighWaterMark: 1000 } as object });
  peer.on('error', () => undefined);
  peer.write(pattern(5_000_000));
  await stage.settled();
  assert.ok(client.readableLength > 0, 'the first bytes are there for read()');
  assert.ok(client.readableLength < 1_000_000, `${client.readableLength} bytes buffered`);
});

scenario('resume() without a listener discards the data and ends', async (stage) => {
  const { client, peer } = await pair(stage);
  stage.watch(client, 'client', ['end', 'finish', 'error', 'close']);
  const closed = happens(client, 'close');
  client.resume();
  peer.end(pattern(2_000_000));
  await closed;
  assert.equal(client.bytesRead, 2_000_000);
});

scenario(
  'a socket can be iterated',
  async (stage) => {
    const { client, peer } = await pair(stage);
    const content = pattern(1_500_000);
    peer.end(content);
    const chunks: Buffer[] = [];
    for await (const chunk of client) chunks.push(chunk as Buffer);
    assert.ok(Buffer.concat(chunks).equals(content));
    stage.trace('client', client.destroyed);
  },
  { over: bothFamilies },
);

scenario('leaving an iteration early destroys the socket', async (stage) => {
  const { client, peer } = await pair(stage);
  stage.watch(client, 'client', ['end', 'error', 'close']);
  peer.on('error', () => undefined);
  const closed = happens(client, 'close');
  peer.write('enough');
  for await (const chunk of client) {
    assert.equal(String(chunk), 'enough');
    break;
  }
  assert.equal(client.destroyed, true);
  await closed;
  assert.equal(stage.lane('client').at(-1)?.[0], 'close');
  assert.ok(!stage.lane('client').some(([event]) => event === 'end'));
});

scenario(
  'iterating to the end does to a half-open socket what the streams of this Node do',
  async (stage) => {
    const { client, peer } = await pair(stage, { client: { allowHalfOpen: true } });
    peer.end('all');
    let text = '';
    for await (const chunk of client) text += String(chunk);
    assert.equal(text, 'all');
    stage.trace('client', 'destroyed', client.destroyed, 'writable', client.writable);
  },
);

scenario('an error ends an iteration with that error', async (stage) => {
  const { client, peer } = await pair(stage);
  peer.write('begin');
  const cause = new Error('on purpose');
  await assert.rejects(async () => {
    for await (const chunk of client) {
      assert.equal(String(chunk), 'begin');
      setImmediate(() => client.destroy(cause));
    }
  }, cause);
});

scenario("'readable' and read(n) give exactly n bytes", async (stage) => {
  const { client, peer } = await pair(stage);
  const sizes = [1, 2, 3, 10, 100, 1000];
  const content = pattern(sizes.reduce((sum, size) => sum + size));
  const pieces: Buffer[] = [];
  const done = new Promise<void>((resolve) => {
    client.on('readable', () => {
      for (let size = sizes[pieces.length]; size !== undefined; size = sizes[pieces.length]) {
        const piece: Buffer | null = client.read(size) as Buffer | null;
        if (piece === null) return;
        assert.equal(piece.length, size);
        pieces.push(piece);
      }
      resolve();
    });
  });
  peer.write(content.subarray(0, 50));
  peer.write(content.subarray(50));
  await done;
  assert.ok(Buffer.concat(pieces).equals(content));
});

scenario('read(n) is null until n bytes are there', async (stage) => {
  const { client, peer } = await pair(stage);
  const text = new Promise<string>((resolve) => {
    client.on('readable', () => {
      const length = client.readableLength;
      const piece: unknown = client.read(4);
      if (piece !== null) return resolve(String(piece));
      assert.ok(length < 4);
      if (length === 3) peer.write('d');
    });
  });
  peer.write('abc');
  assert.equal(await text, 'abcd');
  stage.trace('client', client.read());
  assert.equal(client.read(), null);
});

scenario('read() at the end gives null, and what is left before', async (stage) => {
  const { client, peer } = await pair(stage);
  stage.watch(client, 'client', ['end', 'close']);
  const texts: string[] = [];
  client.on('readable', () => {
    for (let chunk: unknown = client.read(); chunk !== null; chunk = client.read())
      texts.push(String(chunk));
  });
  const closed = happens(client, 'close');
  peer.end('the rest');
  await closed;
  assert.equal(texts.join(''), 'the rest');
  assert.equal(client.read(), null);
});

scenario(
  'what is put back with unshift() comes first',
  async (stage) => {
    const { client, peer } = await pair(stage);
    const seen: string[] = [];
    client.once('data', (chunk: Buffer) => {
      client.pause();
      assert.equal(chunk.toString(), 'head and body');
      client.unshift(chunk.subarray(5));
      setImmediate(() => {
        client.on('data', (later: Buffer) => seen.push(later.toString()));
        client.resume();
      });
    });
    const ended = happens(client, 'end');
    peer.end('head and body');
    await ended;
    assert.equal(seen.join(''), 'and body');
  },
  { over: bothFamilies },
);

scenario('setEncoding() joins characters that arrive in pieces', async (stage) => {
  const { client, peer } = await pair(stage);
  client.setEncoding('utf8');
  stage.watch(client, 'client', ['data', 'end']);
  const euro = Buffer.from('\u20ac');
  for (const byte of euro) {
    await new Promise<void>((resolve) => peer.write(Buffer.of(byte), () => resolve()));
    await stage.settled();
  }
  const ended = happens(client, 'end');
  peer.end('!');
  await ended;
  assert.deepEqual(stage.lane('client'), [['data', '\u20ac'], ['data', '!'], ['end']]);
});

scenario('setEncoding() decodes in every encoding', async (stage) => {
  const bytes = Buffer.from([0x00, 0x7f, 0x80, 0xff, 0xc3, 0xa9, 0x41]);
  for (const encoding of [
    'utf8',
    'latin1',
    'ascii',
    'hex',
    'base64',
    'base64url',
    'utf16le',
  ] as const) {
    const { client, peer } = await pair(stage, {
      beforeConnect: (socket) => socket.setEncoding(encoding),
    });
    let text = '';
    client.on('data', (chunk: string) => (text += chunk));
    const ended = happens(client, 'end');
    peer.end(bytes);
    await ended;
    stage.trace('client', encoding, text);
    if (encoding !== 'utf8') assert.equal(text, bytes.toString(encoding), encoding);
  }
});

scenario('chunks that were delivered are not touched by later data', async (stage) => {
  const { client, peer } = await pair(stage);
  const kept: { chunk: Buffer; copy: Buffer }[] = [];
  client.on('data', (chunk: Buffer) => kept.push({ chunk, copy: Buffer.from(chunk) }));
  const ended = happens(client, 'end');
  for (let index = 0; index < 200; index += 1) peer.write(pattern(1 + index * 13));
  peer.end(pattern(1_000_000));
  await ended;
  for (const { chunk, copy } of kept) assert.ok(chunk.equals(copy));
});

scenario('writing into a chunk changes no other chunk', async (stage) => {
  const { client, peer } = await pair(stage);
  const content = pattern(400_000);
  const copies: Buffer[] = [];
  client.on('data', (chunk: Buffer) => {
    copies.push(Buffer.from(chunk));
    chunk.fill(0xee);
  });
  const ended = happens(client, 'end');
  for (let offset = 0; offset < content.length; offset += 1000)
    peer.write(content.subarray(offset, offset + 1000));
  peer.end();
  await ended;
  assert.ok(Buffer.concat(copies).equals(content));
});

scenario("'data' gives Buffers", async (stage) => {
  const { client, peer } = await pair(stage);
  const data = happens(client, 'data');
  peer.write('x');
  const [chunk] = await data;
  assert.ok(Buffer.isBuffer(chunk));
});

scenario('a socket piped into itself is an echo', async (stage) => {
  const { client } = await pair(stage, { onConnection: (peer) => void peer.pipe(peer) });
  const content = pattern(4_000_000);
  const echo = received(client);
  client.end(content);
  assert.ok((await echo).equals(content));
});

scenario('pipeline() through a socket ends when the socket closes', async (stage) => {
  const { client, peer } = await pair(stage);
  const content = pattern(1_000_000);
  const sink = new PassThrough();
  const text = (async () => {
    const parts: Buffer[] = [];
    for await (const part of sink) parts.push(part as Buffer);
    return Buffer.concat(parts);
  })();
  const result = new Promise<unknown>((resolve) => pipeline(client, sink, resolve));
  peer.end(content);
  const outcome = await result;
  stage.trace('pipeline', outcome);
  assert.equal(outcome ?? undefined, undefined);
  assert.ok((await text).equals(content));
});

scenario("taking the 'data' listener off does not stop the flow, as in net", async (stage) => {
  const { client, peer } = await pair(stage);
  const listener = (): void => undefined;
  client.on('data', listener);
  client.off('data', listener);
  await stage.settled();
  stage.trace('client', 'flowing', client.readableFlowing);
  const written = new Promise<void>((resolve) => peer.write('where to?', () => resolve()));
  await written;
  await stage.settled();
  stage.trace('client', 'buffered', client.readableLength);
});

scenario('an accepted socket reads in the same ways', async (stage) => {
  const peers: Socket[] = [];
  const { client } = await pair(stage, { onConnection: (peer) => peers.push(peer) });
  const [peer] = peers;
  assert.ok(peer !== undefined);
  peer.setEncoding('utf8');
  stage.watch(peer, 'peer', lifeEvents);
  const closed = happens(peer, 'close');
  client.end('to the server');
  await closed;
  assert.deepEqual(stage.lane('peer'), [
    ['data', 'to the server'],
    ['end'],
    ['finish'],
    ['close', false],
  ]);
});

scenario('readableFlowing is null, true or false as in net', async (stage) => {
  const { client } = await pair(stage);
  const states: unknown[] = [client.readableFlowing];
  client.pause();
  states.push(client.readableFlowing);
  client.on('data', () => undefined);
  states.push(client.readableFlowing);
  client.resume();
  states.push(client.readableFlowing);
  client.on('readable', () => undefined);
  states.push(client.readableFlowing);
  stage.trace('client', ...states);
  assert.deepEqual(states, [null, false, false, true, false]);
});
