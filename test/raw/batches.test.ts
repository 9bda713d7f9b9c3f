/** Many messages per system call, described by a table. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BATCH_COLUMNS, constants, type RawSocket } from 'afunix/raw';
import { bytes, fails, pair, receiveText, types } from './support';

const { MSG_CTRUNC, MSG_TRUNC } = constants;

function rowsOf(table: Int32Array, count: number): number[][] {
  return Array.from({ length: count }, (_, row) => [
    ...table.subarray(BATCH_COLUMNS * row, BATCH_COLUMNS * (row + 1)),
  ]);
}

/** A table of messages that lie one behind the other. */
function lengths(...sizes: readonly number[]): Int32Array {
  const table = new Int32Array(BATCH_COLUMNS * sizes.length);
  let offset = 0;
  sizes.forEach((size, row) => {
    table.set([offset, size], BATCH_COLUMNS * row);
    offset += size;
  });
  return table;
}

const tableFor = (rows: number): Int32Array => new Int32Array(BATCH_COLUMNS * rows);

test('seqpacket: a batch leaves in one call and arrives in one, each message apart', (t) => {
  const [left, right] = pair(t, 'seqpacket');
  const sent = lengths(3, 5, 1);
  assert.equal(left.sendBatch(bytes('onethree2'), sent), 3);
  assert.deepEqual(rowsOf(sent, 3), [
    [0, 3, 3, 0],
    [3, 5, 5, 0],
    [8, 1, 1, 0],
  ]);
  const memory = new SharedArrayBuffer(64);
  const table = new Int32Array(new SharedArrayBuffer(4 * BATCH_COLUMNS * 8));
  assert.equal(right.recvBatch(memory, table, 8), 3);
  assert.deepEqual(rowsOf(table, 3), [
    [0, 3, 3, 0],
    [8, 5, 5, 0],
    [16, 1, 1, 0],
  ]);
  assert.equal(Buffer.from(memory, 8, 5).toString(), 'three');
  assert.equal(right.recvBatch(memory, table, 8), -1);
});

test('seqpacket: a message longer than its slot is flagged with its full length', (t) => {
  const [left, right] = pair(t, 'seqpacket');
  left.sendBatch(bytes('0123456789next'), lengths(10, 4));
  const memory = Buffer.alloc(8);
  const table = tableFor(2);
  assert.equal(right.recvBatch(memory, table, 4), 2);
  assert.deepEqual(rowsOf(table, 2), [
    [0, 4, 10, MSG_TRUNC],
    [4, 4, 4, 0],
  ]);
  assert.equal(memory.toString(), '0123next');
});

test('seqpacket: at the end of input a batch stops, and then there are none', (t) => {
  const [left, right] = pair(t, 'seqpacket');
  left.sendBatch(bytes('ab'), lengths(1, 1));
  left.close();
  const table = tableFor(16).fill(-7);
  const memory = Buffer.alloc(256, '?');
  assert.equal(right.recvBatch(memory, table, 16), 2);
  assert.deepEqual(
    rowsOf(table, 3)[2],
    [-7, -7, -7, -7],
    'rows behind the messages are left alone',
  );
  for (let round = 0; round < 3; round += 1) assert.equal(right.recvBatch(memory, table, 16), 0);
});

for (const { name, passCredentials, closes, sizes, counted } of [
  { name: 'between others', passCredentials: false, closes: true, sizes: [1, 0, 0, 1], counted: 4 },
  {
    name: 'from a peer that stays',
    passCredentials: false,
    closes: false,
    sizes: [0, 0],
    counted: 2,
  },
  { name: 'last before the end', passCredentials: false, closes: true, sizes: [1, 0], counted: 1 },
  {
    name: 'last, with SO_PASSCRED',
    passCredentials: true,
    closes: true,
    sizes: [1, 0],
    counted: 2,
  },
  {
    name: 'only, with SO_PASSCRED',
    passCredentials: true,
    closes: true,
    sizes: [0, 0, 0],
    counted: 3,
  },
]) {
  test(`seqpacket: empty messages ${name}`, (t) => {
    const [left, right] = pair(t, 'seqpacket');
    if (passCredentials) right.setsockopt('SO_PASSCRED', 1);
    assert.equal(left.sendBatch(bytes('abcd'), lengths(...sizes)), sizes.length);
    if (closes) left.close();
    const table = tableFor(8);
    assert.equal(right.recvBatch(Buffer.alloc(64), table, 8), counted);
    const expected = sizes
      .slice(0, counted)
      .map((size) => [size, passCredentials ? MSG_CTRUNC : 0]);
    assert.deepEqual(
      rowsOf(table, counted).map(([, length, , flags]) => [length, flags]),
      expected,
    );
    assert.equal(right.recvBatch(Buffer.alloc(64), table, 8), closes ? 0 : -1);
  });
}

test('seqpacket: slots full of empty messages do not hide the messages behind them', (t) => {
  const [left, right] = pair(t, 'seqpacket');
  left.sendBatch(bytes('last'), lengths(0, 0, 4));
  left.close();
  const table = tableFor(2);
  const memory = Buffer.alloc(32);
  assert.equal(right.recvBatch(memory, table, 16), 2);
  assert.equal(right.recvBatch(memory, table, 16), 1);
  assert.equal(memory.toString('utf8', 0, 4), 'last');
  assert.equal(right.recvBatch(memory, table, 16), 0);
});

test('stream: slots are filled one after the other, and the end is the end', (t) => {
  const [left, right] = pair(t, 'stream');
  left.send(bytes('0123456789'));
  left.close();
  const memory = Buffer.alloc(16);
  const table = tableFor(4);
  assert.equal(right.recvBatch(memory, table, 4), 3);
  assert.deepEqual(
    rowsOf(table, 3).map(([, length]) => length),
    [4, 4, 2],
  );
  assert.equal(memory.toString('utf8', 0, 10), '0123456789');
  assert.equal(right.recvBatch(memory, table, 4), 0);
});

for (const type of types) {
  test(`${type}: what does not fit is left, and the table says how far it came`, (t) => {
    const [left, right] = pair(t, type);
    const memory = Buffer.alloc(1000, 'm');
    const table = new Int32Array(BATCH_COLUMNS * 1024);
    for (let row = 0; row < 1024; row += 1) table[BATCH_COLUMNS * row + 1] = 1000;
    let taken = 0;
    let sent = 0;
    for (;;) {
      const count = left.sendBatch(memory, table);
      if (count === -1) break;
      sent += count;
      for (let row = 0; row < count; row += 1) taken += table[BATCH_COLUMNS * row + 2];
    }
    assert.ok(sent > 0);
    if (type === 'seqpacket') assert.equal(taken, sent * 1000);
    const place = Buffer.alloc(1024 * 1000);
    let arrived = 0;
    for (;;) {
      const count = right.recvBatch(place, table, 1000);
      if (count === -1) break;
      for (const [, length] of rowsOf(table, count)) arrived += length;
    }
    assert.equal(arrived, taken);
  });

  test(`${type}: of a batch for a peer that is gone, EPIPE`, (t) => {
    const [left, right] = pair(t, type);
    right.close();
    fails(() => left.sendBatch(bytes('ab'), lengths(1, 1)), { code: 'EPIPE', syscall: 'sendmmsg' });
  });
}

test('seqpacket: messages before one that is too long are sent, then it is refused', (t) => {
  const [left, right] = pair(t, 'seqpacket');
  const memory = Buffer.alloc(300_000, 'm');
  const table = Int32Array.of(0, 10, 0, 0, 0, 300_000, 0, 0);
  assert.equal(left.sendBatch(memory, table), 1);
  assert.throws(() => left.sendBatch(memory, table.subarray(BATCH_COLUMNS)), {
    code: 'EMSGSIZE',
    size: 300_000,
    limit: left.maxMessageSize,
  });
  assert.equal(receiveText(right), 'm'.repeat(10));
  assert.equal(receiveText(right), -1);
});

test('seqpacket: a reset is told after none of the messages was lost', (t) => {
  const [left, right] = pair(t, 'seqpacket');
  right.sendBatch(bytes('abc'), lengths(1, 1, 1));
  left.send(bytes('never read'));
  right.close();
  const table = tableFor(2);
  const memory = Buffer.alloc(32);
  const seen: unknown[] = [];
  for (let round = 0; round < 5; round += 1) {
    try {
      seen.push(left.recvBatch(memory, table, 16));
    } catch (error) {
      seen.push((error as { code?: string }).code);
    }
  }
  assert.deepEqual(seen, ['ECONNRESET', 2, 1, 0, 0]);
});

test('seqpacket: descriptors that nobody asked for are closed by the kernel, and the row says so', (t) => {
  const [left, right] = pair(t, 'seqpacket');
  left.sendmsg(bytes('x'), { descriptors: [0, 1] });
  const table = tableFor(1);
  assert.equal(right.recvBatch(Buffer.alloc(8), table, 8), 1);
  assert.deepEqual(rowsOf(table, 1), [[0, 1, 1, MSG_CTRUNC]]);
});

test('the number of messages is the smaller of rows and slots, and at most 1,024', (t) => {
  const [left, right] = pair(t, 'seqpacket');
  left.setsockopt('SO_SNDBUFFORCE', 8 << 20);
  const many = tableFor(2000);
  for (let row = 0; row < 2000; row += 1) many[BATCH_COLUMNS * row + 1] = 1;
  fails(() => left.sendBatch(bytes('m'), many), { code: 'ERR_OUT_OF_RANGE' });
  assert.equal(left.sendBatch(bytes('m'), many, 1024), 1024);
  assert.equal(left.sendBatch(bytes('m'), many, 976), 976);
  assert.equal(right.recvBatch(Buffer.alloc(2000), tableFor(3), 1), 3);
  assert.equal(right.recvBatch(Buffer.alloc(39), tableFor(2000), 10), 3);
  assert.equal(right.recvBatch(Buffer.alloc(2000), tableFor(2000), 1), 1024);
  assert.equal(right.recvBatch(Buffer.alloc(2000), tableFor(2000), 1), 970);
});

/** Sizes that look random, and bytes that say which message they are of. */
function fill(memory: Buffer, table: Int32Array, rows: number, first: number, slot: number): void {
  let offset = 0;
  for (let row = 0; row < rows; row += 1) {
    const number = first + row;
    const size = 4 + ((Math.imul(number, 2654435761) >>> 8) % (slot - 3));
    memory.writeInt32LE(number, offset);
    memory.fill(number & 0xff, offset + 4, offset + size);
    table.set([offset, size, 0, 0], BATCH_COLUMNS * row);
    offset += size;
  }
}

function check(memory: Buffer, [offset, length, full]: readonly number[], number: number): void {
  assert.equal(memory.readInt32LE(offset), number);
  assert.equal(full, length);
  for (let at = offset + 4; at < offset + length; at += 1) {
    if (memory[at] !== (number & 0xff)) assert.fail(`message ${number} is not its own at ${at}`);
  }
}

function carry(left: RawSocket, right: RawSocket, batch: number, messages: number): void {
  const slot = 64;
  const [source, target] = [Buffer.alloc(batch * slot), Buffer.alloc(batch * slot)];
  const [out, into] = [tableFor(batch), tableFor(batch)];
  let seen = 0;
  for (let sent = 0; sent < messages;) {
    const rows = Math.min(batch, messages - sent);
    fill(source, out, rows, sent, slot);
    const count = left.sendBatch(source, out, rows);
    assert.ok(count > 0);
    sent += count;
    while (seen < sent) {
      const received = right.recvBatch(target, into, slot);
      assert.ok(received > 0);
      for (const row of rowsOf(into, received)) check(target, row, seen++);
    }
  }
}

test('seqpacket: every batch size from 1 to 64 carries messages whole and in order', (t) => {
  const [left, right] = pair(t, 'seqpacket');
  for (let batch = 1; batch <= 64; batch += 1) carry(left, right, batch, 500);
});
