/** Descriptors that travel with the bytes of a stream. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import net, { type DescriptorsInfo, type Socket, type SocketOptions } from 'afunix';
import { Descriptor } from 'afunix/raw';
import { attempt } from '../helpers/attempt';
import { grown, leavesNothingOpen, takeCensus } from '../helpers/descriptors';
import { collectGarbage } from '../helpers/collect-garbage';
import {
  contentOf,
  NO_DESCRIPTORS,
  open,
  saidWithFewDescriptors,
  saidWithGarbageCollector,
  send,
} from '../helpers/passed-descriptors';
import { freshPath } from '../helpers/socket-paths';

const long = process.env['AFUNIX_LONG'] === '1';

interface Arrival {
  readonly descriptors: Descriptor[];
  readonly info: DescriptorsInfo;
}

function pair(t: TestContext, options: SocketOptions = { maxDescriptors: 8 }): [Socket, Socket] {
  const sockets = net.socketpair(options);
  t.after(() => sockets.forEach((socket) => socket.on('error', () => undefined).destroy()));
  return sockets;
}

async function arrival(socket: Socket): Promise<Arrival> {
  const [descriptors, info] = (await once(socket, 'descriptors')) as [
    Descriptor[],
    DescriptorsInfo,
  ];
  return { descriptors, info };
}

/** Everything that happens on the socket, in order. */
function record(socket: Socket): string[] {
  const seen: string[] = [];
  socket.setEncoding('utf8');
  socket.on('descriptors', (list: Descriptor[]) => seen.push(`[${list.map(contentOf).join(' ')}]`));
  socket.on('data', (text: string) => seen.push(text));
  socket.on('end', () => seen.push('end'));
  return seen;
}

test('they arrive open, before the data that they came with, and are the same files', async (t) => {
  const [one, other] = pair(t);
  const seen = record(other);
  await send(one, [open(t, 'first'), open(t, 'second')], 'hello');
  one.end();
  await once(other, 'end');
  assert.deepEqual(seen, ['[first second]', 'hello', 'end']);
});

test('the sender may close its own as soon as sendDescriptors() has returned', async (t) => {
  const [one, other] = pair(t);
  const came = arrival(other.resume());
  const fd = fs.openSync('/dev/zero', 'r');
  const sent = send(one, [fd], 'x');
  fs.closeSync(fd);
  await sent;
  const { descriptors } = await came;
  assert.equal(fs.readSync(descriptors[0]?.fd ?? -1, Buffer.alloc(5), 0, 5, null), 5);
  descriptors[0]?.close();
});

test('a Descriptor, a FileHandle, and whatever has an fd can be sent, and stay the sender’s', async (t) => {
  const [one, other] = pair(t);
  const came = arrival(other.resume());
  const handle = await fs.promises.open(__filename);
  const descriptor = new Descriptor(fs.openSync(__filename, 'r'));
  one.sendDescriptors([handle, descriptor, { fd: handle.fd }], 'x');
  const { descriptors } = await came;
  assert.equal(descriptors.length, 3);
  for (const one of descriptors) one.close();
  assert.equal(descriptor.closed, false);
  descriptor.close();
  await handle.close();
});

test('they keep their place among writes: before, behind, corked, and with long ones', async (t) => {
  const [one, other] = pair(t);
  const seen = record(other);
  const a = open(t, 'a');
  one.write('1');
  await send(one, [a], '2');
  one.write('3');
  one.cork();
  one.write('4');
  one.sendDescriptors([open(t, 'b')], '5');
  one.write('6');
  one.sendDescriptors([open(t, 'c'), a], '7');
  one.uncork();
  one.write('8'.repeat(1_000_000));
  one.sendDescriptors([open(t, 'd')], '9'.repeat(300_000));
  one.end('!');
  await once(other, 'end');
  const text = seen.filter((line) => !line.startsWith('[') && line !== 'end').join('');
  assert.equal(text, `1234567${'8'.repeat(1_000_000)}${'9'.repeat(300_000)}!`);
  assert.deepEqual(
    seen.filter((line) => line.startsWith('[')),
    ['[a]', '[b]', '[c a]', '[d]'],
  );
  // Not behind the data that follows them, nor more than one read before their own.
  const at = (wanted: string): number => seen.indexOf(wanted);
  const dataBehind = (wanted: string): string => seen[at(wanted) + 1] ?? '';
  assert.match(dataBehind('[a]'), /2$/);
  assert.match(dataBehind('[b]'), /5$/);
  assert.match(dataBehind('[c a]'), /7$/);
  assert.match(dataBehind('[d]'), /9$/);
});

test('info says where the data begins and ends that they came with', async (t) => {
  const [one, other] = pair(t);
  other.resume();
  one.write('12345');
  await once(other, 'data');
  const came = arrival(other);
  await send(one, [open(t, 'a')], '678');
  const { descriptors, info } = await came;
  assert.deepEqual(info, { offset: 5, end: 8 });
  contentOf(descriptors[0]);
});

test('on a server, and on a client of it', async (t) => {
  const address = freshPath(t);
  const server = net.createServer({ maxDescriptors: 1 }, (peer) => {
    peer.on('descriptors', ([descriptor]: Descriptor[]) => {
      peer.sendDescriptors([descriptor], 'back', () => descriptor?.close());
    });
    peer.resume();
  });
  server.listen(address);
  await once(server, 'listening');
  const client = net.connect({ path: address, maxDescriptors: 1 });
  const came = arrival(client.resume());
  await send(client, [open(t, 'there and back')], 'x');
  const { descriptors } = await came;
  assert.equal(contentOf(descriptors[0]), 'there and back');
  client.destroy();
  server.close();
});

test('before connect they wait with the data', async (t) => {
  const address = freshPath(t);
  const server = net.createServer({ maxDescriptors: 1 });
  server.listen(address);
  const client = net.connect(address);
  client.sendDescriptors([open(t, 'early')], 'x');
  const [peer] = (await once(server, 'connection')) as [Socket];
  const { descriptors } = await arrival(peer.resume());
  assert.equal(contentOf(descriptors[0]), 'early');
  client.destroy();
  server.close();
});

test('253 at once, which is as many as the kernel lets through', async (t) => {
  const [one, other] = pair(t, { maxDescriptors: 253 });
  const came = arrival(other.resume());
  await send(one, Array<number>(253).fill(open(t, 'many')), 'x');
  const { descriptors } = await came;
  assert.equal(descriptors.length, 253);
  for (const descriptor of descriptors) descriptor.close();
});

test('onread: the data goes into its buffer, the descriptors come all the same', async (t) => {
  const address = freshPath(t);
  const texts: string[] = [];
  const server = net.createServer((peer) => void peer.sendDescriptors([open(t, 'a')], 'hello'));
  server.listen(address);
  const client = net.connect({
    path: address,
    maxDescriptors: 1,
    onread: {
      buffer: Buffer.alloc(100),
      callback: (length, buffer) => texts.push(Buffer.from(buffer).toString('utf8', 0, length)) > 0,
    },
  });
  const { descriptors } = await arrival(client);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(contentOf(descriptors[0]), 'a');
  assert.deepEqual(texts, ['hello']);
  client.destroy();
  server.close();
});

test('they are close-on-exec', async (t) => {
  const [one, other] = pair(t);
  const came = arrival(other.resume());
  await send(one, [open(t, 'a')], 'x');
  const [descriptor] = (await came).descriptors;
  const flags = /^flags:\s*(\d+)$/m.exec(
    fs.readFileSync(`/proc/self/fdinfo/${descriptor?.fd ?? ''}`, 'utf8'),
  );
  assert.ok((parseInt(flags?.[1] ?? '0', 8) & 0o2000000) !== 0);
  descriptor?.close();
});

test('a socket that takes none: its data comes, they don’t, and nothing stays open', async (t) => {
  const before = takeCensus();
  const [one, other] = pair(t, {});
  const seen = record(other);
  one.on('error', () => undefined);
  let refused: NodeJS.ErrnoException | undefined;
  await send(one, [open(t, 'a')], 'x').catch((error: unknown) => {
    refused = error as NodeJS.ErrnoException;
  });
  // Linux 6.16 and later: the sender is told.
  if (refused !== undefined) assert.equal(refused.code, 'EPERM');
  else {
    one.end();
    await once(other, 'end');
    assert.deepEqual(seen, ['x', 'end']);
  }
  one.destroy();
  other.destroy();
  await Promise.all(
    [one, other].map(async (socket) => socket.closed || (await once(socket, 'close'))),
  );
  assert.deepEqual(
    Object.keys(grown(before, takeCensus())).filter((kind) => kind === 'socket'),
    [],
  );
});

test('nobody listens for them: they are closed, the data comes', async (t) => {
  const [one, other] = pair(t);
  let text = '';
  other.setEncoding('utf8').on('data', (part: string) => (text += part));
  const before = takeCensus();
  for (let round = 0; round < 100; round += 1) await send(one, [0, 1, 2], 'x');
  while (text.length < 100) await once(other, 'data');
  assert.deepEqual(grown(before, takeCensus()), {});
});

test('more than maxDescriptors: all are closed, the data comes, and then the error', async (t) => {
  const [one, other] = pair(t, { maxDescriptors: 2 });
  const seen = record(other);
  const before = takeCensus();
  one.sendDescriptors([0, 1, 2], 'too many');
  const [error] = (await once(other, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ERR_AFUNIX_DESCRIPTOR_LIMIT');
  assert.match(error.message, /maxDescriptors, which is 2/);
  assert.deepEqual(seen, ['too many']);
  if (!other.closed) await once(other, 'close');
  assert.deepEqual(grown(before, takeCensus()), {});
});

test('no room for them in this process: EMFILE after the data, with a hint, and nothing half open', async () => {
  const program = `
    const net = require(${JSON.stringify(require.resolve('afunix'))});
    const fs = require('node:fs');
    const [one, other] = net.socketpair({ maxDescriptors: 8 });
    one.on('error', () => undefined);
    const fill = [];
    let data = '';
    other.on('descriptors', () => console.log('descriptors'));
    other.on('data', (part) => (data += part));
    other.on('error', ({ code, hint }) => {
      for (const fd of fill) fs.closeSync(fd);
      console.log(data, code, hint);
    });
    // Our own copies are closed when it is called back.
    one.sendDescriptors([0, 1, 2, 0, 1], 'data', () => {
      try { for (;;) fill.push(fs.openSync('/dev/null')); } catch {}
      fs.closeSync(fill.pop());
      fs.closeSync(fill.pop());
    });
  `;
  assert.match(await saidWithFewDescriptors(program), /^data EMFILE .*no room/);
});

for (const [what, given, code] of NO_DESCRIPTORS) {
  test(`${what} for descriptors is ${code} at once, and nothing is sent or left open`, async (t) => {
    const [one, other] = pair(t);
    const before = takeCensus();
    const error = attempt(() =>
      one.sendDescriptors(given as number[], 'x'),
    ) as NodeJS.ErrnoException;
    assert.equal(error.code, code, error.message);
    assert.deepEqual(grown(before, takeCensus()), {});
    one.end('only this');
    const seen = record(other);
    await once(other, 'end');
    assert.deepEqual(seen, ['only this', 'end']);
  });
}

for (const [what, bytes, code] of [
  ['no bytes', '', 'ERR_INVALID_ARG_VALUE'],
  ['an empty buffer', Buffer.alloc(0), 'ERR_INVALID_ARG_VALUE'],
  ['a number', 5, 'ERR_INVALID_ARG_TYPE'],
  ['nothing', undefined, 'ERR_INVALID_ARG_TYPE'],
] as const) {
  test(`${what} for bytes is ${code}`, (t) => {
    const [one] = pair(t);
    const error = attempt(() => one.sendDescriptors([0], bytes as string)) as NodeJS.ErrnoException;
    assert.equal(error.code, code);
  });
}

for (const state of ['ended', 'destroyed', 'never connected and destroyed'] as const) {
  test(`on a socket that is ${state} the callback gets an error, and nothing is left open`, async (t) => {
    const [pairOne] = pair(t);
    const socket = state.startsWith('never') ? new net.Socket() : pairOne;
    socket.on('error', () => undefined);
    if (state === 'ended') socket.end();
    else socket.destroy();
    const before = takeCensus();
    await assert.rejects(send(socket, [0, 1], 'x'));
    assert.deepEqual(grown(before, takeCensus()), {});
  });
}

test('destroyed with descriptors that wait for room: none stays open', async (t) => {
  const before = takeCensus();
  for (let round = 0; round < 20; round += 1) {
    const [one, other] = pair(t);
    one.on('error', () => undefined);
    one.write(Buffer.alloc(3_000_000));
    one.sendDescriptors([0, 1, 2], 'x');
    one.sendDescriptors([0, 1, 2], 'x');
    one.destroy();
    other.destroy();
    await Promise.all([once(one, 'close'), once(other, 'close')]);
  }
  collectGarbage();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(grown(before, takeCensus()), {});
});

test('received ones that a listener throws away, or throws over, are closed with a warning when collected', async () => {
  const program = `
    const net = require(${JSON.stringify(require.resolve('afunix'))});
    const fs = require('node:fs');
    const count = () => fs.readdirSync('/proc/self/fd').length;
    const [one, other] = net.socketpair({ maxDescriptors: 2, maxOpenDescriptors: 1000 });
    process.on('uncaughtException', () => undefined);
    process.on('warning', ({ code }) => code === 'AFUNIX_UNCLAIMED_DESCRIPTOR' || console.log(code));
    other.resume().on('descriptors', () => { throw new Error('on purpose'); });
    one.sendDescriptors([0], 'x');
    other.once('data', () => setTimeout(async () => {
      const before = count();
      for (let i = 0; i < 100; i += 1) one.sendDescriptors([0, 1], 'x');
      setTimeout(async () => {
        other.destroy();
        one.destroy();
        for (let i = 0; i < 200 && count() > before; i += 1) {
          gc();
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
        console.log(count() <= before ? 'all closed' : 'left: ' + (count() - before));
      }, 100);
    }, 50));
  `;
  assert.equal(await saidWithGarbageCollector(program), 'all closed');
});

test(`${long ? '100,000' : '5,000'} passed, and not one is left open`, async (t) => {
  const total = long ? 100_000 : 5_000;
  const batch = 50;
  const [one, other] = pair(t, { maxDescriptors: batch, maxOpenDescriptors: 1000 });
  let received = 0;
  other.resume().on('descriptors', (list: Descriptor[]) => {
    received += list.length;
    for (const descriptor of list) descriptor.close();
  });
  const before = takeCensus();
  const fds = Array.from({ length: batch }, (_, index) => index % 3);
  for (let sent = 0; sent < total; sent += batch) await send(one, fds, 'x');
  while (received < total) await once(other, 'descriptors');
  assert.equal(received, total);
  assert.deepEqual(grown(before, takeCensus()), {});
});

test('a peer that is killed with descriptors under way costs nothing', async (t) => {
  const address = freshPath(t);
  const program = `
    const net = require(${JSON.stringify(require.resolve('afunix'))});
    const socket = net.connect({ path: ${JSON.stringify(address)}, maxDescriptors: 8 });
    socket.on('connect', () => { for (let i = 0; i < 50; i += 1) socket.sendDescriptors([0, 1, 2], 'x'); });
    socket.on('descriptors', () => process.kill(process.pid, 'SIGKILL')).resume();
  `;
  const server = net.createServer({ maxDescriptors: 8, maxOpenDescriptors: 1000 });
  server.listen(address);
  await once(server, 'listening');
  await leavesNothingOpen(async () => {
    const child = spawn(process.execPath, ['-e', program], { stdio: 'ignore' });
    const [peer] = (await once(server, 'connection')) as [Socket];
    peer.on('error', () => undefined);
    peer.on('descriptors', (list: Descriptor[]) =>
      list.forEach((descriptor) => descriptor.close()),
    );
    peer.resume();
    await once(peer, 'descriptors');
    peer.sendDescriptors([0, 1], 'die');
    await Promise.all([once(child, 'close'), once(peer, 'close')]);
  }, 5);
  server.close();
});

const python = `
import array, os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
data, fds, flags, address = socket.recv_fds(s, 100, 10)
text = b''.join(os.read(fd, 100) for fd in fds)
r, w = os.pipe()
os.write(w, b'from python: ' + text)
socket.send_fds(s, [b'one', b'two'], [r, w])
s.close()
`;

test('to and from Python’s socket.send_fds and recv_fds', async (t) => {
  const address = freshPath(t);
  const server = net.createServer({ maxDescriptors: 4 });
  server.listen(address);
  const child = spawn('python3', ['-c', python, address], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [peer] = (await once(server, 'connection')) as [Socket];
  peer.sendDescriptors([open(t, 'a'), open(t, 'b')], 'take these');
  const came = arrival(peer);
  let text = '';
  peer.setEncoding('utf8').on('data', (part: string) => (text += part));
  const { descriptors } = await came;
  assert.equal(descriptors.length, 2);
  const [reader, writer] = descriptors as [Descriptor, Descriptor];
  writer.close();
  const buffer = Buffer.alloc(100);
  assert.equal(buffer.toString('utf8', 0, fs.readSync(reader.fd, buffer)), 'from python: ab');
  reader.close();
  if (!peer.readableEnded) await once(peer, 'end');
  assert.equal(text, 'onetwo');
  await (child.exitCode === null ? once(child, 'close') : undefined);
  peer.destroy();
  server.close();
});

test('a peer that does not read makes the sender wait before its table is full, and nothing is lost', async (t) => {
  const [one, other] = pair(t, { maxDescriptors: 1, maxOpenDescriptors: 1000 });
  const before = takeCensus();
  let sent = 0;
  while (sent < 5000) {
    sent += 1;
    if (!one.sendDescriptors([0], '.')) break;
  }
  const held = Object.values(grown(before, takeCensus())).reduce((sum, count) => sum + count, 0);
  assert.ok(sent > 1 && held <= 16, `${held} copies`);
  assert.equal(one.writableNeedDrain, true);
  let received = 0;
  other.on('descriptors', (descriptors: Descriptor[]) => {
    received += descriptors.length;
    for (const descriptor of descriptors) descriptor.close();
  });
  const drained = once(one, 'drain');
  other.resume();
  await drained;
  one.end();
  await once(other, 'end');
  assert.equal(received, sent);
});

test('descriptors between other writes, all queued in one turn, leave in order and at no growing cost', async (t) => {
  const count = 300;
  const [one, other] = pair(t, { maxDescriptors: 1, maxOpenDescriptors: 1000 });
  const order: string[] = [];
  other.on('descriptors', (descriptors: Descriptor[]) => {
    order.push('d');
    for (const descriptor of descriptors) descriptor.close();
  });
  other.on('data', (bytes: Buffer) => void order.push(bytes.toString()));
  one.cork();
  for (let i = 0; i < count; ++i) {
    one.sendDescriptors([0], '<');
    one.write('a');
    one.write('b>');
  }
  one.uncork();
  one.end();
  await once(other, 'end');
  // What is between two may come with the next one's byte.
  const all = order.join('');
  assert.equal(all.replaceAll('d', ''), '<ab>'.repeat(count));
  assert.equal(all.replaceAll(/[^d]/g, '').length, count);
});

test('paused, they wait for their bytes, and info says which those are', async (t) => {
  const [one, other] = pair(t);
  const seen: string[] = [];
  other.on('descriptors', (descriptors: Descriptor[], { offset, end }: DescriptorsInfo) => {
    seen.push(`${descriptors.map(contentOf).join('')} ${offset}-${end}`);
  });
  other.on('data', (bytes: Buffer) => void seen.push(bytes.toString()));
  other.pause();
  await send(one, [open(t, 'a')], 'aaa');
  await send(one, [open(t, 'b')], 'bb');
  one.write('ccc');
  while (other.readableLength < 8) await delay(1);
  assert.deepEqual(seen, []);
  other.resume();
  while (seen.length < 5) await delay(1);
  assert.deepEqual(seen, ['a 0-3', 'aaa', 'b 3-5', 'bb', 'ccc']);
});

test('read() brings those of what it gives, and nothing is left open of what is never read', async (t) => {
  const [one, other] = pair(t);
  const before = takeCensus();
  const seen: string[] = [];
  other.on('descriptors', (descriptors: Descriptor[], { end }: DescriptorsInfo) => {
    seen.push(`to ${end}`);
    for (const descriptor of descriptors) descriptor.close();
  });
  other.on('readable', () => undefined);
  await send(one, [0], 'aaa');
  await send(one, [0], 'bb');
  await send(one, [0], 'c');
  while (other.readableLength < 6) await delay(1);
  assert.equal(String(other.read(2)), 'aa');
  assert.deepEqual(seen, ['to 3']);
  assert.equal(String(other.read(1)), 'a');
  assert.deepEqual(seen, ['to 3']);
  assert.equal(String(other.read(2)), 'bb');
  assert.deepEqual(seen, ['to 3', 'to 5']);
  other.destroy();
  await once(other, 'close');
  assert.deepEqual(grown(before, takeCensus()), {});
});
