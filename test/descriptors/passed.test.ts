/** What was passed, in use: connections over connections, the number 0, and flags that belong to both ends. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import nodeNet from 'node:net';
import { test, type TestContext } from 'node:test';
import net, { type Socket } from 'afunix';
import { type Descriptor, RawSocket } from 'afunix/raw';
import seqpacket, { type MessageInfo, type Socket as MessageSocket } from 'afunix/seqpacket';
import { freshPath } from '../helpers/socket-paths';

const ignore = (): void => undefined;

function destroyLater(t: TestContext, ...sockets: { on: unknown; destroy(): unknown }[]): void {
  t.after(() => {
    for (const socket of sockets) (socket as Socket).on('error', ignore).destroy();
  });
}

/** Passes a descriptor beside a message; the receiver's. */
async function passed(t: TestContext, fd: number): Promise<Descriptor> {
  const [one, other] = seqpacket.socketpair({ maxDescriptors: 1 });
  destroyLater(t, one, other);
  one.sendDescriptors([fd], 'x');
  const [, info] = (await once(other, 'message')) as [Buffer, MessageInfo];
  return info.descriptors[0];
}

/** The open file's flags, as open(2) has them. */
function flagsOf(fd: number): number {
  const text = fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');
  return parseInt(/^flags:\s*(\d+)$/m.exec(text)?.[1] ?? '', 8);
}

test('a passed stream connection becomes our Socket, and a net.Socket', async (t) => {
  for (const cast of ['toSocket', 'toNetSocket'] as const) {
    const [near, far] = RawSocket.socketpair('stream');
    const descriptor = await passed(t, far.fd);
    far.close();
    const socket = descriptor[cast]();
    destroyLater(t, socket);
    assert.ok(socket instanceof (cast === 'toSocket' ? net.Socket : nodeNet.Socket));
    near.send(Buffer.from('hello'));
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    assert.equal(String(chunk), 'hello');
    assert.ok(descriptor.closed);
    near.close();
  }
});

test('a passed listener becomes our Server', async (t) => {
  const address = freshPath(t);
  const listener = RawSocket.socket('stream');
  listener.bind(address);
  listener.listen();
  const descriptor = await passed(t, listener.fd);
  listener.close();
  const server = descriptor.toServer({}, (peer) => peer.end('served'));
  t.after(() => server.close());
  const client = net.connect(address);
  const [chunk] = (await once(client, 'data')) as [Buffer];
  assert.equal(String(chunk), 'served');
  if (!client.closed) await once(client, 'close');
});

test('a passed connection of messages becomes a message socket', async (t) => {
  const [near, far] = RawSocket.socketpair('seqpacket');
  const descriptor = await passed(t, far.fd);
  far.close();
  const socket = new seqpacket.Socket({ fd: descriptor.take() });
  destroyLater(t, socket);
  near.send(Buffer.from('one'));
  near.send(Buffer.from('two'));
  const told: string[] = [];
  socket.on('message', (bytes) => told.push(bytes.toString()));
  near.shutdown('write');
  await once(socket, 'end');
  assert.deepEqual(told, ['one', 'two']);
  near.close();
});

test('a descriptor does not become non-blocking by being passed: the sender has the same open file', async (t) => {
  const fd = fs.openSync('/dev/zero', 'r');
  t.after(() => fs.closeSync(fd));
  const before = flagsOf(fd);
  assert.equal(before & fs.constants.O_NONBLOCK, 0);
  const beside = await passed(t, fd);
  const [one, other] = net.socketpair({ maxDescriptors: 1 });
  destroyLater(t, one, other);
  one.sendDescriptors([fd], 'x');
  const [[along]] = (await once(other.resume(), 'descriptors')) as [[Descriptor]];
  assert.equal(flagsOf(fd), before);
  for (const descriptor of [beside, along]) {
    assert.equal(flagsOf(descriptor.fd) & fs.constants.O_NONBLOCK, 0);
    descriptor.close();
  }
});

test('descriptor 0 is a connection like any other, and can be sent', (t) => {
  for (const type of ['stream', 'seqpacket'] as const) {
    const [near, far] = RawSocket.socketpair(type);
    t.after(() => near.close());
    const entry = type === 'stream' ? 'afunix' : 'afunix/seqpacket';
    const program = `
      const { Socket } = require(${JSON.stringify(require.resolve(entry))});
      const socket = new Socket({ fd: 0 });
      socket.sendDescriptors([0], 'from 0', () => socket.destroy());`;
    execFileSync(process.execPath, ['-e', program], { stdio: [far.fd, 'inherit', 'inherit'] });
    far.close();
    const bytes = Buffer.alloc(16);
    const came = near.recvmsg(bytes, { descriptors: 1 });
    assert.equal(bytes.toString('utf8', 0, came?.bytes), 'from 0');
    came?.descriptors[0]?.close();
  }
});

test('a message may be sent from shared and from resizable memory, as long as it is now', async (t) => {
  const [one, other] = seqpacket.socketpair();
  destroyLater(t, one, other);
  const shared = new Uint8Array(new SharedArrayBuffer(3)).fill(65);
  const buffer = new (
    ArrayBuffer as unknown as {
      new (
        size: number,
        options: { maxByteLength: number },
      ): ArrayBuffer & {
        resize(size: number): void;
      };
    }
  )(8, { maxByteLength: 8 });
  const resized = new Uint8Array(buffer).fill(66);
  const beyond = new Uint8Array(buffer, 4, 4);
  buffer.resize(2);
  one.send(shared);
  one.send(resized);
  assert.throws(() => one.send(beyond), { code: 'ERR_AFUNIX_EMPTY_MESSAGE' });
  one.end();
  const told: string[] = [];
  other.on('message', (bytes) => told.push(bytes.toString()));
  await once(other, 'end');
  assert.deepEqual(told, ['AAA', 'BB']);
});

test('a message socket waits for room in the backlog, and gives up with EAGAIN', async (t) => {
  const address = freshPath(t);
  const listener = RawSocket.socket('seqpacket');
  t.after(() => listener.close());
  listener.bind(address);
  listener.listen(1);
  const connect = (connectTimeout: number): MessageSocket => {
    const socket = seqpacket.connect({ path: address, connectTimeout });
    destroyLater(t, socket);
    return socket;
  };
  const fillers = [connect(1000), connect(1000)];
  await Promise.all(fillers.map((filler) => once(filler, 'connect')));
  const [error] = (await once(connect(20), 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'EAGAIN');
  const patient = connect(20_000);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(patient.connecting, true);
  listener.accept()?.close();
  await once(patient, 'connect');
});
