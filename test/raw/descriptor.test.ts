/** Descriptor: who owns it, what it becomes, and what happens if nobody closes it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, fstatSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import nodeNet from 'node:net';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import net from 'afunix';
import { constants, Descriptor, RawSocket } from 'afunix/raw';
import { leavesNothingOpen } from '../helpers/descriptors';
import { runLone } from '../helpers/lone-process';
import { freshDirectory } from '../helpers/socket-paths';
import { bytes, fails, pair, receiveText, triple } from './support';

const open = (): Descriptor => new Descriptor(openSync('/dev/null', 'r+'));
const isOpen = (fd: number): boolean => {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
};

test('it closes what it owns, once', () => {
  const descriptor = open();
  const { fd } = descriptor;
  assert.equal(descriptor.closed, false);
  descriptor.close();
  assert.equal(isOpen(fd), false);
  assert.deepEqual([descriptor.closed, descriptor.fd], [true, -1]);
  // Until the number comes back, as somebody else's.
  const others: number[] = [];
  do others.push(openSync('/dev/null', 'r'));
  while (others[others.length - 1] < fd);
  descriptor.close();
  descriptor[Symbol.dispose]();
  for (const other of others) {
    assert.equal(isOpen(other), true);
    closeSync(other);
  }
});

test('take() gives the number up', () => {
  const descriptor = open();
  const fd = descriptor.take();
  assert.equal(descriptor.closed, true);
  descriptor.close();
  assert.equal(isOpen(fd), true);
  fails(() => descriptor.take(), { code: 'EBADF', syscall: 'take' });
  closeSync(fd);
});

test('what is no open descriptor is refused', () => {
  const make = (fd: unknown): unknown => new Descriptor(fd as number);
  fails(() => make(-1), { code: 'ERR_OUT_OF_RANGE' });
  fails(() => make(0.5), { code: 'ERR_OUT_OF_RANGE' });
  fails(() => make(NaN), { code: 'ERR_OUT_OF_RANGE' });
  fails(() => make(2 ** 31), { code: 'ERR_OUT_OF_RANGE' });
  for (const fd of ['0', undefined, null, 3n, {}])
    fails(() => make(fd), { code: 'ERR_INVALID_ARG_TYPE' });
  fails(() => make(987_654), { code: 'EBADF', syscall: 'fcntl' });
});

test('toSocket() makes an afunix socket of a connected stream', async (t) => {
  const [left, right] = pair(t, 'stream');
  const socket = left.detach().toSocket({ allowHalfOpen: true });
  assert.ok(socket instanceof net.Socket);
  assert.equal(socket.allowHalfOpen, true);
  right.send(bytes('from raw'));
  right.shutdown('write');
  let heard = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => (heard += chunk));
  await once(socket, 'end');
  assert.equal(heard, 'from raw');
  socket.end('to raw');
  await once(socket, 'close');
  assert.equal(receiveText(right), 'to raw');
});

test('toNetSocket() makes a net.Socket', async (t) => {
  const [left, right] = pair(t, 'stream');
  const descriptor = left.detach();
  const socket = descriptor.toNetSocket();
  assert.equal(descriptor.closed, true);
  assert.equal(socket.constructor, nodeNet.Socket);
  right.send(bytes('from raw'));
  right.shutdown('write');
  assert.equal(await text(socket), 'from raw');
});

test('toServer() makes a server of a listening socket', async (t) => {
  const { listener } = triple(t, 'stream');
  const { text: address } = listener.getsockname();
  // The client that was there before the server.
  const early = RawSocket.socket('stream');
  t.after(() => early.close());
  early.connect(address, { abstractLength: 'exact' });
  const server = listener.detach().toServer({}, (socket) => socket.end('served'));
  await early.poll(constants.POLLIN);
  assert.equal(receiveText(early), 'served');
  early.close();
  const late = net.connect({ path: address, abstractLength: 'exact' });
  assert.equal(await text(late), 'served');
  server.close();
  await once(server, 'close');
});

test('a cast to something else is refused, and the descriptor stays owned', async (t) => {
  const { listener, client } = triple(t, 'stream');
  const packets = pair(t, 'seqpacket');
  const cases = { file: open(), listener: listener.detach(), client: client.detach() };
  const packet = packets[0].detach();
  fails(() => cases.file.toSocket(), { code: 'ENOTSOCK', syscall: 'toSocket' });
  fails(() => cases.file.toServer(), { code: 'ENOTSOCK', syscall: 'toServer' });
  fails(() => cases.listener.toSocket(), { code: 'EPROTOTYPE' });
  fails(() => cases.client.toServer(), { code: 'EPROTOTYPE' });
  fails(() => packet.toSocket(), { code: 'EPROTOTYPE' });
  const file = new Descriptor(openSync(__filename, 'r'));
  assert.throws(() => file.toNetSocket(), { code: 'ERR_INVALID_FD_TYPE' });
  for (const descriptor of [...Object.values(cases), packet, file]) {
    assert.equal(descriptor.closed, false);
    descriptor.close();
    fails(() => descriptor.toSocket(), { code: 'EBADF' });
    fails(() => descriptor.toServer(), { code: 'EBADF' });
    fails(() => descriptor.toNetSocket(), { code: 'EBADF' });
    fails(() => descriptor.toReadStream(), { code: 'EBADF' });
    fails(() => descriptor.toWriteStream(), { code: 'EBADF' });
  }
});

test('a cast that throws leaves the descriptor as it was', () => {
  const descriptor = new Descriptor(openSync('/dev/null', 'r'));
  const { fd } = descriptor;
  const wrong = { start: -1, allowHalfOpen: 'x', signal: 5 } as never;
  for (const cast of ['toReadStream', 'toWriteStream', 'toNetSocket'] as const) {
    assert.throws(() => descriptor[cast](wrong));
    assert.equal(descriptor.fd, fd);
    fstatSync(fd);
  }
  const [left, right] = RawSocket.socketpair('stream');
  const connection = left.detach();
  assert.throws(() => connection.toSocket({ maxDescriptors: -1 }), { code: 'ERR_OUT_OF_RANGE' });
  assert.equal(connection.closed, false);
  for (const each of [descriptor, connection, right]) each.close();
});

test('files: streams, and the functions of fs that take a number', async (t) => {
  const file = path.join(freshDirectory(t), 'file');
  const writer = new Descriptor(openSync(file, 'w')).toWriteStream();
  writer.end('through a stream');
  await once(writer, 'close');
  const descriptor = new Descriptor(openSync(file, 'r'));
  assert.equal(readFileSync(descriptor.fd, 'utf8'), 'through a stream');
  assert.equal(await text(descriptor.toReadStream({ start: 8 })), 'a stream');
  assert.equal(descriptor.closed, true);
});

test('casts leave nothing open', () =>
  leavesNothingOpen(async () => {
    const [left, right] = RawSocket.socketpair('stream');
    const [near, far] = [left.detach().toSocket(), right.detach().toNetSocket()];
    near.end();
    far.end();
    near.resume();
    far.resume();
    await Promise.all([once(near, 'close'), once(far, 'close')]);
  }, 50));

test('collected without being closed: a warning, and it is closed', async (t) => {
  const file = path.join(freshDirectory(t), 'file');
  writeFileSync(file, '');
  const lines = await runLone(
    t,
    { file },
    async ({ require, parameters, say }) => {
      const fs = require('node:fs') as typeof import('node:fs');
      const { Descriptor, RawSocket } = require('afunix/raw') as typeof import('afunix/raw');
      const { gc } = globalThis as unknown as { gc(): void };
      const seen: string[] = [];
      process.on('warning', (warning: Error & { code?: string }) => {
        seen.push(`${warning.name} ${warning.code}`);
      });
      const before = fs.readdirSync('/proc/self/fd').length;
      const openSome = (): void => {
        new Descriptor(fs.openSync(parameters.file, 'r'));
        void RawSocket.socketpair('stream');
        // These are claimed.
        new Descriptor(fs.openSync(parameters.file, 'r')).close();
        fs.closeSync(new Descriptor(fs.openSync(parameters.file, 'r')).take());
        RawSocket.socket('stream').close();
      };
      openSome();
      for (let round = 0; round < 50 && seen.length < 3; round += 1) {
        gc();
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      say(fs.readdirSync('/proc/self/fd').length - before);
      seen.forEach(say);
    },
    { execArgv: ['--expose-gc', '--no-warnings'] },
  );
  const warning = 'AfunixWarning AFUNIX_UNCLAIMED_DESCRIPTOR';
  assert.deepEqual(lines, ['0', warning, warning, warning]);
});
