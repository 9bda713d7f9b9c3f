/** Encodings, corking, callbacks, drain, and the forms of end(). */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { bothFamilies, scenario } from './scenario';
import { collectGarbage } from '../helpers/collect-garbage';
import { discard, happens, listen, pair, pattern, received, receives } from '../helpers/sockets';

/** A method called with arguments that its type forbids. */
function call(socket: Socket, method: 'write' | 'end', ...args: unknown[]): unknown {
  return Reflect.apply(socket[method] as (...all: unknown[]) => unknown, socket, args);
}

scenario(
  'strings are sent in the encoding they were given with',
  async (stage) => {
    const texts: readonly [string, BufferEncoding][] = [
      ['plain', 'utf8'],
      ['\u00e9\u20ac\ud83d\ude00', 'utf8'],
      ['\u00e9\u20ac', 'utf-8'],
      ['\u00e9', 'UTF8' as BufferEncoding],
      ['\u00e9\u00ff\u0100', 'latin1'],
      ['\u00e9\u00ff', 'binary'],
      ['abc\u00e9', 'ascii'],
      ['00ff10AB', 'hex'],
      ['aGVsbG8=', 'base64'],
      ['_-8', 'base64url'],
      ['\u00e9\u20ac', 'utf16le'],
      ['\u00e9\u20ac', 'ucs2'],
      ['lone \ud800 surrogate', 'utf8'],
      ['', 'utf8'],
    ];
    const { client, peer } = await pair(stage);
    const expected: Buffer[] = [];
    const text = received(peer);
    for (const [content, encoding] of texts) {
      client.write(content, encoding);
      expected.push(Buffer.from(content, encoding));
    }
    client.end();
    assert.deepEqual(await text, Buffer.concat(expected));
  },
  { over: bothFamilies },
);

scenario('strings written before connect keep their encoding', async (stage) => {
  const address = stage.address();
  let accept: (peer: Socket) => void = () => undefined;
  const accepted = new Promise<Socket>((resolve) => (accept = resolve));
  await listen(stage, address, {}, accept);
  const client = stage.net.connect(address);
  discard(stage, client);
  client.write('ff00', 'hex');
  client.write('\u00e9', 'latin1');
  client.write('\u00e9', 'utf16le');
  client.end('AAE=', 'base64');
  assert.deepEqual(await received(await accepted), Buffer.from('ff00e9e9000001', 'hex'));
});

scenario('corked strings keep their encoding', async (stage) => {
  const { client, peer } = await pair(stage);
  const text = received(peer);
  client.cork();
  client.write('ff00', 'hex');
  client.write(Buffer.from([1, 2]));
  client.write('\u00e9', 'latin1');
  client.write('\u00e9');
  client.uncork();
  client.end();
  assert.deepEqual(await text, Buffer.from('ff000102e9c3a9', 'hex'));
});

scenario('empty pieces are told in their turn, alone and among others', async (stage) => {
  const { client, peer } = await pair(stage);
  const text = received(peer);
  const told: string[] = [];
  const write = (name: string, piece: string | Uint8Array, encoding?: BufferEncoding): void => {
    client.write(piece, encoding, () => told.push(name));
  };
  client.cork();
  write('first', 'a');
  write('empty string', '', 'latin1');
  write('empty bytes', new Uint8Array(0));
  write('last', Buffer.from('b'));
  client.uncork();
  client.cork();
  write('two empty ones', '');
  write('by themselves', Buffer.alloc(0));
  client.uncork();
  write('not corked', '');
  await new Promise<void>((resolve) => client.end(resolve));
  stage.trace('client', told, client.bytesWritten);
  assert.equal(client.bytesWritten, 2);
  assert.equal(told.length, 7);
  assert.equal((await text).toString(), 'ab');
});

scenario(
  'corked strings arrive whole, whether or not they are handed over as one',
  async (stage) => {
    const { client, peer } = await pair(stage);
    const text = received(peer);
    // Three bytes a character: 65,535 and 65,538 bytes, and then far more.
    const lengths = [21_845, 21_846, 100_000];
    for (const length of lengths) {
      client.cork();
      for (let at = 0; at < length; at += 5_000) {
        client.write(String.fromCharCode(0x2000 + at / 5_000).repeat(Math.min(5_000, length - at)));
      }
      client.uncork();
      // The next are pieces of their own.
      await new Promise<void>((resolve) => client.write('|', () => resolve()));
    }
    client.end();
    const parts = (await text).toString().split('|');
    assert.deepEqual(
      parts.map((part) => part.length),
      [...lengths, 0],
    );
    assert.ok(parts.every((part) => !part.includes('\ufffd')));
  },
);

scenario('setDefaultEncoding() applies to what follows', async (stage) => {
  const { client, peer } = await pair(stage);
  const text = received(peer);
  client.setDefaultEncoding('hex');
  client.write('c0ffee');
  client.setDefaultEncoding('latin1');
  client.end('\u00e9');
  assert.deepEqual(await text, Buffer.from('c0ffeee9', 'hex'));
});

scenario('twenty hex strings of 2 MB arrive whole while garbage is collected', async (stage) => {
  const { client, peer } = await pair(stage);
  const total = 20_000_000;
  const text = received(peer);
  const collecting = setInterval(collectGarbage, 5);
  stage.defer(() => clearInterval(collecting));
  for (let round = 0; round < 20; round += 1)
    client.write(Buffer.alloc(1_000_000, round).toString('hex'), 'hex');
  client.end();
  const bytes = await text;
  clearInterval(collecting);
  assert.equal(bytes.length, total);
  for (let round = 0; round < 20; round += 1) {
    const piece = bytes.subarray(round * 1_000_000, (round + 1) * 1_000_000);
    assert.ok(
      piece.every((byte) => byte === round),
      `piece ${round}`,
    );
  }
});

scenario(
  'buffers that nobody else holds survive garbage collection until they are sent',
  async (stage) => {
    const { client, peer } = await pair(stage);
    peer.pause();
    for (let round = 0; round < 20; round += 1) client.write(Buffer.alloc(500_000, round));
    client.end();
    for (let round = 0; round < 3; round += 1) {
      collectGarbage();
      await stage.settled();
    }
    const text = received(peer);
    peer.resume();
    const bytes = await text;
    assert.equal(bytes.length, 10_000_000);
    for (let round = 0; round < 20; round += 1)
      assert.equal(bytes[round * 500_000 + 499_999], round);
  },
);

scenario('any Uint8Array can be written', async (stage) => {
  const { client, peer } = await pair(stage);
  const text = received(peer);
  const memory = new Uint8Array([9, 1, 2, 3, 9]);
  client.write(memory.subarray(1, 4));
  client.write(new Uint8Array([4]));
  client.end(new Uint8Array(new SharedArrayBuffer(2)));
  assert.deepEqual(await text, Buffer.from([1, 2, 3, 4, 0, 0]));
});

scenario(
  'there is one callback for each write, in order, without error',
  async (stage) => {
    const { client, peer } = await pair(stage);
    peer.resume();
    const order: number[] = [];
    const count = 500;
    await new Promise<void>((resolve, reject) => {
      for (let number = 0; number < count; number += 1) {
        const chunk = number % 50 === 0 ? pattern(100_000) : `${number}`;
        client.write(chunk, (error) => {
          if (error) return reject(error);
          order.push(number);
          if (order.length === count) resolve();
        });
      }
    });
    assert.deepEqual(
      order,
      Array.from({ length: count }, (_, number) => number),
    );
  },
  { over: bothFamilies },
);

scenario('a callback is never called before write() has returned', async (stage) => {
  const { client, peer } = await pair(stage);
  peer.resume();
  let returned = false;
  await new Promise<void>((resolve) => {
    client.write('x', () => {
      assert.equal(returned, true);
      resolve();
    });
    returned = true;
  });
});

scenario('an empty write is called back and sends nothing', async (stage) => {
  const { client, peer } = await pair(stage);
  stage.watch(peer, 'peer', ['data', 'end']);
  await new Promise<void>((resolve) => client.write('', () => resolve()));
  await new Promise<void>((resolve) => client.write(Buffer.alloc(0), () => resolve()));
  const ended = happens(peer, 'end');
  client.end();
  await ended;
  assert.deepEqual(stage.lane('peer'), [['end']]);
});

scenario('corked writes leave through one _writev', async (stage) => {
  const { client, peer } = await pair(stage);
  const counts: number[] = [];
  const original: unknown = Reflect.get(client, '_writev');
  assert.equal(typeof original, 'function');
  client._writev = function counting(chunks, callback) {
    counts.push(chunks.length);
    Reflect.apply(original as (...args: unknown[]) => unknown, this, [chunks, callback]);
  };
  const arrived = receives(peer, 5);
  client.cork();
  for (const letter of 'hello') client.write(letter);
  client.uncork();
  assert.equal((await arrived).toString(), 'hello');
  stage.trace('client', counts);
  assert.deepEqual(counts, [5]);
});

scenario('a replaced Socket.prototype._writev is used for corked writes', async (stage) => {
  const prototype = stage.net.Socket.prototype;
  const original = Object.getOwnPropertyDescriptor(prototype, '_writev');
  assert.ok(
    original !== undefined && typeof original.value === 'function',
    '_writev is on the prototype',
  );
  const writev: unknown = original.value;
  stage.defer(() => Object.defineProperty(prototype, '_writev', original));
  const counts: number[] = [];
  prototype._writev = function counting(chunks, callback) {
    counts.push(chunks.length);
    Reflect.apply(writev as (...args: unknown[]) => unknown, this, [chunks, callback]);
  };
  const { client, peer } = await pair(stage);
  const arrived = receives(peer, 3);
  client.cork();
  for (const letter of 'abc') client.write(letter);
  client.uncork();
  assert.equal((await arrived).toString(), 'abc');
  assert.deepEqual(counts, [3]);
});

scenario('nothing leaves while corked, and nested corks count', async (stage) => {
  const { client, peer } = await pair(stage);
  stage.watch(peer, 'peer', ['data']);
  client.cork();
  client.cork();
  client.write('together ');
  client.write('in one');
  client.uncork();
  stage.trace('client', 'corked', client.writableCorked, client.writableLength);
  await stage.settled();
  assert.deepEqual(stage.lane('peer'), []);
  const data = happens(peer, 'data');
  client.uncork();
  await data;
  assert.deepEqual(stage.lane('peer'), [['data', { bytes: 'together in one' }]]);
});

scenario('end() sends what is still corked', async (stage) => {
  const { client, peer } = await pair(stage);
  const text = received(peer);
  client.cork();
  client.write('never uncorked, ');
  client.end('still sent');
  assert.equal((await text).toString(), 'never uncorked, still sent');
});

scenario('callbacks of corked writes come one for each, in order', async (stage) => {
  const { client, peer } = await pair(stage);
  peer.resume();
  const order: number[] = [];
  await new Promise<void>((resolve) => {
    client.cork();
    for (let number = 0; number < 10; number += 1) {
      client.write(`${number}`, () => {
        order.push(number);
        if (number === 9) resolve();
      });
    }
    client.uncork();
  });
  assert.deepEqual(order, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

scenario(
  "write() returns false at the mark, and 'drain' follows",
  async (stage) => {
    const { client, peer } = await pair(stage);
    peer.pause();
    let drains = 0;
    client.on('drain', () => (drains += 1));
    const returned = client.write(pattern(10_000_000));
    assert.equal(returned, false);
    assert.equal(client.writableNeedDrain, true);
    await stage.settled();
    assert.equal(drains, 0, 'not while the reader holds back');
    const drained = happens(client, 'drain');
    peer.resume();
    await drained;
    await stage.settled();
    stage.trace('client', drains, client.writableNeedDrain, client.writableLength);
    assert.equal(drains, 1);
    assert.equal(client.writableNeedDrain, false);
    assert.equal(client.write('small'), true);
  },
  { over: bothFamilies },
);

scenario("'drain' comes after the callbacks of the writes it is about", async (stage) => {
  const { client, peer } = await pair(stage);
  peer.pause();
  const order: string[] = [];
  client.on('drain', () => order.push('drain'));
  client.write(pattern(3_000_000), () => order.push('first'));
  client.write(pattern(3_000_000), () => order.push('second'));
  const drained = happens(client, 'drain');
  peer.resume();
  await drained;
  await stage.settled();
  stage.trace('client', ...order);
  assert.deepEqual([...order].sort(), ['drain', 'first', 'second']);
});

scenario(
  'while the kernel takes everything at once, a write that nobody waits for returns true, whatever the mark',
  async (stage) => {
    for (const [label, options] of [
      ['a mark of 10', { writableHighWaterMark: 10 }],
      ['the default mark', {}],
    ] as const) {
      const { client, peer } = await pair(stage, { client: options as object });
      peer.resume();
      stage.watch(client, label, ['drain']);
      const returned = [
        client.write('more than ten bytes'),
        client.write('more than ten bytes'),
        client.write(pattern(16_384)),
        client.write(pattern(16_384)),
        client.write(pattern(65_536), () => stage.trace(label, 'callback')),
        client.writableNeedDrain,
        client.writableLength,
      ];
      stage.trace(label, ...returned);
      await stage.settled();
      assert.deepEqual(returned, [true, true, true, true, true, false, 0], label);
    }
  },
);

scenario('before connect, write() returns false at the mark', async (stage) => {
  const address = stage.address();
  await listen(stage, address, {}, (peer) => peer.resume());
  const client = new stage.net.Socket({ writableHighWaterMark: 10 } as object);
  discard(stage, client);
  client.connect(address);
  const returned = [client.write('12345'), client.write('12345'), client.write('1')];
  stage.trace('client', ...returned);
  assert.deepEqual(returned, [true, false, false]);
  await happens(client, 'drain');
});

scenario('a writer that waits for drain gets everything across', async (stage) => {
  const { client, peer } = await pair(stage);
  const content = pattern(8_000_000);
  const text = received(peer);
  for (let offset = 0; offset < content.length; offset += 50_000) {
    if (!client.write(content.subarray(offset, offset + 50_000))) await happens(client, 'drain');
  }
  client.end();
  assert.ok((await text).equals(content));
});

scenario('all forms of end() send their data and call back once', async (stage) => {
  const forms: readonly [string, (socket: Socket, done: () => void) => unknown, string][] = [
    ['end(callback)', (socket, done) => socket.end(done), ''],
    ['end(data, callback)', (socket, done) => socket.end('text', done), 'text'],
    [
      'end(data, encoding, callback)',
      (socket, done) => socket.end('74657874', 'hex', done),
      'text',
    ],
    ['end(data)', (socket, done) => socket.once('finish', done).end('text'), 'text'],
    [
      'end(data, encoding)',
      (socket, done) => socket.once('finish', done).end('74657874', 'hex'),
      'text',
    ],
    ['end(buffer, callback)', (socket, done) => socket.end(Buffer.from('text'), done), 'text'],
    ['end(undefined, callback)', (socket, done) => call(socket, 'end', undefined, done), ''],
    [
      'end(null, undefined, callback)',
      (socket, done) => call(socket, 'end', null, undefined, done),
      '',
    ],
  ];
  for (const [form, end, expected] of forms) {
    const { client, peer } = await pair(stage);
    stage.watch(client, form, ['finish', 'end', 'error', 'close']);
    const text = received(peer);
    const closed = happens(client, 'close');
    const returned = end(client, () => stage.trace(form, 'callback'));
    assert.equal(returned, client, form);
    assert.equal((await text).toString(), expected, form);
    await closed;
    assert.equal(stage.lane(form).filter(([event]) => event === 'callback').length, 1, form);
  }
});

scenario("'finish' comes after every write callback", async (stage) => {
  const { client, peer } = await pair(stage);
  peer.resume();
  stage.watch(client, 'client', ['finish']);
  client.write('one', () => stage.trace('client', 'one'));
  client.write(pattern(1_000_000), () => stage.trace('client', 'two'));
  const finished = happens(client, 'finish');
  client.end('three', () => stage.trace('client', 'end callback'));
  await finished;
  await stage.settled();
  assert.deepEqual(
    stage.lane('client').map(([what]) => what),
    ['one', 'two', 'end callback', 'finish'],
  );
});

scenario('a second end() does nothing, a second end(callback) is told so', async (stage) => {
  const { client, peer } = await pair(stage, { server: { allowHalfOpen: true } });
  peer.resume();
  stage.watch(client, 'client', ['finish', 'error', 'close']);
  const finished = happens(client, 'finish');
  client.end();
  client.end();
  client.end((error?: Error) => stage.trace('second callback', error));
  await finished;
  client.end((error?: Error) => stage.trace('third callback', error));
  await stage.settled();
  assert.deepEqual(stage.lane('client'), [['finish']]);
  assert.equal(stage.lane('second callback').length, 1);
  assert.equal(stage.lane('third callback').length, 1);
});

scenario("writing inside 'connect', 'data' and write callbacks works", async (stage) => {
  const address = stage.address();
  await listen(stage, address, {}, (peer) => peer.pipe(peer));
  const client = stage.net.connect(address);
  discard(stage, client);
  client.on('connect', () => client.write('1', () => client.write('2')));
  let text = '';
  await new Promise<void>((resolve) => {
    client.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text === '12') client.write('3');
      if (text === '123') resolve();
    });
  });
  assert.equal(text, '123');
});

scenario('a thousand writes chained through their callbacks arrive in order', async (stage) => {
  const { client, peer } = await pair(stage);
  const text = received(peer);
  const count = 1000;
  const next = (number: number): void => {
    if (number === count) client.end();
    else client.write(`${number} `, () => next(number + 1));
  };
  next(0);
  assert.equal(
    (await text).toString(),
    Array.from({ length: count }, (_, number) => `${number} `).join(''),
  );
});

scenario('destroy() inside a write callback is safe', async (stage) => {
  const { client, peer } = await pair(stage);
  peer.resume();
  stage.watch(client, 'client', ['error', 'close']);
  const closed = happens(client, 'close');
  client.write('x', () => {
    stage.trace('client', 'callback');
    client.destroy();
  });
  await closed;
  assert.deepEqual(stage.lane('client'), [['callback'], ['close', false]]);
});

scenario('a mark of 0 or 1 still lets everything through', async (stage) => {
  for (const mark of [0, 1]) {
    const { client, peer } = await pair(stage, {
      client: { writableHighWaterMark: mark } as object,
    });
    const text = received(peer);
    for (const letter of 'marked') client.write(letter);
    client.end();
    assert.equal((await text).toString(), 'marked', `${mark}`);
  }
});
