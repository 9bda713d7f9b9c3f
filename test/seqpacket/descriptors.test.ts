/** Descriptors that travel beside messages. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { test } from 'node:test';
import { Descriptor } from 'afunix/raw';
import type { MessageBatch, MessageInfo, MessageOptions, Socket } from 'afunix/seqpacket';
import { attempt } from '../helpers/attempt';
import { collectGarbage } from '../helpers/collect-garbage';
import { grown, leavesNothingOpen, takeCensus } from '../helpers/descriptors';
import {
  closeAll,
  contentOf,
  NO_DESCRIPTORS,
  open,
  saidWithFewDescriptors,
  saidWithGarbageCollector,
  send,
} from '../helpers/passed-descriptors';
import { connected, happens, listen, listening, pairOf, seqpacket, texts, until } from './support';

const LONG = process.env['AFUNIX_LONG'] === '1';

const TAKING: MessageOptions = { maxDescriptors: 8 };

async function message(socket: Socket): Promise<{ bytes: Buffer; info: MessageInfo }> {
  const [bytes, info] = (await happens(socket, 'message')) as [Buffer, MessageInfo];
  return { bytes, info };
}

async function batch(socket: Socket): Promise<MessageBatch> {
  const { value } = (await socket.batches().next()) as { value: MessageBatch };
  return value;
}

test('they come in the info of their own message, open, and are the same files', async (t) => {
  const [one, other] = pairOf(t, TAKING);
  const seen: string[] = [];
  other.on('message', (bytes, info) => {
    seen.push(`${bytes.toString()}: ${info.descriptors.map(contentOf).join(' ')}`);
  });
  one.send('none');
  await send(one, [open(t, 'a'), open(t, 'b')], 'two');
  one.sendBatch(['x', 'y']);
  one.sendDescriptors([open(t, 'c')], Buffer.from('one'));
  one.end('last');
  await happens(other, 'end');
  assert.deepEqual(seen, ['none: ', 'two: a b', 'x: ', 'y: ', 'one: c', 'last: ']);
});

test('the sender may close its own as soon as sendDescriptors() has returned', async (t) => {
  const [one, other] = pairOf(t, TAKING);
  const came = message(other);
  const fd = fs.openSync('/dev/zero', 'r');
  const sent = send(one, [fd], 'x');
  fs.closeSync(fd);
  await sent;
  const { info } = await came;
  assert.equal(fs.readSync(info.descriptors[0]?.fd ?? -1, Buffer.alloc(5), 0, 5, null), 5);
  closeAll(info.descriptors);
});

test('a Descriptor, a FileHandle, and whatever has an fd can be sent, and stay the sender’s', async (t) => {
  const [one, other] = pairOf(t, TAKING);
  const came = message(other);
  const handle = await fs.promises.open(__filename);
  const descriptor = new Descriptor(fs.openSync(__filename, 'r'));
  one.sendDescriptors([handle, descriptor, { fd: handle.fd }, 0], 'x');
  const { info } = await came;
  assert.equal(info.descriptors.length, 4);
  closeAll(info.descriptors);
  assert.equal(descriptor.closed, false);
  descriptor.close();
  await handle.close();
});

test('a batch counts them by message and gives them away once; the rest is closed with it', async (t) => {
  const [one, other] = pairOf(t, TAKING);
  other.pause();
  one.send('none');
  await send(one, [open(t, 'a'), open(t, 'b')], 'two');
  await send(one, [open(t, 'c')], 'one');
  const before = takeCensus();
  const iteration = other.batches();
  const { value } = (await iteration.next()) as { value: MessageBatch };
  assert.deepEqual([...value.descriptorCounts], [0, 2, 1]);
  assert.deepEqual([...value.flags], [0, 4, 4]);
  assert.equal(value.info(2).descriptors.length, 1);
  assert.deepEqual(value.takeDescriptors(0), []);
  assert.deepEqual(value.takeDescriptors(1).map(contentOf), ['a', 'b']);
  assert.deepEqual(value.takeDescriptors(1), []);
  assert.deepEqual([...value.descriptorCounts], [0, 2, 1]);
  assert.throws(() => value.takeDescriptors(3), { code: 'ERR_OUT_OF_RANGE' });
  value.release();
  assert.deepEqual(value.takeDescriptors(2), []);
  assert.deepEqual(grown(before, takeCensus()), {});
  assert.equal(String(value.message(0)), 'none');
});

for (const memory of ['owned', 'borrowed'] as const) {
  test(`${memory}: what nobody takes is closed when the next batch is asked for`, async (t) => {
    const [one, other] = pairOf(t, { ...TAKING, batchSize: 5 });
    const kept: Descriptor[] = [];
    const before = takeCensus();
    let messages = 0;
    one.resume();
    for (let i = 0; i < 100; ++i) one.sendDescriptors([0, 1, 2], String(i));
    one.end();
    for await (const each of other.batches({ memory })) {
      assert.ok(each.descriptorCounts.every((count) => count === 3));
      if (messages === 0) kept.push(...each.takeDescriptors(0));
      messages += each.length;
    }
    assert.equal(messages, 100);
    assert.equal(kept.length, 3);
    assert.ok(kept.every(({ closed }) => !closed));
    closeAll(kept);
    await until(() => other.closed && one.closed);
    assert.deepEqual(grown(before, takeCensus()), {});
  });
}

test('they outlast a pause, and an iteration that is left for a listener', async (t) => {
  const [one, other] = pairOf(t, { ...TAKING, batchSize: 2 });
  const fds = ['a', 'b', 'c', 'd', 'e', 'f'].map((text) => open(t, text));
  const told: string[] = [];
  other.on('message', (bytes, info) => {
    told.push(`${bytes.toString()}${info.descriptors.map(contentOf).join('')}`);
    if (told.length === 1) other.pause();
  });
  fds.forEach((fd, i) => one.sendDescriptors([fd], String(i)));
  await until(() => told.length === 1);
  for await (const each of other.batches()) {
    told.push(
      ...Array.from(
        each,
        (bytes, i) => `${bytes.toString()}${each.takeDescriptors(i).map(contentOf).join('')}`,
      ),
    );
    if (told.length >= 3) break;
  }
  await until(() => told.length === 6);
  assert.deepEqual(told, ['0a', '1b', '2c', '3d', '4e', '5f']);
});

test('on a server, and on a client of it', async (t) => {
  const { client, peer } = await connected(t, { server: TAKING, client: TAKING });
  peer.on('message', (bytes, info) => {
    peer.sendDescriptors(info.descriptors, `${bytes.toString()} back`, () =>
      closeAll(info.descriptors),
    );
  });
  const came = message(client);
  await send(client, [open(t, 'there and back')], 'x');
  const { bytes, info } = await came;
  assert.equal(String(bytes), 'x back');
  assert.deepEqual(info.descriptors.map(contentOf), ['there and back']);
});

test('before connect they wait with their message', async (t) => {
  const came: string[] = [];
  const { path } = await listening(t, TAKING, (peer) => {
    peer.on('message', (_, info) => came.push(...info.descriptors.map(contentOf)));
  });
  const client = seqpacket.connect(path);
  client.resume().sendDescriptors([open(t, 'early')], 'x');
  client.end();
  await until(() => came.length === 1);
  assert.deepEqual(came, ['early']);
  if (!client.closed) await happens(client, 'close');
});

test('a peer that takes none: what is behind the refused message fails too, and nothing of it arrives', async (t) => {
  const { client, peer } = await connected(t);
  const told = listen(peer);
  const outcomes: unknown[] = [];
  const note =
    (name: string) =>
    (error: (Error & { code?: string }) | null): void =>
      void outcomes.push(`${name} ${String(error?.code)}`);
  const failed = happens(client, 'error');
  client.send('A', note('A'));
  client.sendDescriptors([0], 'B', note('B'));
  client.send('C', note('C'));
  client.sendBatch(['D', 'E'], note('E'));
  client.sendDescriptors([0], 'F', note('F'));
  await until(() => outcomes.length === 5);
  if (!outcomes.includes('B EPERM')) {
    // Before Linux 6.16 the kernel lets the sender think that they arrived.
    await until(() => told.messages.length === 6);
    assert.ok(told.infos[1]?.descriptorsDropped);
    return;
  }
  const [error] = (await failed) as [Error & { code: string; hint?: string }];
  assert.equal(error.code, 'EPERM');
  assert.match(error.hint ?? '', /maxDescriptors/);
  assert.deepEqual(outcomes, ['A undefined', 'B EPERM', 'C EPERM', 'E EPERM', 'F EPERM']);
  await until(() => peer.closed);
  assert.deepEqual(texts(told), ['A']);
});

test('253 at once, which is as many as the kernel lets through', async (t) => {
  const [one, other] = pairOf(t, { maxDescriptors: 253 });
  const came = message(other);
  await send(one, Array<number>(253).fill(open(t, 'many')), 'x');
  const { info } = await came;
  assert.equal(info.descriptors.length, 253);
  closeAll(info.descriptors);
});

test('what the kernel has no room for yet keeps its own descriptors, in order', async (t) => {
  const [one, other] = pairOf(t, TAKING);
  const before = takeCensus();
  const count = 400;
  let full = false;
  for (let i = 0; i < count; ++i) {
    const text = String(i).padStart(2000);
    if (i % 3 === 0) full = !one.sendDescriptors([0, 1, 2].slice(0, 1 + (i % 2)), text) || full;
    else one.send(text);
  }
  assert.ok(full);
  one.resume().end();
  let next = 0;
  for await (const each of other.batches()) {
    each.descriptorCounts.forEach((came, i) => {
      assert.equal(Number(each.message(i)), next);
      assert.equal(came, next % 3 === 0 ? 1 + (next % 2) : 0, `message ${next}`);
      next += 1;
    });
  }
  assert.equal(next, count);
  await until(() => one.closed && other.closed);
  assert.deepEqual(grown(before, takeCensus()), {});
});

test('they are close-on-exec', async (t) => {
  const [one, other] = pairOf(t, TAKING);
  const came = message(other);
  await send(one, [open(t, 'a')], 'x');
  const [descriptor] = (await came).info.descriptors;
  const info = fs.readFileSync(`/proc/self/fdinfo/${descriptor?.fd ?? ''}`, 'utf8');
  assert.ok((parseInt(/^flags:\s*(\d+)$/m.exec(info)?.[1] ?? '0', 8) & 0o2000000) !== 0);
  descriptor?.close();
});

test('a pair that takes none: the messages come flagged, and nothing stays open', async (t) => {
  const [one, other] = pairOf(t);
  const told = listen(other);
  const before = takeCensus();
  for (let round = 0; round < 100; ++round) await send(one, [0, 1, 2], 'x');
  await until(() => told.messages.length === 100);
  assert.ok(told.infos.every((info) => info.descriptorsDropped && info.descriptors.length === 0));
  assert.deepEqual(grown(before, takeCensus()), {});
});

test('a server that takes none: the sender is told where the kernel can, and nothing stays open', async (t) => {
  const { client, peer } = await connected(t);
  const told = listen(peer);
  const failed = listen(client);
  let refused: NodeJS.ErrnoException | undefined;
  await send(client, [open(t, 'a')], 'x').catch((error: unknown) => {
    refused = error as NodeJS.ErrnoException;
  });
  if (refused !== undefined) {
    // Linux 6.16 and later.
    assert.equal(refused.code, 'EPERM');
    await until(() => client.closed);
    assert.equal(failed.error?.code, 'EPERM');
  } else {
    await until(() => told.messages.length === 1);
    assert.equal(told.infos[0]?.descriptorsDropped, true);
  }
});

test('nobody listens, or a pipe of messages only: they are closed', async () => {
  const before = takeCensus();
  const [one, other] = seqpacket.socketpair(TAKING);
  other.resume();
  for (let round = 0; round < 100; ++round) await send(one, [0, 1, 2], 'x');
  await until(() => other.messagesRead === 100);
  const read: unknown[] = [];
  other.pause();
  other.toDuplex().on('data', (chunk) => read.push(chunk));
  for (let round = 0; round < 20; ++round) await send(one, [0, 1, 2], 'x');
  await until(() => read.length === 20);
  one.destroy();
  other.destroy();
  await until(() => one.closed && other.closed);
  assert.deepEqual(grown(before, takeCensus()), {});
});

test('in a ring they are closed, and their messages say so', async (t) => {
  const [one, other] = pairOf(t, { ...TAKING, maxMessageSize: 100 });
  const before = takeCensus();
  one.sendDescriptors([0, 1], 'before');
  await new Promise((resolve) => setImmediate(resolve));
  const memory = new SharedArrayBuffer(1 << 16);
  other.receiveInto(memory);
  await send(one, [0, 1], 'behind');
  one.resume().end('none');
  await happens(other, 'close');
  const told: string[] = [];
  for (const each of new seqpacket.MessageRing(memory)) {
    for (let i = 0; i < each.length; ++i) {
      told.push(`${each.message(i).toString()} ${each.info(i).descriptorsDropped}`);
      assert.equal(each.info(i).descriptors.length, 0);
    }
    assert.ok(each.descriptorCounts.every((count) => count === 0));
  }
  assert.deepEqual(told, ['before true', 'behind true', 'none false']);
  await until(() => one.closed);
  assert.deepEqual(grown(before, takeCensus()), {});
});

test('what waits in a queue for an iterator is closed when the ring takes over, or the socket goes', async () => {
  const before = takeCensus();
  const [one, other] = seqpacket.socketpair({ ...TAKING, maxMessageSize: 100, batchSize: 4 });
  other.on('message', () => other.pause());
  for (let i = 0; i < 4; ++i) one.sendDescriptors([0, 1], String(i));
  await until(() => other.messagesRead === 4);
  other.receiveInto(new SharedArrayBuffer(1 << 16));
  collectGarbage();
  const [three, four] = seqpacket.socketpair({ ...TAKING, batchSize: 4 });
  four.on('message', () => four.pause());
  for (let i = 0; i < 4; ++i) three.sendDescriptors([0, 1], String(i));
  await until(() => four.messagesRead === 4);
  for (const socket of [one, other, three, four]) socket.destroy();
  await until(() => [one, other, three, four].every(({ closed }) => closed));
  await until(() => {
    collectGarbage();
    return Object.keys(grown(before, takeCensus())).length === 0;
  });
});

test('destroyed in the middle of a batch: the rest is closed', async () => {
  await leavesNothingOpen(async () => {
    const [one, other] = seqpacket.socketpair(TAKING);
    one.on('error', () => undefined);
    for (let i = 0; i < 20; ++i) one.sendDescriptors([0, 1], String(i));
    other.on('message', (_, info) => {
      closeAll(info.descriptors);
      other.destroy();
    });
    await happens(other, 'close');
    one.destroy();
    await until(() => one.closed);
  }, 50);
});

test('more than maxDescriptors: all are closed, the messages come, and then the error', async (t) => {
  const [one, other] = pairOf(t, { maxDescriptors: 2 });
  const told = listen(other);
  const before = takeCensus();
  one.on('error', () => undefined);
  one.send('first');
  one.sendDescriptors([0, 1, 2], 'too many');
  one.send('behind');
  await happens(other, 'close');
  assert.deepEqual(texts(told).slice(0, 2), ['first', 'too many']);
  assert.deepEqual(
    told.infos.slice(0, 2).map((info) => info.descriptorsDropped),
    [false, true],
  );
  assert.equal(told.error?.code, 'ERR_AFUNIX_DESCRIPTOR_LIMIT');
  assert.match(told.error?.message ?? '', /maxDescriptors, which is 2/);
  assert.deepEqual(told.events.slice(-2), ['error ERR_AFUNIX_DESCRIPTOR_LIMIT', 'close true']);
  assert.deepEqual(grown(before, takeCensus()), {});
});

test('more than maxDescriptors: who iterates gets the batch, and then the error', async (t) => {
  const [one, other] = pairOf(t, { maxDescriptors: 2 });
  one.on('error', () => undefined);
  one.send('first');
  one.sendDescriptors([0, 1, 2], 'too many');
  const iteration = other.batches();
  const told: string[] = [];
  await assert.rejects(
    async () => {
      for await (const each of iteration) told.push(...Array.from(each, String));
    },
    { code: 'ERR_AFUNIX_DESCRIPTOR_LIMIT' },
  );
  assert.deepEqual(told, ['first', 'too many']);
});

test('a burst is no more than its listener holds, and closes what it gets', async (t) => {
  const [one, other] = pairOf(t, { maxDescriptors: 2 });
  for (let i = 0; i < 60; ++i) one.sendDescriptors([0, 1], String(i));
  let told = 0;
  other.on('message', (bytes, info) => {
    assert.equal(String(bytes), String(told++));
    assert.equal(info.descriptors.length, 2);
    closeAll(info.descriptors);
  });
  await until(() => told === 60);
  assert.equal(other.errored, null);
});

test('no room for them in this process: EMFILE behind the message, with a hint, and nothing half open', async () => {
  const program = `
    const seqpacket = require(${JSON.stringify(require.resolve('afunix/seqpacket'))});
    const fs = require('node:fs');
    const [one, other] = seqpacket.socketpair({ maxDescriptors: 8 });
    one.on('error', () => undefined);
    const fill = [];
    let data = '';
    other.on('message', (part, info) => (data += part + ' ' + info.descriptors.length + ' ' + info.descriptorsDropped));
    other.on('error', ({ code, hint }) => {
      for (const fd of fill) fs.closeSync(fd);
      console.log(data, code, hint);
    });
    one.sendDescriptors([0, 1, 2, 0, 1], 'data', () => {
      try { for (;;) fill.push(fs.openSync('/dev/null')); } catch {}
      fs.closeSync(fill.pop());
      fs.closeSync(fill.pop());
    });
  `;
  assert.match(await saidWithFewDescriptors(program), /^data 0 true EMFILE .*no room/);
});

for (const [what, given, code] of NO_DESCRIPTORS) {
  test(`${what} for descriptors is ${code} at once, and nothing is sent or left open`, async (t) => {
    const [one, other] = pairOf(t, TAKING);
    const before = takeCensus();
    const error = attempt(() =>
      one.sendDescriptors(given as number[], 'x'),
    ) as NodeJS.ErrnoException;
    assert.equal(error.code, code, error.message);
    assert.deepEqual(grown(before, takeCensus()), {});
    one.end('only this');
    assert.deepEqual(Array.from(await batch(other), String), ['only this']);
  });
}

for (const [what, bytes, code] of [
  ['an empty message', '', 'ERR_AFUNIX_EMPTY_MESSAGE'],
  ['a message that is too long', 'x'.repeat(1001), 'EMSGSIZE'],
  ['a number', 5, 'ERR_INVALID_ARG_TYPE'],
  ['nothing', undefined, 'ERR_INVALID_ARG_TYPE'],
] as const) {
  test(`${what} for the message is ${code}, and the connection lives`, async (t) => {
    const [one, other] = pairOf(t, { ...TAKING, maxMessageSize: 1000 });
    const before = takeCensus();
    const error = attempt(() => one.sendDescriptors([0], bytes as string)) as NodeJS.ErrnoException;
    assert.equal(error.code, code);
    assert.deepEqual(grown(before, takeCensus()), {});
    await send(one, [0], 'alive');
    closeAll((await batch(other)).takeDescriptors(0));
  });
}

for (const limits of [
  { maxDescriptors: -1 },
  { maxDescriptors: 254 },
  { maxDescriptors: 1.5 },
  { maxDescriptors: '1' },
  { maxOpenDescriptors: -1 },
  { maxOpenDescriptors: Infinity },
]) {
  test(`${JSON.stringify(limits)} is no limit`, () => {
    const options = limits as MessageOptions;
    for (const make of [
      () => seqpacket.socketpair(options),
      () => seqpacket.createServer(options),
      () => new seqpacket.Socket(options),
    ]) {
      assert.throws(make, { code: /ERR_OUT_OF_RANGE|ERR_INVALID_ARG_TYPE/ });
    }
  });
}

for (const state of ['ended', 'destroyed', 'never connected and destroyed'] as const) {
  test(`on a socket that is ${state} the callback gets an error, and nothing is left open`, async (t) => {
    const [pairOne] = pairOf(t);
    const socket = state.startsWith('never') ? new seqpacket.Socket() : pairOne;
    socket.on('error', () => undefined);
    if (state === 'ended') socket.end();
    else socket.destroy();
    const before = takeCensus();
    await assert.rejects(send(socket, [0, 1], 'x'));
    assert.deepEqual(grown(before, takeCensus()), {});
  });
}

test('destroyed with messages that wait for room: none of their descriptors stays open', async () => {
  await leavesNothingOpen(async () => {
    const [one, other] = seqpacket.socketpair(TAKING);
    while (one.send('x'.repeat(3000)));
    for (let i = 0; i < 5; ++i) one.sendDescriptors([0, 1, 2], 'x');
    one.destroy();
    other.destroy();
    await until(() => one.closed && other.closed);
  }, 20);
});

test('received ones that a listener throws away, or throws over, are closed with a warning when collected', async () => {
  const program = `
    const seqpacket = require(${JSON.stringify(require.resolve('afunix/seqpacket'))});
    const fs = require('node:fs');
    const count = () => fs.readdirSync('/proc/self/fd').length;
    const [one, other] = seqpacket.socketpair({ maxDescriptors: 2, maxOpenDescriptors: 1000 });
    process.on('uncaughtException', () => undefined);
    process.on('warning', ({ code }) => code === 'AFUNIX_UNCLAIMED_DESCRIPTOR' || console.log(code));
    let told = 0;
    other.on('message', () => { told += 1; throw new Error('on purpose'); });
    one.sendDescriptors([0], 'x');
    setTimeout(async () => {
      const before = count();
      for (let i = 0; i < 100; i += 1) one.sendDescriptors([0, 1], 'x');
      while (told < 101) await new Promise((resolve) => setTimeout(resolve, 1));
      other.destroy();
      one.destroy();
      for (let i = 0; i < 200 && count() > before; i += 1) {
        gc();
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      console.log(count() <= before ? 'all closed' : 'left: ' + (count() - before));
    }, 50);
  `;
  assert.equal(await saidWithGarbageCollector(program), 'all closed');
});

test(`${LONG ? '100,000' : '5,000'} passed, and not one is left open`, async (t) => {
  const total = LONG ? 100_000 : 5_000;
  const each = 50;
  const [one, other] = pairOf(t, { maxDescriptors: each, maxOpenDescriptors: 1000 });
  let received = 0;
  other.on('message', (_, info) => {
    received += info.descriptors.length;
    closeAll(info.descriptors);
  });
  const before = takeCensus();
  const fds = Array.from({ length: each }, (_, index) => index % 3);
  for (let sent = 0; sent < total; sent += each) await send(one, fds, 'x');
  await until(() => received === total);
  assert.deepEqual(grown(before, takeCensus()), {});
});

test('a peer that is killed with descriptors under way costs nothing', async (t) => {
  const taking = { maxDescriptors: 8, maxOpenDescriptors: 1000 };
  const accepted: Socket[] = [];
  const { path } = await listening(t, taking, (peer) => accepted.push(peer));
  const program = `
    const seqpacket = require(${JSON.stringify(require.resolve('afunix/seqpacket'))});
    const socket = seqpacket.connect({ path: ${JSON.stringify(path)}, maxDescriptors: 8 });
    socket.on('connect', () => { for (let i = 0; i < 50; i += 1) socket.sendDescriptors([0, 1, 2], 'x'); });
    socket.on('message', () => process.kill(process.pid, 'SIGKILL'));
  `;
  await leavesNothingOpen(async () => {
    const child = spawn(process.execPath, ['-e', program], { stdio: 'ignore' });
    await until(() => accepted.length === 1);
    const peer = accepted.pop() as Socket;
    let received = 0;
    peer.on('error', () => undefined);
    peer.on('message', (_, info) => {
      received += info.descriptors.length;
      closeAll(info.descriptors);
    });
    await until(() => received === 150);
    peer.sendDescriptors([0, 1], 'die');
    await Promise.all([once(child, 'close'), happens(peer, 'close')]);
  }, 5);
});

const PYTHON = `
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])
data, fds, flags, address = socket.recv_fds(s, 100, 10)
text = b''.join(os.read(fd, 100) for fd in fds)
r, w = os.pipe()
os.write(w, b'from python: ' + text + b' with ' + data)
s.send(b'none')
socket.send_fds(s, [b'one', b'two'], [r, w])
s.close()
`;

test('to and from Python’s socket.send_fds and recv_fds', async (t) => {
  const accepted: Socket[] = [];
  const { path } = await listening(t, { maxDescriptors: 4 }, (peer) => accepted.push(peer));
  const child = spawn('python3', ['-c', PYTHON, path], { stdio: ['ignore', 'inherit', 'inherit'] });
  await until(() => accepted.length === 1);
  const peer = accepted[0];
  const told = listen(peer);
  peer.sendDescriptors([open(t, 'a'), open(t, 'b')], 'take these');
  await until(() => told.events.includes('end'));
  assert.deepEqual(texts(told), ['none', 'onetwo']);
  assert.equal(told.infos[0]?.descriptors.length, 0);
  const [reader, writer] = told.infos[1]?.descriptors as [Descriptor, Descriptor];
  writer.close();
  const buffer = Buffer.alloc(100);
  const length = fs.readSync(reader.fd, buffer);
  assert.equal(buffer.toString('utf8', 0, length), 'from python: ab with take these');
  reader.close();
  if (child.exitCode === null) await once(child, 'close');
});

test('a peer that does not read makes the sender wait before its table is full, and nothing is lost', async (t) => {
  const [one, other] = pairOf(t, { maxDescriptors: 1, maxOpenDescriptors: 1000 });
  other.pause();
  const before = takeCensus();
  let sent = 0;
  while (sent < 5000) {
    sent += 1;
    if (!one.sendDescriptors([0], String(sent))) break;
  }
  const held = Object.values(grown(before, takeCensus())).reduce((sum, count) => sum + count, 0);
  assert.ok(held <= 16, `${held} copies`);
  assert.equal(one.writableNeedDrain, true);
  let received = 0;
  other.on('message', (_, { descriptors }) => {
    assert.equal(descriptors.length, 1);
    closeAll(descriptors);
    received += 1;
  });
  const drained = happens(one, 'drain');
  other.resume();
  await drained;
  await until(() => received === sent);
});

test('a batch that is handed out and not released is closed with the socket', async (t) => {
  const [one, other] = pairOf(t, TAKING);
  const before = takeCensus();
  await send(one, [0, 1], 'x');
  const kept = await batch(other);
  assert.equal(kept.descriptorCounts[0], 2);
  other.destroy();
  await happens(other, 'close');
  assert.deepEqual(grown(before, takeCensus()), {});
  assert.deepEqual(kept.takeDescriptors(0), []);
});

test('one that is closed, or was taken, is EBADF', (t) => {
  const [one] = pairOf(t, TAKING);
  const closed = new Descriptor(fs.openSync('/dev/null', 'r'));
  closed.close();
  assert.throws(() => one.sendDescriptors([0, closed], 'x'), {
    code: 'EBADF',
    hint: /descriptors\[1\] is closed/,
  });
});
