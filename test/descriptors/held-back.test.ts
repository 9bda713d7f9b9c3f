/** A socket that is given away while it holds bytes: they are told once, as they were sent, here or where the connection goes on. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type nodeNet from 'node:net';
import { Writable } from 'node:stream';
import { test, type TestContext } from 'node:test';
import net, { type Socket } from 'afunix';
import { pattern } from '../helpers/sockets';

function pair(t: TestContext): [Socket, Socket] {
  const sockets = net.socketpair();
  t.after(() => sockets.forEach((socket) => socket.on('error', () => undefined).destroy()));
  return sockets;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function holds(socket: Socket, length: number): Promise<void> {
  while (socket.readableLength < length) await turn();
}

async function collect(socket: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk);
  return Buffer.concat(chunks);
}

type Way = (socket: Socket) => AsyncIterable<Buffer>;

const WAYS: Readonly<Record<string, Way>> = {
  'detach()': (socket) => net.Socket.from(socket.detach()) as AsyncIterable<Buffer>,
  'toNetSocket()': (socket) => socket.toNetSocket() as AsyncIterable<Buffer>,
  'transfer()': (socket) => net.receive(net.transfer(socket)) as AsyncIterable<Buffer>,
};

const ENCODINGS = [
  'utf8',
  'utf16le',
  'latin1',
  'ascii',
  'hex',
  'base64',
  'base64url',
] as const satisfies readonly BufferEncoding[];

const CONTENTS: Readonly<Record<string, readonly number[]>> = {
  'two thirds of a character': [0xe2, 0x82],
  'what is no UTF-8': [0xff, 0xfe, 0x41],
  'two bytes': [1, 2],
  'a character of two units, and a half': [0x41, 0xf0, 0x9f, 0x98, 0x80, 0xf0, 0x9f],
  'a high surrogate': [0x41, 0x00, 0x3d, 0xd8],
  'a high surrogate and a byte': [0x41, 0x00, 0x3d, 0xd8, 0x4d],
  'a replacement character': [0xef, 0xbf, 0xbd, 0xc0, 0x80, 0xef, 0xbf],
};

for (const [name, give] of Object.entries(WAYS)) {
  for (const encoding of ENCODINGS) {
    test(`${name} after setEncoding('${encoding}') passes on the bytes as they came, however they were cut`, async (t) => {
      for (const [what, numbers] of Object.entries(CONTENTS)) {
        const content = Buffer.from(numbers);
        for (let cut = 0; cut < content.length; cut += 1) {
          const [one, other] = pair(t);
          const told: unknown[] = [];
          other.setEncoding(encoding).pause();
          for (const part of [content.subarray(0, cut), content.subarray(cut)]) {
            one.write(part);
            const sofar = other.bytesRead;
            while (part.length > 0 && other.bytesRead === sofar) {
              other.read(0);
              await turn();
            }
          }
          other.on('data', (text) => told.push(text)).pause();
          const moved = give(other);
          one.end();
          const rest = await collect(moved);
          assert.deepEqual(rest, content, `${what}, cut at ${cut}`);
          assert.deepEqual(told, []);
        }
      }
    });
  }

  test(`${name} while 'data' is told: what is in no text yet goes on`, async (t) => {
    const [one, other] = pair(t);
    let text = '';
    const moved = new Promise<AsyncIterable<Buffer>>((resolve) => {
      other.setEncoding('utf8').on('data', (part: string) => {
        text += part;
        resolve(give(other));
      });
    });
    one.write(Buffer.from([0x41, 0xe2, 0x82]));
    const rest = await moved;
    one.end(Buffer.from([0xac]));
    assert.equal(text, 'A');
    assert.deepEqual(await collect(rest), Buffer.from([0xe2, 0x82, 0xac]));
  });

  test(`${name} of a socket that flows: nothing is told twice, and nothing afterwards`, async (t) => {
    const [one, other] = pair(t);
    const content = pattern(60_000);
    const told: Buffer[] = [];
    other.pause();
    one.write(content);
    await holds(other, 1);
    other.on('data', (chunk: Buffer) => told.push(chunk));
    // It flows in the next tick.
    other.resume();
    const moved = give(other);
    one.end();
    const rest = await collect(moved);
    assert.ok(Buffer.concat([...told, rest]).equals(content));
  });

  test(`${name} of a socket that is piped: the destination has each byte, or the next owner`, async (t) => {
    const [one, other] = pair(t);
    const content = pattern(400_000);
    const written: Buffer[] = [];
    const slow = new Writable({
      highWaterMark: 1,
      write(chunk: Buffer, _encoding, callback) {
        written.push(chunk);
        // The first is never done.
        if (written.length > 1) callback();
      },
    });
    other.pipe(slow);
    one.write(content);
    await holds(other, 1);
    const before = [written.length, slow.writableLength];
    const moved = give(other);
    one.end();
    const rest = await collect(moved);
    assert.deepEqual([written.length, slow.writableLength], before);
    assert.ok(Buffer.concat([...written, rest]).equals(content));
  });
}

test('what has been read of a decoded text stays behind, a character that was cut goes on as a whole', async (t) => {
  const cases: readonly [BufferEncoding, number, readonly number[], number][] = [
    ['utf8', 1, [0xe2, 0x82, 0xac, 0x41], 3],
    ['utf8', 1, [0xff, 0xfe, 0x41], 1],
    ['utf8', 2, [0xff, 0xe2, 0x82, 0x41], 3],
    ['utf8', 1, [0xf0, 0x9f, 0x98, 0x80, 0x41], 0],
    ['utf8', 2, [0xf0, 0x9f, 0x98, 0x80, 0x41], 4],
    ['utf16le', 1, [0x3d, 0xd8, 0x00, 0xde], 2],
    ['latin1', 2, [0xff, 0xfe, 0xfd], 2],
    ['hex', 3, [0xff, 0xfe, 0xfd], 1],
    ['base64', 4, [1, 2, 3, 4, 5, 6, 7], 3],
    ['base64', 3, [1, 2, 3, 4], 2],
  ];
  for (const [encoding, characters, numbers, bytes] of cases) {
    const [one, other] = pair(t);
    other.setEncoding(encoding).pause();
    one.write(Buffer.from(numbers));
    await holds(other, 1);
    other.read(characters);
    const { descriptor, head } = other.detach();
    descriptor.close();
    assert.deepEqual(head, Buffer.from(numbers).subarray(bytes), `${encoding} ${characters}`);
  }
});

test('reading on, in small parts, forgets what was read: the rest is exact after any number of chunks', async (t) => {
  const [one, other] = pair(t);
  other.setEncoding('utf8').pause();
  const content = Buffer.concat(
    Array.from({ length: 300 }, (_, index) => Buffer.from([0xff, index, 0xe2, 0x82, 0xac, 0xf0])),
  );
  let told = '';
  for (let offset = 0; offset < content.length; offset += 7) {
    one.write(content.subarray(offset, offset + 7));
    const sofar = other.bytesRead;
    while (other.bytesRead === sofar) {
      other.read(0);
      await turn();
    }
    if (other.readableLength > 5) told += other.read(3) as string;
  }
  const { descriptor, head } = other.detach();
  descriptor.close();
  assert.ok(head.length < content.length);
  assert.deepEqual(head, content.subarray(content.length - head.length));
  const text = new TextDecoder('utf-8', { ignoreBOM: true });
  assert.equal(told, text.decode(content.subarray(0, content.length - head.length)));
});

test('an encoding that comes when bytes are held, or a second one, changes nothing of what goes on', async (t) => {
  for (const encodings of [['utf8'], ['latin1', 'utf8'], ['base64', 'hex']] as const) {
    const [one, other] = pair(t);
    const content = Buffer.from([0xff, 0x41, 0xfe, 0xe2, 0x82]);
    other.pause();
    one.write(content);
    await holds(other, content.length);
    for (const encoding of encodings) other.setEncoding(encoding);
    const { descriptor, head } = other.detach();
    descriptor.close();
    assert.deepEqual(head, content);
  }
});

test('nor does the end, which is told to the next owner again', async (t) => {
  for (const encoding of ['utf8', 'base64', 'utf16le'] as const) {
    const [one, other] = pair(t);
    const content = Buffer.from([0x41, 0x42, 0x43, 0xe2]);
    let ended = false;
    other.setEncoding(encoding).on('end', () => (ended = true));
    one.end(content);
    other.on('readable', () => undefined);
    for (let turns = 0; turns < 5; turns += 1) await turn();
    const moved = net.Socket.from(other.detach());
    assert.deepEqual(await collect(moved as AsyncIterable<Buffer>), content);
    assert.equal(ended, false);
  }
});

test('a text that was put back goes on in front of the rest', async (t) => {
  const [one, other] = pair(t);
  other.setEncoding('utf8').pause();
  one.write('first line\nsecond ');
  await holds(other, 1);
  const text = other.read() as string;
  other.unshift(text.slice(text.indexOf('\n') + 1));
  one.write(Buffer.from([0xff, 0x41]));
  await holds(other, 8);
  const { descriptor, head } = other.detach();
  descriptor.close();
  assert.deepEqual(head, Buffer.concat([Buffer.from('second '), Buffer.from([0xff, 0x41])]));
});

test('with `onread`, given away in the callback: the next bytes are the next owner’s', async (t) => {
  const [one, other] = pair(t);
  const content = pattern(50_000);
  const got: Buffer[] = [];
  const reading = net.Socket.from(other.detach(), {
    onread: {
      buffer: Buffer.alloc(1000),
      callback(length, buffer) {
        got.push(Buffer.from(buffer.subarray(0, length)));
        if (got.length === 3) moved = net.Socket.from(reading.detach());
        return true;
      },
    },
  });
  let moved: Socket | undefined;
  one.end(content);
  while (moved === undefined) await turn();
  got.push(await collect(moved as AsyncIterable<Buffer>));
  assert.ok(Buffer.concat(got).equals(content));
});

for (const kind of ['Socket.from()', 'toNetSocket()'] as const) {
  test(`${kind} with \`onread\`: the callback is told what came before, in its buffer, and is heeded`, async (t) => {
    const [one, other] = pair(t);
    other.pause();
    one.write('0123456789');
    await holds(other, 10);
    const got: string[] = [];
    let stopped = false;
    const onread: nodeNet.OnReadOpts = {
      buffer: Buffer.alloc(4),
      callback(length, buffer) {
        got.push(Buffer.from(buffer.subarray(0, length)).toString());
        stopped = got.length === 2;
        return !stopped;
      },
    };
    const moved =
      kind === 'toNetSocket()'
        ? other.toNetSocket({ onread } as nodeNet.SocketConstructorOpts)
        : net.Socket.from(other.detach(), { onread });
    t.after(() => moved.destroy());
    while (!stopped) await turn();
    one.end('abcdef');
    for (let turns = 0; turns < 5; turns += 1) await turn();
    assert.deepEqual(got, ['0123', '4567']);
    moved.resume();
    await once(moved, 'end');
    assert.deepEqual(got, ['0123', '4567', '89', 'abcd', 'ef']);
  });
}
