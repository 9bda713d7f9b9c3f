/** Bytes and messages, one call at a time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { constants, type Memory, RawSocket } from 'afunix/raw';
import { bytes, fails, pair, receiveText, types } from './support';

const { MSG_PEEK, MSG_TRUNC, MSG_EOR } = constants;

/** The types of this TypeScript do not know them yet. */
function resizable(length: number, maxByteLength: number): ArrayBuffer {
  return Reflect.construct(ArrayBuffer, [length, { maxByteLength }]) as ArrayBuffer;
}

for (const type of types) {
  test(`${type}: nothing to read is −1, the end is 0, and it stays 0`, (t) => {
    const [left, right] = pair(t, type);
    const memory = Buffer.alloc(8);
    assert.equal(left.recv(memory), -1);
    assert.equal(left.recvmsg(memory), null);
    right.close();
    for (let round = 0; round < 3; round += 1) {
      assert.equal(left.recv(memory), 0);
      const message = left.recvmsg(memory);
      assert.deepEqual([message?.end, message?.bytes], [true, 0]);
    }
  });

  test(`${type}: no room is −1, and what was taken arrives`, (t) => {
    const [left, right] = pair(t, type);
    const memory = Buffer.alloc(1000, 'x');
    let taken = 0;
    let count = left.send(memory);
    for (; count > 0; count = left.send(memory)) taken += count;
    assert.equal(count, -1);
    assert.equal(left.sendmsg(memory), -1);
    let arrived = 0;
    for (count = right.recv(memory); count > 0; count = right.recv(memory)) arrived += count;
    assert.equal(count, -1);
    assert.equal(arrived, taken);
  });

  test(`${type}: parts of any memory are sent from and received into`, (t) => {
    const [left, right] = pair(t, type);
    const source = bytes('0123456789');
    const make: (() => Memory)[] = [
      () => new ArrayBuffer(10),
      () => new SharedArrayBuffer(10),
      () => resizable(10, 20),
      () => new Uint8Array(new SharedArrayBuffer(14), 4),
      () => new DataView(new ArrayBuffer(12), 1, 10),
      () => new Uint16Array(5),
      () => new Float64Array(2),
      () => new BigInt64Array(2),
      () => Buffer.alloc(10),
    ];
    for (const target of make.map((one) => one())) {
      assert.equal(left.send(source, 2, 5), 5);
      assert.equal(right.recv(target, 3, 6), 5);
      const [buffer, offset] = ArrayBuffer.isView(target)
        ? [target.buffer, target.byteOffset]
        : [target, 0];
      assert.equal(Buffer.from(buffer, offset + 3, 5).toString(), '23456');
      // And back out of the same memory.
      assert.equal(right.send(target, 3, 5), 5);
      assert.equal(receiveText(left), '23456');
    }
  });

  test(`${type}: peek leaves the bytes`, (t) => {
    const [left, right] = pair(t, type);
    left.send(bytes('peeked'));
    const memory = Buffer.alloc(6);
    assert.equal(right.peek(memory), 6);
    assert.equal(right.peek(memory), 6);
    assert.equal(receiveText(right), 'peeked');
    assert.equal(right.peek(memory), -1);
  });

  test(`${type}: many parts leave as one and arrive in many`, (t) => {
    const [left, right] = pair(t, type);
    assert.equal(left.sendmsg([bytes('one,'), new Uint8Array(0), bytes('two')]), 7);
    const [first, second] = [Buffer.alloc(2), Buffer.alloc(16)];
    const message = right.recvmsg([first, second]);
    assert.equal(message?.bytes, 7);
    assert.equal(message.fullLength, 7);
    assert.equal(first.toString() + second.toString('utf8', 0, 5), 'one,two');
  });

  test(`${type}: as many parts as the kernel takes, and not one more`, (t) => {
    const [left, right] = pair(t, type);
    const parts = Array.from({ length: 1024 }, () => bytes('p'));
    assert.equal(left.sendmsg(parts), 1024);
    assert.equal(right.recvmsg(parts.map(() => new Uint8Array(1)))?.bytes, 1024);
    fails(() => left.sendmsg([...parts, bytes('p')]), { code: 'ERR_OUT_OF_RANGE' });
  });

  test(`${type}: the peer's death is told as EPIPE, and never kills the process`, (t) => {
    const [left, right] = pair(t, type);
    right.close();
    fails(() => left.send(bytes('x')), { code: 'EPIPE', errno: -32, syscall: 'send' });
    fails(() => left.sendmsg(bytes('x')), { code: 'EPIPE', syscall: 'sendmsg' });
  });

  test(`${type}: a peer that closes with bytes unread resets, and nothing that it sent is lost`, (t) => {
    const [left, right] = pair(t, type);
    right.send(bytes('sent '));
    right.send(bytes('before'));
    left.send(bytes('never read'));
    right.close();
    let text = '';
    const codes: unknown[] = [];
    const memory = Buffer.alloc(64);
    for (;;) {
      try {
        const count = left.recv(memory);
        if (count === 0) break;
        text += memory.toString('utf8', 0, count);
      } catch (error) {
        codes.push((error as { code?: string }).code);
      }
    }
    assert.equal(text, 'sent before');
    assert.deepEqual(codes, ['ECONNRESET']);
  });

  test(`${type}: queues are counted`, (t) => {
    const [left, right] = pair(t, type);
    assert.deepEqual([left.outq(), right.inq()], [0, 0]);
    left.send(bytes('12345'));
    left.send(bytes('678'));
    assert.equal(right.inq(), 8);
    assert.ok(left.outq() >= 8);
    right.recv(Buffer.alloc(100));
    assert.equal(right.inq(), type === 'stream' ? 0 : 3);
  });
}

test('stream: a send of nothing sends nothing', (t) => {
  const [left, right] = pair(t, 'stream');
  assert.equal(left.send(new Uint8Array(0)), 0);
  assert.equal(receiveText(right), -1);
});

test('stream: long sends are taken in part', (t) => {
  const [left] = pair(t, 'stream');
  const long = Buffer.alloc(4 << 20);
  const taken = left.send(long);
  assert.ok(taken > 0 && taken < long.length);
});

test('seqpacket: messages stay apart, whatever their size', (t) => {
  const [left, right] = pair(t, 'seqpacket');
  for (const text of ['one', '2', 'three']) left.send(bytes(text), 0, undefined, MSG_EOR);
  assert.deepEqual(
    [receiveText(right), receiveText(right), receiveText(right)],
    ['one', '2', 'three'],
  );
});

test('seqpacket: a message too long for the memory tells its full length, and the next is whole', (t) => {
  const [left, right] = pair(t, 'seqpacket');
  const memory = Buffer.alloc(4);
  const send = (): void => ['0123456789', 'next'].forEach((text) => left.send(bytes(text)));
  send();
  assert.equal(right.recv(memory), 10);
  assert.equal(memory.toString(), '0123');
  assert.equal(receiveText(right), 'next');

  send();
  const { bytes: placed, fullLength, truncated } = right.recvmsg([memory.subarray(0, 3), memory])!;
  assert.deepEqual([placed, fullLength, truncated], [7, 10, true]);
  assert.equal(right.recvmsg(memory)?.truncated, false);
});

test('seqpacket: the length of the next message can be asked for without any memory', (t) => {
  const [left, right] = pair(t, 'seqpacket');
  left.send(Buffer.alloc(12_345));
  left.send(bytes('x'));
  assert.equal(right.recv(new Uint8Array(0), 0, 0, MSG_PEEK | MSG_TRUNC), 12_345);
  assert.equal(right.recv(Buffer.alloc(20_000)), 12_345);
  assert.equal(right.inq(), 1);
});

test('seqpacket: the longest message goes, one byte more is EMSGSIZE with both numbers', (t) => {
  const [left, right] = pair(t, 'seqpacket');
  left.setsockopt('SO_SNDBUF', 4096);
  for (const size of [left.maxMessageSize, left.maxMessageSize * 3]) {
    left.setsockopt('SO_SNDBUF', size);
    const limit = left.maxMessageSize;
    assert.equal(limit, left.getsockopt('SO_SNDBUF') - 32);
    const message = Buffer.alloc(limit + 1);
    for (const send of [
      () => left.send(message),
      () => left.sendmsg([message]),
      () => left.sendBatch(message, Int32Array.of(0, limit + 1, 0, 0)),
    ]) {
      assert.throws(send, { code: 'EMSGSIZE', errno: -90, size: limit + 1, limit });
      assert.throws(send, (error: Error) => error.message.includes(`${limit + 1} bytes`));
    }
    assert.equal(left.send(message, 0, limit), limit);
    assert.equal(right.recv(message), limit);
  }
});

/** Where an empty message stands, and whether it can be told from the end. */
const emptyMessages: readonly {
  name: string;
  sent: readonly string[];
  closes: boolean;
  passCredentials?: boolean;
  told: readonly string[];
}[] = [
  { name: 'from a peer that stays', sent: ['', 'a', ''], closes: false, told: ['', 'a', ''] },
  { name: 'with a message behind it', sent: ['', 'a'], closes: true, told: ['', 'a', 'end'] },
  { name: 'last before the end', sent: ['a', ''], closes: true, told: ['a', 'end'] },
  {
    name: 'last before the end, with SO_PASSCRED',
    sent: ['a', '', ''],
    closes: true,
    passCredentials: true,
    told: ['a', '', '', 'end'],
  },
];

for (const { name, sent, closes, passCredentials = false, told } of emptyMessages) {
  test(`seqpacket: an empty message ${name}`, (t) => {
    const [left, right] = pair(t, 'seqpacket');
    if (passCredentials) right.setsockopt('SO_PASSCRED', 1);
    for (const text of sent) assert.equal(left.send(bytes(text)), text.length);
    if (closes) left.close();
    const seen: string[] = [];
    const memory = Buffer.alloc(8);
    for (let message = right.recvmsg(memory); message !== null; message = right.recvmsg(memory)) {
      seen.push(message.end ? 'end' : memory.toString('utf8', 0, message.bytes));
      if (message.end) break;
    }
    assert.deepEqual(seen, told);
  });
}

test('the same memory is used again and again without allocation of its own', (t) => {
  const [left, right] = pair(t, 'seqpacket');
  const shared = new SharedArrayBuffer(128);
  const turn = (): void => {
    for (let count = 0; count < 20_000; count += 1) {
      left.send(shared);
      right.recv(shared);
    }
  };
  turn();
  const gc = (globalThis as { gc?: () => void }).gc!;
  gc();
  const before = process.memoryUsage().heapUsed;
  turn();
  const grown = process.memoryUsage().heapUsed - before;
  assert.ok(grown < 20_000 * 32, `${grown} bytes for 40,000 calls`);
});

test('RawSocket is made by its own functions only', () => {
  fails(() => new (RawSocket as unknown as new () => unknown)(), { code: 'ERR_INVALID_ARG_VALUE' });
});
