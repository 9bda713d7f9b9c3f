/** `await socket.flushed()`: the kernel has everything, and the connection can be given away. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import net, { type Socket } from 'afunix';
import seqpacket, { type Socket as MessageSocket } from 'afunix/seqpacket';
import { freshPath } from '../helpers/socket-paths';

/** What both kinds have, as far as it is looked at here. */
interface Sender {
  write(bytes: string, fd?: number): boolean;
  readonly socket: Socket | MessageSocket;
  readonly other: Socket | MessageSocket;
  /** Bytes that came to the other end. */
  received(): number;
  /** Nobody else has anything of it any more. */
  give(): Socket | MessageSocket;
}

function streams(t: TestContext): Sender {
  const [socket, other] = net.socketpair({ maxDescriptors: 1 });
  t.after(() => [socket, other].forEach((each) => each.destroy()));
  for (const each of [socket, other]) each.on('error', () => undefined);
  let received = 0;
  other.on('data', (chunk: Buffer) => (received += chunk.length)).pause();
  return {
    write: (bytes, fd) =>
      fd === undefined ? socket.write(bytes) : socket.sendDescriptors([fd], bytes),
    socket,
    other,
    received: () => received,
    give: () => net.Socket.from(socket.detach()),
  };
}

function messages(t: TestContext): Sender {
  const [socket, other] = seqpacket.socketpair({ maxDescriptors: 1 });
  t.after(() => [socket, other].forEach((each) => each.destroy()));
  for (const each of [socket, other]) each.on('error', () => undefined);
  let received = 0;
  other.on('message', (bytes, { descriptors }) => {
    received += bytes.length;
    for (const descriptor of descriptors) descriptor.close();
  });
  other.pause();
  return {
    write: (bytes, fd) =>
      fd === undefined ? socket.send(bytes) : socket.sendDescriptors([fd], bytes),
    socket,
    other,
    received: () => received,
    give: () => seqpacket.Socket.from(socket.detach()),
  };
}

async function isPending(promise: Promise<unknown>): Promise<boolean> {
  for (let round = 0; round < 10; round += 1) await new Promise((resolve) => setImmediate(resolve));
  return (await Promise.race([promise, Promise.resolve('pending')])) === 'pending';
}

const bytesRead = (sender: Sender): Promise<void> =>
  new Promise((resolve) => {
    const look = (): void => {
      if (sender.received() === sender.socket.bytesWritten) resolve();
      else setImmediate(look);
    };
    look();
  });

for (const [name, make] of Object.entries({ 'a stream': streams, 'a message socket': messages })) {
  test(`${name} with nothing written is flushed at once, and so is one whose short writes the kernel takes`, async (t) => {
    const sender = make(t);
    await sender.socket.flushed();
    for (let i = 0; i < 100; i += 1) sender.write('short');
    await sender.socket.flushed();
    sender.give().destroy();
    sender.other.resume();
    await once(sender.other, 'end');
    assert.equal(sender.received(), 500);
  });

  for (const fd of [undefined, 0]) {
    test(`${name} with a full queue${fd === undefined ? '' : ' of descriptors'} waits until the other end has read, and can be given away then`, async (t) => {
      const sender = make(t);
      let more = 3;
      while (more > 0) if (!sender.write('x'.repeat(30_000), fd)) more -= 1;
      const written = sender.socket.bytesWritten;
      const flushed = sender.socket.flushed();
      assert.equal(await isPending(flushed), true);
      assert.throws(() => sender.give(), { code: 'ERR_AFUNIX_PENDING_WRITES', message: /flushed/ });
      sender.other.resume();
      await flushed;
      assert.equal(sender.socket.writableLength, 0);
      const moved = sender.give();
      t.after(() => moved.destroy());
      while (sender.received() < (written ?? 0)) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.equal(sender.received(), written);
    });
  }

  test(`${name} that is written to while somebody waits is flushed when that was taken, too`, async (t) => {
    const sender = make(t);
    while (sender.write('x'.repeat(10_000)));
    const flushed = sender.socket.flushed();
    let writes = 20;
    const again = (): void => {
      if (writes === 0) return;
      writes -= 1;
      sender.write('y'.repeat(100_000));
      setImmediate(again);
    };
    again();
    assert.equal(await isPending(flushed), true);
    sender.other.resume();
    await flushed;
    assert.equal(sender.socket.writableLength, 0);
    await bytesRead(sender);
  });

  test(`${name} that is destroyed or fails first rejects, each who waits`, async (t) => {
    const [gone, failed, reset] = [make(t), make(t), make(t)];
    for (const sender of [gone, failed, reset]) {
      while (sender.write('x'.repeat(10_000)));
    }
    const waiting = [gone.socket.flushed(), gone.socket.flushed()].map((each) =>
      assert.rejects(each, { code: 'ERR_SOCKET_CLOSED' }),
    );
    gone.socket.destroy();
    await Promise.all(waiting);
    await assert.rejects(gone.socket.flushed(), { code: 'ERR_SOCKET_CLOSED' });
    const rejected = assert.rejects(failed.socket.flushed(), { message: 'on purpose' });
    failed.socket.destroy(new Error('on purpose'));
    await rejected;
    const broken = assert.rejects(reset.socket.flushed(), { code: /^(EPIPE|ECONNRESET)$/ });
    reset.other.destroy();
    await broken;
  });

  test(`${name} that was ended is flushed when all of it left, and stays so`, async (t) => {
    const sender = make(t);
    while (sender.write('x'.repeat(10_000)));
    sender.socket.end();
    const flushed = sender.socket.flushed();
    assert.equal(await isPending(flushed), true);
    sender.other.resume();
    await flushed;
    if (!sender.socket.writableFinished) await once(sender.socket, 'finish');
    sender.socket.destroy();
    await sender.socket.flushed();
  });

  test(`${name} that connects is flushed once it is connected; without a connection it never is`, async (t) => {
    const path = freshPath(t);
    const server = name === 'a stream' ? net.createServer() : seqpacket.createServer();
    t.after(() => server.close());
    server.on('connection', (socket: Socket | MessageSocket) => {
      t.after(() => socket.destroy());
      socket.on('error', () => undefined).resume();
    });
    const nowhere = name === 'a stream' ? net.connect(path) : seqpacket.connect(path);
    nowhere.on('error', () => undefined);
    await assert.rejects(nowhere.flushed(), { code: 'ENOENT' });
    const unconnected = name === 'a stream' ? new net.Socket() : new seqpacket.Socket();
    await assert.rejects(unconnected.flushed(), { code: 'ERR_SOCKET_CLOSED' });
    server.listen(path);
    await once(server, 'listening');
    for (const text of ['', 'early']) {
      const client = name === 'a stream' ? net.connect(path) : seqpacket.connect(path);
      t.after(() => client.destroy());
      if (text !== '') {
        if (client instanceof seqpacket.Socket) client.send(text);
        else client.write(text);
      }
      await client.flushed();
      assert.equal(client.connecting, false);
      client.detach().descriptor.close();
    }
  });
}

test('a corked stream is flushed once it is uncorked', async (t) => {
  const [one, other] = net.socketpair();
  t.after(() => [one, other].forEach((each) => each.destroy()));
  one.cork();
  one.write('a');
  const flushed = one.flushed();
  assert.equal(await isPending(flushed), true);
  one.uncork();
  await flushed;
  one.end();
  const chunks: Buffer[] = [];
  for await (const chunk of other as AsyncIterable<Buffer>) chunks.push(chunk);
  assert.equal(String(Buffer.concat(chunks)), 'a');
});
