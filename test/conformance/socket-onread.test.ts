/** The onread option: data goes into the caller's own buffer. */
import assert from 'node:assert/strict';
import type { Socket, SocketConstructorOpts } from 'node:net';
import { bothFamilies, scenario, type Stage } from './scenario';
import { discard, happens, listen, pair, pattern, received } from '../helpers/sockets';

const lifeEvents = ['data', 'end', 'finish', 'error', 'close'] as const;

type Read = (bytes: number, buffer: Uint8Array) => boolean;

/** What `onread` takes; the declared type knows neither functions for `buffer` nor void callbacks. */
function onread(buffer: Uint8Array | (() => Uint8Array), callback: Read): SocketConstructorOpts {
  return { onread: { buffer, callback } } as object;
}

async function readerOf(
  stage: Stage,
  options: SocketConstructorOpts,
): Promise<{ client: Socket; peer: Socket }> {
  return pair(stage, { client: options });
}

for (const kind of ['Buffer', 'Uint8Array'] as const) {
  scenario(
    `data goes into a ${kind}, and no 'data' is emitted`,
    async (stage) => {
      const buffer = kind === 'Buffer' ? Buffer.alloc(64) : new Uint8Array(64);
      const texts: string[] = [];
      const { client, peer } = await readerOf(
        stage,
        onread(buffer, (bytes, given) => {
          assert.equal(given, buffer, 'the very buffer');
          texts.push(Buffer.from(given.subarray(0, bytes)).toString());
          return true;
        }),
      );
      stage.watch(client, 'client', lifeEvents);
      const closed = happens(client, 'close');
      peer.end('hello');
      await closed;
      stage.trace('reads', texts);
      assert.deepEqual(texts, ['hello']);
      assert.deepEqual(stage.lane('client'), [['end'], ['finish'], ['close', false]]);
    },
    { over: bothFamilies },
  );
}

scenario('a read never gives more bytes than the buffer holds', async (stage) => {
  const content = pattern(100_000);
  const parts: Buffer[] = [];
  const buffer = Buffer.alloc(1000);
  const { client, peer } = await readerOf(
    stage,
    onread(buffer, (bytes, given) => {
      assert.ok(bytes > 0 && bytes <= 1000, `${bytes}`);
      parts.push(Buffer.from(given.subarray(0, bytes)));
      return true;
    }),
  );
  const closed = happens(client, 'close');
  peer.end(content);
  await closed;
  assert.ok(Buffer.concat(parts).equals(content));
});

scenario('a function is asked for a buffer exactly once per read', async (stage) => {
  let asked = 0;
  const sizes: number[] = [];
  let text = '';
  const { client, peer } = await readerOf(
    stage,
    onread(
      () => {
        asked += 1;
        return Buffer.alloc(2);
      },
      (bytes, given) => {
        sizes.push(bytes);
        text += Buffer.from(given.subarray(0, bytes)).toString();
        return true;
      },
    ),
  );
  const closed = happens(client, 'close');
  peer.end('hello world');
  await closed;
  stage.trace('client', { asked, sizes, text });
  assert.equal(text, 'hello world');
  assert.deepEqual(sizes, [2, 2, 2, 2, 2, 1]);
  assert.equal(asked, 7, 'once for each of six reads, and once for the end');
});

scenario('each read fills the buffer that the function gave for it', async (stage) => {
  const given: Buffer[] = [];
  const filled: Uint8Array[] = [];
  const { client, peer } = await readerOf(
    stage,
    onread(
      () => {
        const buffer = Buffer.alloc(4);
        given.push(buffer);
        return buffer;
      },
      (bytes, buffer) => {
        filled.push(buffer.subarray(0, bytes));
        return true;
      },
    ),
  );
  const closed = happens(client, 'close');
  peer.end('abcdefghij');
  await closed;
  assert.deepEqual(
    filled.map((buffer) => Buffer.from(buffer).toString()),
    ['abcd', 'efgh', 'ij'],
  );
  filled.forEach((buffer, index) => assert.equal(buffer.buffer, given[index]?.buffer));
});

scenario('returning false stops the callbacks at once, and resume() goes on', async (stage) => {
  const buffer = Buffer.alloc(3);
  const texts: string[] = [];
  const { client, peer } = await readerOf(
    stage,
    onread(buffer, (bytes, given) => {
      texts.push(Buffer.from(given.subarray(0, bytes)).toString());
      return false;
    }),
  );
  stage.watch(client, 'client', lifeEvents);
  peer.end('123456789');
  for (let round = 1; round <= 3; round += 1) {
    await stage.settled();
    assert.equal(texts.length, round, 'one callback for each permission');
    client.resume();
  }
  if (!client.closed) await happens(client, 'close');
  stage.trace('client', texts);
  assert.deepEqual(texts, ['123', '456', '789']);
  assert.deepEqual(stage.lane('client').slice(0, 3), [['end'], ['finish'], ['close', false]]);
});

scenario(
  'pause() inside the callback stops the callbacks at once, and resume() goes on',
  async (stage) => {
    const buffer = Buffer.alloc(3);
    const texts: string[] = [];
    const { client, peer } = await readerOf(
      stage,
      onread(buffer, function callback(bytes, given) {
        texts.push(Buffer.from(given.subarray(0, bytes)).toString());
        client.pause();
        return true;
      }),
    );
    peer.end('123456');
    await stage.settled();
    assert.deepEqual(texts, ['123']);
    client.resume();
    await stage.settled();
    assert.deepEqual(texts, ['123', '456']);
    stage.trace('client', texts);
    client.resume();
    if (!client.closed) await happens(client, 'close');
  },
);

scenario('pause() from outside stops the callbacks', async (stage) => {
  const texts: string[] = [];
  const { client, peer } = await readerOf(
    stage,
    onread(Buffer.alloc(64), (bytes, given) => {
      texts.push(Buffer.from(given.subarray(0, bytes)).toString());
      return true;
    }),
  );
  client.pause();
  await new Promise<void>((resolve) => peer.write('while paused', () => resolve()));
  await stage.settled();
  assert.deepEqual(texts, []);
  const closed = happens(client, 'close');
  client.resume();
  peer.end();
  await closed;
  assert.deepEqual(texts, ['while paused']);
});

scenario('net.connect() takes onread as well', async (stage) => {
  const address = stage.address();
  await listen(stage, address, {}, (peer) => peer.end('through connect'));
  const buffer = Buffer.alloc(32);
  let text = '';
  const client = stage.net.connect({
    path: address,
    onread: {
      buffer,
      callback(bytes, given) {
        text += Buffer.from(given.subarray(0, bytes)).toString();
        return true;
      },
    },
  });
  discard(stage, client);
  stage.watch(client, 'client', lifeEvents);
  await happens(client, 'close');
  assert.equal(text, 'through connect');
});

scenario('bytesRead counts what onread delivered', async (stage) => {
  const counts: number[] = [];
  const { client, peer } = await readerOf(
    stage,
    onread(Buffer.alloc(4), () => {
      counts.push(client.bytesRead);
      return true;
    }),
  );
  const closed = happens(client, 'close');
  peer.end('0123456789');
  await closed;
  stage.trace('client', counts, client.bytesRead);
  assert.equal(client.bytesRead, 10);
  assert.deepEqual(counts, [4, 8, 10]);
});

scenario('a socket with onread still writes', async (stage) => {
  let text = '';
  const { client, peer } = await readerOf(
    stage,
    onread(Buffer.alloc(100), (bytes, given) => {
      text += Buffer.from(given.subarray(0, bytes)).toString();
      if (text === 'question') client.end('answer');
      return true;
    }),
  );
  const answer = received(peer);
  peer.write('question');
  assert.equal((await answer).toString(), 'answer');
});

scenario('destroy() inside the callback stops everything', async (stage) => {
  let reads = 0;
  const { client, peer } = await readerOf(
    stage,
    onread(Buffer.alloc(2), () => {
      reads += 1;
      client.destroy();
      return true;
    }),
  );
  stage.watch(client, 'client', lifeEvents);
  peer.on('error', () => undefined);
  const closed = happens(client, 'close');
  peer.write('many reads if it went on');
  await closed;
  await stage.settled();
  assert.equal(reads, 1);
  assert.deepEqual(stage.lane('client'), [['close', false]]);
});

scenario('setEncoding() changes nothing for onread', async (stage) => {
  const sizes: number[] = [];
  const { client, peer } = await readerOf(
    stage,
    onread(Buffer.alloc(64), (bytes) => {
      sizes.push(bytes);
      return true;
    }),
  );
  client.setEncoding('utf8');
  stage.watch(client, 'client', lifeEvents);
  const closed = happens(client, 'close');
  peer.end('\u20ac');
  await closed;
  assert.deepEqual(sizes, [3]);
});

scenario('an unusable onread is the same as none', async (stage) => {
  const unusable: readonly [string, unknown][] = [
    ['undefined', undefined],
    ['null', null],
    ['empty', {}],
    ['no callback', { buffer: Buffer.alloc(4) }],
    ['no buffer', { callback: () => true }],
    ['a string for a buffer', { buffer: 'x', callback: () => true }],
  ];
  for (const [label, option] of unusable) {
    const address = stage.address();
    await listen(stage, address, {}, (peer) => peer.end('ordinary'));
    let client: Socket;
    try {
      client = Reflect.construct(stage.net.Socket, [{ onread: option }]) as Socket;
    } catch (error) {
      stage.trace(label, 'thrown', error instanceof TypeError);
      continue;
    }
    discard(stage, client);
    stage.watch(client, label, ['data', 'end', 'close']);
    client.connect(address);
    await happens(client, 'close');
    assert.deepEqual(stage.lane(label)[0], ['data', { bytes: 'ordinary' }], label);
  }
});

scenario('a reused socket reads into its buffer again', async (stage) => {
  const address = stage.address();
  await listen(stage, address, {}, (peer) => peer.end('again'));
  const texts: string[] = [];
  const client = new stage.net.Socket(
    onread(Buffer.alloc(16), (bytes, given) => {
      texts.push(Buffer.from(given.subarray(0, bytes)).toString());
      return true;
    }),
  );
  discard(stage, client);
  for (let life = 0; life < 2; life += 1) {
    const closed = happens(client, 'close');
    client.connect(address);
    await closed;
  }
  assert.deepEqual(texts, ['again', 'again']);
});

scenario('who stops at the last bytes hears of the end on reading on', async (stage) => {
  const address = stage.address();
  let peer: Socket | undefined;
  await listen(stage, address, {}, (accepted) => (peer = accepted));
  const client = new stage.net.Socket(
    onread(Buffer.alloc(16), (bytes) => {
      stage.trace('client', bytes);
      return false;
    }),
  );
  discard(stage, client);
  stage.watch(client, 'client', ['end', 'close']);
  client.connect(address);
  await stage.settled();
  peer?.write('x');
  peer?.destroy();
  await stage.settled();
  stage.trace('client', 'reads on');
  client.resume();
  await happens(client, 'close');
});
