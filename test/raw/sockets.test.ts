/** Making sockets, naming them, connecting them, and taking them apart. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, openSync, closeSync } from 'node:fs';
import nodeNet from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { Descriptor, RawSocket } from 'afunix/raw';
import { leavesNothingOpen } from '../helpers/descriptors';
import { freshDirectory, freshPath } from '../helpers/socket-paths';
import { bytes, fails, isCloseOnExec, pair, python, receiveText, triple, types } from './support';

let names = 0;
const abstractName = (): string => `\0afunix-raw-${process.pid}-${(names += 1)}`;

for (const type of types) {
  test(`${type}: a new socket is close-on-exec, knows its type, and closes once`, () => {
    const socket = RawSocket.socket(type);
    assert.equal(socket.type, type);
    assert.equal(isCloseOnExec(socket.fd), true);
    assert.equal(socket.closed, false);
    socket.close();
    socket.close();
    assert.equal(socket.closed, true);
    assert.equal(socket.fd, -1);
  });

  test(`${type}: a pathname carries a connection`, (t) => {
    const path = freshPath(t);
    const [listener, client] = [RawSocket.socket(type), RawSocket.socket(type)];
    listener.bind(path);
    assert.equal(existsSync(path), true);
    listener.listen();
    assert.equal(listener.accept(), null);
    assert.equal(client.connect(path), true);
    const accepted = listener.accept();
    assert.ok(accepted !== null);
    assert.equal(accepted.type, type);
    assert.equal(isCloseOnExec(accepted.fd), true);
    assert.deepEqual(client.getpeername(), {
      kind: 'pathname',
      bytes: Buffer.from(path),
      text: path,
    });
    assert.equal(accepted.getsockname().text, path);
    assert.equal(accepted.getpeername().kind, 'unnamed');
    assert.equal(client.send(bytes('over a path')), 11);
    assert.equal(receiveText(accepted), 'over a path');
    for (const socket of [listener, client, accepted]) socket.close();
  });

  test(`${type}: autobind makes an abstract name up, and an address can be used as it was told`, (t) => {
    const { listener, client } = triple(t, type);
    const { kind, text, bytes: raw } = listener.getsockname();
    assert.equal(kind, 'abstract');
    assert.match(text, /^\0[0-9a-f]{5}$/);
    assert.deepEqual(raw, Buffer.from(text));
    assert.deepEqual(client.getpeername(), listener.getsockname());
    assert.equal(client.getsockname().kind, 'unnamed');
  });

  test(`${type}: exact and padded abstract names are two names; bytes are exact`, (t) => {
    const name = abstractName();
    const exact = RawSocket.socket(type);
    const padded = RawSocket.socket(type);
    t.after(() => [exact, padded].forEach((socket) => socket.close()));
    exact.bind(name, { abstractLength: 'exact' });
    padded.bind(name, { abstractLength: 'padded' });
    assert.equal(exact.getsockname().bytes.length, name.length);
    assert.equal(padded.getsockname().bytes.length, 108);
    for (const [listener, address] of [
      [exact, Buffer.from(name)],
      [padded, padded.getsockname()],
    ] as const) {
      listener.listen();
      const client = RawSocket.socket(type);
      assert.equal(client.connect(address), true);
      listener.accept()!.close();
      client.close();
    }
  });

  test(`${type}: an abstract name may hold NULs and bytes that are no text`, (t) => {
    const name = Buffer.concat([Buffer.from(abstractName()), Buffer.from([0, 0xff, 0xfe, 0])]);
    const listener = RawSocket.socket(type);
    t.after(() => listener.close());
    listener.bind(name);
    assert.deepEqual(listener.getsockname().bytes, name);
  });

  test(`${type}: a full backlog says false, and later there is room`, (t) => {
    const listener = RawSocket.socket(type);
    listener.bind();
    listener.listen(0);
    const address = listener.getsockname();
    const clients: RawSocket[] = [];
    t.after(() => [listener, ...clients].forEach((socket) => socket.close()));
    for (;;) {
      const client = RawSocket.socket(type);
      clients.push(client);
      if (!client.connect(address)) break;
    }
    assert.ok(clients.length <= 3);
    const late = clients.at(-1)!;
    listener.accept()!.close();
    assert.equal(late.connect(address), true);
  });

  test(`${type}: what cannot be connected to says why`, (t) => {
    const directory = freshDirectory(t);
    const bound = RawSocket.socket(type);
    bound.bind(join(directory, 'bound'));
    const connect = (where: string): void => {
      const socket = RawSocket.socket(type);
      try {
        socket.connect(where);
      } finally {
        socket.close();
      }
    };
    fails(() => connect(join(directory, 'none')), {
      code: 'ENOENT',
      syscall: 'connect',
      message: `connect ENOENT ${join(directory, 'none')}`,
    });
    fails(() => connect(join(directory, 'bound')), { code: 'ECONNREFUSED' });
    bound.close();
    fails(() => connect(join(directory, 'bound')), { code: 'ECONNREFUSED' });
    const long = `${directory}/${'x'.repeat(108)}`;
    fails(() => connect(long), { code: 'ENAMETOOLONG', syscall: 'connect' });
    fails(() => connect(`\0${'x'.repeat(108)}`), { code: 'ENAMETOOLONG' });
    fails(() => connect(''), { code: 'ERR_INVALID_ARG_VALUE' });
    fails(() => connect('a\0b'), { code: 'ERR_INVALID_ARG_VALUE' });
  });

  test(`${type}: binding where it cannot be says why`, (t) => {
    const path = freshPath(t);
    const [first, second] = [RawSocket.socket(type), RawSocket.socket(type)];
    t.after(() => [first, second].forEach((socket) => socket.close()));
    first.bind(path);
    fails(() => second.bind(path), { code: 'EADDRINUSE', syscall: 'bind' });
    fails(() => first.bind(`${path}2`), { code: 'EINVAL', syscall: 'bind' });
    fails(() => second.bind(join(path, 'below')), { code: 'ENOTDIR' });
    fails(() => second.bind(join(`${path}-no`, 'below')), { code: 'ENOENT' });
    fails(() => second.listen(), { code: 'EINVAL', syscall: 'listen' });
  });

  test(`${type}: the other type is refused, and told`, (t) => {
    const path = freshPath(t);
    const listener = RawSocket.socket(type);
    listener.bind(path);
    listener.listen();
    const other = RawSocket.socket(type === 'stream' ? 'seqpacket' : 'stream');
    t.after(() => [listener, other].forEach((socket) => socket.close()));
    assert.throws(() => other.connect(path), { code: 'EPROTOTYPE', hint: /another type/ });
  });

  test(`${type}: calls in a wrong order fail as the kernel has it`, (t) => {
    const socket = RawSocket.socket(type);
    t.after(() => socket.close());
    fails(() => socket.accept(), { code: 'EINVAL', syscall: 'accept' });
    fails(() => socket.getpeername(), { code: 'ENOTCONN', syscall: 'getpeername' });
    fails(() => socket.send(bytes('x')), { code: 'ENOTCONN', syscall: 'send' });
    fails(() => socket.recv(Buffer.alloc(1)), {
      code: type === 'stream' ? 'EINVAL' : 'ENOTCONN',
      syscall: 'recv',
    });
  });

  test(`${type}: shutdown ends one direction, or both`, (t) => {
    const [left, right] = pair(t, type);
    left.shutdown('write');
    assert.equal(receiveText(right), 0);
    fails(() => left.send(bytes('x')), { code: 'EPIPE', syscall: 'send' });
    right.send(bytes('still open'));
    assert.equal(receiveText(left), 'still open');
    left.shutdown('read');
    fails(() => right.send(bytes('x')), { code: 'EPIPE' });
    fails(() => left.shutdown('neither' as 'both'), { code: 'ERR_INVALID_ARG_VALUE' });
  });

  test(`${type}: fromFd takes ownership, of a number and of a Descriptor`, (t) => {
    const [left, right] = pair(t, type);
    const again = RawSocket.fromFd(left.detach().take());
    assert.equal(left.closed, true);
    assert.equal(again.type, type);
    const descriptor = again.detach();
    const last = RawSocket.fromFd(descriptor);
    assert.deepEqual([descriptor.closed, descriptor.fd, last.closed], [true, -1, false]);
    last.send(bytes('through three owners'));
    assert.equal(receiveText(right), 'through three owners');
    descriptor.close();
    assert.equal(last.closed, false);
    last.close();
    assert.equal(receiveText(right), 0);
  });

  test(`${type}: a hundred of each leave nothing open`, () =>
    leavesNothingOpen(async () => {
      const [left, right] = RawSocket.socketpair(type);
      const listener = RawSocket.socket(type);
      listener.bind();
      listener.listen();
      const client = RawSocket.socket(type);
      client.connect(listener.getsockname());
      const accepted = listener.accept()!;
      left.send(bytes('x'));
      for (const socket of [left, right, listener, client, accepted]) socket[Symbol.dispose]();
    }, 100));
}

test('a socket that was inherited blocking is made non-blocking', (t) => {
  const [left, right] = pair(t, 'stream');
  const program = `
    const { RawSocket } = require('afunix/raw');
    const socket = RawSocket.fromFd(3);
    console.log(socket.recv(Buffer.alloc(1)));`;
  // Python makes it blocking; the process after it shares the open file description.
  execFileSync('python3', ['-c', 'import os; os.set_blocking(3, True)'], {
    stdio: ['ignore', 'inherit', 'inherit', right.fd],
  });
  const output = execFileSync(process.execPath, ['-e', program], {
    stdio: ['ignore', 'pipe', 'inherit', right.fd],
    encoding: 'utf8',
    timeout: 30_000,
  });
  assert.equal(output, '-1\n');
  left.close();
});

test('descriptor 0 is a socket like any other', (t) => {
  const [left, right] = pair(t, 'seqpacket');
  const program = `
    const { Descriptor, RawSocket } = require('afunix/raw');
    const socket = RawSocket.fromFd(0);
    socket.send(Buffer.from('from ' + socket.fd));
    const descriptor = socket.detach();
    socket.close();
    const again = RawSocket.fromFd(descriptor);
    again.send(Buffer.from('again ' + again.fd));
    again.sendmsg(Buffer.from('passed'), { descriptors: [0] });
    again.close();
    if (again.fd !== -1 || descriptor.fd !== -1) process.exit(1);`;
  execFileSync(process.execPath, ['-e', program], { stdio: [right.fd, 'inherit', 'inherit'] });
  assert.equal(receiveText(left), 'from 0');
  assert.equal(receiveText(left), 'again 0');
  const message = left.recvmsg(Buffer.alloc(16), { descriptors: 1 });
  assert.equal(message?.descriptors.length, 1);
  message.descriptors[0].close();
});

test('fromFd refuses what is no AF_UNIX stream or seqpacket socket, and leaves it open', async (t) => {
  const file = new Descriptor(openSync('/dev/null', 'r'));
  const server = nodeNet.createServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const tcp = (server as unknown as { _handle: { fd: number } })._handle.fd;
  fails(() => RawSocket.fromFd(file), { code: 'ENOTSOCK' });
  assert.equal(file.closed, false);
  fails(() => RawSocket.fromFd(tcp), { code: 'EAFNOSUPPORT' });
  closeSync(file.take());
  fails(() => RawSocket.fromFd(file), { code: 'EBADF' });
});

test('datagram sockets are refused', async (t) => {
  const [left, right] = pair(t, 'stream');
  await python(
    t,
    `import socket
s = socket.socket(fileno=3)
d = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
socket.send_fds(s, [b'x'], [d.fileno()])`,
    right.fd,
  );
  const message = left.recvmsg(Buffer.alloc(1), { descriptors: 1 });
  const [descriptor] = message!.descriptors;
  fails(() => RawSocket.fromFd(descriptor), { code: 'EPROTOTYPE' });
  descriptor.close();
});
