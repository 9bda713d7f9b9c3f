/** Descriptors and credentials that travel with messages. */
import assert from 'node:assert/strict';
import { closeSync, fstatSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { constants, Descriptor, RawSocket } from 'afunix/raw';
import { grown, leavesNothingOpen, takeCensus } from '../helpers/descriptors';
import { runLone } from '../helpers/lone-process';
import { freshDirectory } from '../helpers/socket-paths';
import { bytes, fails, isCloseOnExec, pair, python, receiveText, types } from './support';

const memory = Buffer.alloc(64);

function openFile(t: TestContext, content: string): Descriptor {
  const descriptor = new Descriptor(openSync(path.join(freshDirectory(t), 'file'), 'w+'));
  t.after(() => descriptor.close());
  writeSync(descriptor.fd, content);
  return descriptor;
}

const textOf = (fd: number): string => {
  const content = Buffer.alloc(64);
  return content.toString('utf8', 0, readSync(fd, content, 0, 64, 0));
};

for (const type of types) {
  test(`${type}: a file passes, stays the sender's, and is close-on-exec at the receiver`, (t) => {
    const [left, right] = pair(t, type);
    const file = openFile(t, 'the same file');
    assert.equal(left.sendmsg(bytes('take it'), { descriptors: [file] }), 7);
    assert.equal(textOf(file.fd), 'the same file');
    const message = right.recvmsg(memory, { descriptors: 1 })!;
    assert.equal(memory.toString('utf8', 0, message.bytes), 'take it');
    assert.equal(message.controlTruncated, false);
    assert.equal(message.descriptors.length, 1);
    const [received] = message.descriptors;
    assert.equal(isCloseOnExec(received.fd), true);
    assert.notEqual(received.fd, file.fd);
    assert.equal(fstatSync(received.fd).ino, fstatSync(file.fd).ino);
    file.close();
    assert.equal(textOf(received.fd), 'the same file');
    received.close();
  });

  test(`${type}: a socket passes, and works at the other end`, (t) => {
    const [left, right] = pair(t, type);
    const [near, far] = pair(t, type);
    left.sendmsg(bytes('x'), { descriptors: [far] });
    far.close();
    const [received] = right.recvmsg(memory, { descriptors: 8 })!.descriptors;
    const socket = RawSocket.fromFd(received);
    socket.send(bytes('through the passed socket'));
    assert.equal(receiveText(near), 'through the passed socket');
    socket.close();
    assert.equal(receiveText(near), 0);
  });

  test(`${type}: 253 pass at once, one more is refused here`, (t) => {
    const [left, right] = pair(t, type);
    const many = Array.from({ length: 253 }, () => 0);
    left.sendmsg(bytes('x'), { descriptors: many });
    const { descriptors, controlTruncated } = right.recvmsg(memory, { descriptors: 253 })!;
    assert.equal(descriptors.length, 253);
    assert.equal(controlTruncated, false);
    descriptors.forEach((descriptor) => descriptor.close());
    fails(() => left.sendmsg(bytes('x'), { descriptors: [...many, 0] }), {
      code: 'ERR_OUT_OF_RANGE',
    });
    fails(() => right.recvmsg(memory, { descriptors: 254 }), { code: 'ERR_OUT_OF_RANGE' });
  });

  for (const { sent, accepted } of [
    { sent: 1, accepted: 0 },
    { sent: 2, accepted: 1 },
    { sent: 4, accepted: 3 },
    { sent: 5, accepted: 4 },
    { sent: 100, accepted: 3 },
    { sent: 253, accepted: 252 },
  ]) {
    test(`${type}: ${sent} where ${accepted} are accepted: all closed, told, the bytes delivered`, (t) => {
      const [left, right] = pair(t, type);
      const file = openFile(t, '');
      const before = takeCensus();
      left.sendmsg(bytes('bytes'), { descriptors: Array.from({ length: sent }, () => file) });
      const message = right.recvmsg(memory, { descriptors: accepted })!;
      assert.equal(message.controlTruncated, true);
      assert.deepEqual(message.descriptors, []);
      assert.equal(memory.toString('utf8', 0, message.bytes), 'bytes');
      assert.deepEqual(grown(before, takeCensus()), {});
      left.sendmsg(bytes('next'), { descriptors: [file] });
      const next = right.recvmsg(memory, { descriptors: 1 })!;
      assert.equal(next.descriptors.length, 1);
      next.descriptors[0].close();
    });
  }

  test(`${type}: nobody asked: the kernel closes them, and says that there were some`, (t) => {
    const [left, right] = pair(t, type);
    const before = takeCensus();
    left.sendmsg(bytes('x'), { descriptors: [0, 1, 2] });
    left.sendmsg(bytes('y'), { descriptors: [0] });
    const message = right.recvmsg(memory)!;
    assert.deepEqual([message.controlTruncated, message.descriptors.length], [true, 0]);
    assert.equal(right.recv(memory), 1);
    assert.deepEqual(grown(before, takeCensus()), {});
  });

  test(`${type}: descriptors that nobody received go with the socket`, () =>
    leavesNothingOpen(async () => {
      const [left, right] = RawSocket.socketpair(type);
      left.sendmsg(bytes('x'), { descriptors: [left, right, 0] });
      left.close();
      right.close();
    }, 50));

  test(`${type}: peeked descriptors are duplicates, each closed by whoever got it`, (t) => {
    const [left, right] = pair(t, type);
    left.sendmsg(bytes('x'), { descriptors: [0] });
    const before = takeCensus();
    const peeked = right.recvmsg(memory, { descriptors: 1, flags: constants.MSG_PEEK })!;
    const taken = right.recvmsg(memory, { descriptors: 1 })!;
    assert.equal(peeked.descriptors.length + taken.descriptors.length, 2);
    [...peeked.descriptors, ...taken.descriptors].forEach((descriptor) => descriptor.close());
    assert.deepEqual(grown(before, takeCensus()), {});
  });

  test(`${type}: what cannot be sent is refused before anything leaves`, (t) => {
    const [left, right] = pair(t, type);
    const closed = new Descriptor(openSync('/dev/null', 'r'));
    closed.close();
    const send = (...descriptors: unknown[]): unknown =>
      left.sendmsg(bytes('x'), { descriptors: descriptors as number[] });
    fails(() => send(closed), { code: 'EBADF' });
    fails(() => send(-1), { code: 'ERR_OUT_OF_RANGE' });
    fails(() => send(1.5), { code: 'ERR_OUT_OF_RANGE' });
    fails(() => send('0'), { code: 'ERR_INVALID_ARG_TYPE' });
    fails(() => send(null), { code: 'ERR_INVALID_ARG_TYPE' });
    fails(() => send(0, 987_654), { code: 'EBADF', syscall: 'sendmsg' });
    assert.equal(receiveText(right), -1);
  });

  test(`${type}: credentials come with a message if they are asked for`, (t) => {
    const [left, right] = pair(t, type);
    const mine = { pid: process.pid, uid: process.getuid!(), gid: process.getgid!() };
    left.sendmsg(bytes('x'), { credentials: mine });
    assert.equal(right.recvmsg(memory, { credentials: true })?.credentials, null, 'not asked');
    right.setsockopt('SO_PASSCRED', 1);
    left.send(bytes('x'));
    assert.deepEqual(right.recvmsg(memory, { credentials: true })?.credentials, mine);
    left.sendmsg(bytes('x'), { credentials: mine, descriptors: [0, 1] });
    const both = right.recvmsg(memory, { credentials: true, descriptors: 2 })!;
    assert.deepEqual([both.credentials, both.descriptors.length], [mine, 2]);
    both.descriptors.forEach((descriptor) => descriptor.close());
    left.send(bytes('x'));
    assert.equal(right.recvmsg(memory, { descriptors: 1 })?.credentials, null, 'not taken in');
    const wrong = { ...mine, uid: -1 };
    fails(() => left.sendmsg(bytes('x'), { credentials: wrong }), { code: 'ERR_OUT_OF_RANGE' });
  });

  test(`${type}: interop with Python, in both directions`, async (t) => {
    const [left, right] = pair(t, type);
    const file = openFile(t, 'from JavaScript');
    const program = `
import os, socket, tempfile
s = socket.socket(fileno=3)
s.setblocking(True)
data, fds, flags, address = socket.recv_fds(s, 64, 8)
assert data == b'to python', data
assert len(fds) == 3, fds
assert os.pread(fds[1], 64, 0) == b'from JavaScript'
made = tempfile.TemporaryFile()
made.write(b'from Python')
made.flush()
socket.send_fds(s, [b'to ', b'js'], [made.fileno()] + fds)
print('well')`;
    left.sendmsg([bytes('to '), bytes('python')], { descriptors: [0, file, 1] });
    const ended = python(t, program, right.fd);
    right.close();
    assert.ok(((await left.poll(constants.POLLIN)) & constants.POLLIN) !== 0);
    const message = left.recvmsg(memory, { descriptors: 4 })!;
    assert.equal(memory.toString('utf8', 0, message.bytes), 'to js');
    assert.equal(message.descriptors.length, 4);
    assert.equal(textOf(message.descriptors[0].fd), 'from Python');
    assert.equal(textOf(message.descriptors[2].fd), 'from JavaScript');
    message.descriptors.forEach((descriptor) => descriptor.close());
    assert.equal(await ended, 'well\n');
  });
}

test('stream: descriptors stay with their bytes, and a read ends behind them', (t) => {
  const [left, right] = pair(t, 'stream');
  left.send(bytes('AA'));
  left.sendmsg(bytes('BB'), { descriptors: [0] });
  left.send(bytes('CC'));
  const first = right.recvmsg(memory, { descriptors: 1 })!;
  assert.equal(memory.toString('utf8', 0, first.bytes), 'AABB');
  assert.equal(first.descriptors.length, 1);
  first.descriptors[0].close();
  const second = right.recvmsg(memory, { descriptors: 1 })!;
  assert.deepEqual([second.bytes, second.descriptors.length], [2, 0]);
});

test('stream: descriptors without a byte are refused; seqpacket carries them', (t) => {
  const [left] = pair(t, 'stream');
  const send = (parts: Uint8Array[]): unknown => left.sendmsg(parts, { descriptors: [0] });
  fails(() => send([]), { code: 'ERR_INVALID_ARG_VALUE' });
  fails(() => send([new Uint8Array(0)]), { code: 'ERR_INVALID_ARG_VALUE' });
  const [near, far] = pair(t, 'seqpacket');
  assert.equal(near.sendmsg([], { descriptors: [0] }), 0);
  near.close();
  const message = far.recvmsg(memory, { descriptors: 1 })!;
  assert.deepEqual([message.end, message.descriptors.length], [false, 1]);
  message.descriptors[0].close();
});

test('where the table of descriptors is full, the survivors are closed and it is told', async (t) => {
  const lines = await runLone(
    t,
    {},
    ({ require, say }) => {
      const fs = require('node:fs') as typeof import('node:fs');
      const { RawSocket } = require('afunix/raw') as typeof import('afunix/raw');
      const [left, right] = RawSocket.socketpair('seqpacket');
      left.sendmsg(Buffer.from('eight'), { descriptors: [0, 0, 0, 0, 0, 0, 0, 0] });
      const taken: number[] = [];
      try {
        for (;;) taken.push(fs.openSync('/dev/null', 'r'));
      } catch (error) {
        say((error as { code?: string }).code);
      }
      for (let spare = 0; spare < 3; spare += 1) fs.closeSync(taken.pop()!);
      const { bytes, controlTruncated, descriptors } = right.recvmsg(Buffer.alloc(8), {
        descriptors: 8,
      })!;
      say([bytes, controlTruncated, descriptors.length].join());
      // The three places are free again.
      for (let spare = 0; spare < 3; spare += 1) taken.push(fs.openSync('/dev/null', 'r'));
      try {
        RawSocket.socket('stream');
      } catch (error) {
        say((error as { code?: string }).code);
      }
      try {
        RawSocket.socketpair('stream');
      } catch (error) {
        say((error as { syscall?: string }).syscall);
      }
      for (const socket of [left, right]) socket.close();
    },
    { descriptors: 80 },
  );
  assert.deepEqual(lines, ['EMFILE', '5,true,0', 'EMFILE', 'socketpair']);
});

test('too many descriptors in flight are ETOOMANYREFS, with a hint', async (t) => {
  const lines = await runLone(
    t,
    {},
    ({ require, say }) => {
      const { RawSocket } = require('afunix/raw') as typeof import('afunix/raw');
      // Privileged processes have no such limit.
      if (process.getuid!() === 0) process.setuid!(65_534);
      const [left, right] = RawSocket.socketpair('seqpacket');
      const descriptors = Array.from({ length: 50 }, () => 0);
      try {
        for (let sent = 0; sent < 20; sent += 1) left.sendmsg(Buffer.from('x'), { descriptors });
        say('no limit');
      } catch (error) {
        const { code, syscall, hint } = error as { code: string; syscall: string; hint: string };
        say(`${code} ${syscall} ${hint.includes('in flight')}`);
      }
      while (right.recv(Buffer.alloc(1)) > 0);
      say(left.sendmsg(Buffer.from('x'), { descriptors }));
      for (const socket of [left, right]) socket.close();
    },
    { descriptors: 100 },
  );
  assert.deepEqual(lines, ['ETOOMANYREFS sendmsg true', '1']);
});

/** Passed and received, then closed, dropped by the limit, or never received. */
function passMany(count: number, perMessage: number): number {
  const [left, right] = RawSocket.socketpair('seqpacket');
  const descriptors = Array.from({ length: perMessage }, (_, index) => (index % 2 ? left.fd : 0));
  let passed = 0;
  for (let round = 0; passed < count; round += 1) {
    left.sendmsg(bytes('x'), { descriptors });
    passed += perMessage;
    // One kind after the other: taken in, too many, and unwanted.
    const wanted = [perMessage, perMessage - 1, undefined][round % 3];
    const message = right.recvmsg(memory, { descriptors: wanted })!;
    assert.equal(message.descriptors.length, round % 3 === 0 ? perMessage : 0);
    assert.equal(message.controlTruncated, round % 3 !== 0);
    message.descriptors.forEach((descriptor) => descriptor.close());
  }
  left.sendmsg(bytes('never received'), { descriptors });
  left.close();
  right.close();
  return passed;
}

const total = process.env['AFUNIX_LONG'] === '1' ? 100_000 : 5_000;

test(`${total} descriptors pass and none is left`, () => {
  passMany(300, 3);
  const before = takeCensus();
  let passed = 0;
  for (const perMessage of [1, 2, 3, 16, 253]) passed += passMany(total / 5, perMessage);
  assert.ok(passed >= total);
  assert.deepEqual(grown(before, takeCensus()), {});
});

test('a killed peer leaves nothing of what was on its way', async (t) => {
  const before = takeCensus();
  for (let round = 0; round < 5; round += 1) {
    const [left, right] = RawSocket.socketpair('seqpacket');
    const lone = python(
      t,
      `import os, signal, socket
s = socket.socket(fileno=3)
for _ in range(20): socket.send_fds(s, [b'x'], [0, 0, 0, 3])
os.kill(os.getpid(), signal.SIGKILL)`,
      right.fd,
    );
    right.close();
    await assert.rejects(lone, /null/);
    const first = left.recvmsg(memory, { descriptors: 4 })!;
    assert.equal(first.descriptors.length, 4);
    first.descriptors.forEach((descriptor) => descriptor.close());
    left.close();
  }
  assert.deepEqual(grown(before, takeCensus()), {});
});

test('the census would see a leak', () => {
  const before = takeCensus();
  const kept = openSync(path.join(__dirname, path.basename(__filename)), 'r');
  assert.equal(Object.keys(grown(before, takeCensus())).length, 1);
  closeSync(kept);
  assert.ok(readFileSync(__filename).length > 0);
});
