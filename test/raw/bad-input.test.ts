/** Every method with arguments that it must refuse, and on a socket that is closed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { constants, RawSocket } from 'afunix/raw';
import { bytes, fails, pair, receiveText, types } from './support';

type Call = (socket: RawSocket, ...args: unknown[]) => unknown;

const call =
  (method: keyof RawSocket): Call =>
  (socket, ...args) =>
    Reflect.apply(socket[method] as (...given: unknown[]) => unknown, socket, args);

const type = 'ERR_INVALID_ARG_TYPE';
const range = 'ERR_OUT_OF_RANGE';
const value = 'ERR_INVALID_ARG_VALUE';
const four = (): Uint8Array => bytes('four');
const table = (): Int32Array => Int32Array.of(0, 4, 0, 0);

const wrong: Readonly<Partial<Record<keyof RawSocket, [code: string, ...args: unknown[]][]>>> = {
  bind: [
    [type, 7],
    [type, null],
    [value, ''],
    [value, new Uint8Array(0)],
    [value, 'a\0b'],
    ['ENAMETOOLONG', 'x'.repeat(108)],
    ['ENAMETOOLONG', 'ü'.repeat(54)],
  ],
  connect: [
    [type, undefined],
    [type, { path: 'x' }],
    [value, ''],
    ['ENAMETOOLONG', Buffer.alloc(108, 'x')],
  ],
  listen: [
    [type, '1'],
    [range, -1],
    [range, 1.5],
    [range, 2 ** 31],
  ],
  shutdown: [
    [value, 'rw'],
    [value, 2],
    [value, 'toString'],
  ],
  send: [
    [type, 'text'],
    [type, undefined],
    [type, [1, 2]],
    [type, four(), '1'],
    [range, four(), -1],
    [range, four(), 5],
    [range, four(), 0.5],
    [range, four(), NaN],
    [type, four(), 0, null],
    [range, four(), 1, 4],
    [range, four(), 0, -1],
    [type, four(), 0, 4, '0'],
    [range, four(), 0, 4, 0.5],
  ],
  recv: [
    [type, 'text'],
    [range, four(), 5],
    [range, four(), 1, 4],
    [value, new Uint8Array(0)],
    [value, four(), 4],
    [type, four(), 0, 4, 'MSG_PEEK'],
  ],
  peek: [[value, new Uint8Array(0)]],
  sendmsg: [
    [type, 'text'],
    [type, [four(), 'text']],
    [type, undefined],
    [range, Array.from({ length: 1025 }, four)],
    [range, four(), { flags: 1.5 }],
    [type, four(), { credentials: { pid: 'me', uid: 0, gid: 0 } }],
    [range, four(), { credentials: { pid: -1, uid: 0, gid: 0 } }],
  ],
  recvmsg: [
    [type, 'text'],
    [type, [null]],
    [range, four(), { descriptors: -1 }],
    [range, four(), { descriptors: 254 }],
    [type, four(), { descriptors: 'all' }],
    [range, four(), { flags: 2 ** 40 }],
  ],
  sendBatch: [
    [type, 'text', table()],
    [type, four(), [0, 4, 0, 0]],
    [type, four(), new Uint32Array(4)],
    [range, four(), new Int32Array(3)],
    [range, four(), table(), 0],
    [range, four(), table(), 2],
    [range, four(), table(), 0.5],
    [range, four(), Int32Array.of(1, 4, 0, 0)],
    [range, four(), Int32Array.of(-1, 4, 0, 0)],
    [range, four(), Int32Array.of(0, -1, 0, 0)],
    [range, four(), Int32Array.of(5, 0, 0, 0)],
    [range, four(), Int32Array.of(2 ** 31 - 1, 2 ** 31 - 1, 0, 0)],
  ],
  recvBatch: [
    [type, 'text', table(), 4],
    [type, four(), [], 4],
    [range, four(), new Int32Array(0), 4],
    [range, four(), table(), 0],
    [range, four(), table(), 5],
    [type, four(), table()],
    [range, four(), table(), 1.5],
  ],
};

for (const kind of types) {
  for (const [method, cases] of Object.entries(wrong)) {
    test(`${kind}: ${method}() refuses what it cannot use, and does nothing`, (t) => {
      const [left, right] = pair(t, kind);
      for (const [code, ...args] of cases) {
        fails(() => call(method as keyof RawSocket)(left, ...args), { code });
      }
      assert.equal(receiveText(right), -1, 'nothing was sent');
      left.send(bytes('works'));
      assert.equal(receiveText(right), 'works');
    });
  }

  const methods: Readonly<Partial<Record<keyof RawSocket, unknown[]>>> = {
    bind: [],
    listen: [],
    accept: [],
    connect: ['/tmp/none'],
    shutdown: ['both'],
    send: [four()],
    recv: [four()],
    peek: [four()],
    sendmsg: [four()],
    recvmsg: [four()],
    sendBatch: [four(), table()],
    recvBatch: [four(), table(), 4],
    getsockopt: ['SO_TYPE'],
    setsockopt: ['SO_SNDBUF', 4096],
    getsockname: [],
    getpeername: [],
    inq: [],
    outq: [],
    detach: [],
  };
  for (const how of ['closed', 'detached'] as const) {
    test(`${kind}: on a ${how} socket everything is EBADF`, (t) => {
      const [left] = pair(t, kind);
      const given = how === 'closed' ? left.close() : left.detach();
      for (const [method, args] of Object.entries(methods)) {
        fails(() => call(method as keyof RawSocket)(left, ...args), { code: 'EBADF', errno: -9 });
      }
      assert.throws(() => left.maxMessageSize, { code: 'EBADF' });
      left.close();
      left.ref().unref();
      given?.close();
    });
  }
}

function takeAway(buffer: ArrayBufferLike): void {
  structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
}

test('memory that was taken away is refused by name', (t) => {
  const [left, right] = pair(t, 'seqpacket');
  const transferred = new Uint8Array(8);
  takeAway(transferred.buffer);
  const view = new DataView(new ArrayBuffer(8));
  takeAway(view.buffer);
  const bare = new ArrayBuffer(8);
  left.send(bare);
  assert.equal(right.recv(Buffer.alloc(8)), 8);
  takeAway(bare);
  for (const gone of [transferred, transferred.buffer, view, view.buffer, bare]) {
    fails(() => left.send(gone), { code: 'ERR_INVALID_ARG_VALUE' });
    fails(() => left.recv(gone), { code: 'ERR_INVALID_ARG_VALUE' });
    fails(() => left.sendmsg([bytes('x'), gone]), { code: 'ERR_INVALID_ARG_VALUE' });
    fails(() => left.recvmsg(gone), { code: 'ERR_INVALID_ARG_VALUE' });
    fails(() => left.sendBatch(gone, table()), { code: 'ERR_INVALID_ARG_VALUE' });
    fails(() => left.recvBatch(gone, table(), 1), { code: 'ERR_INVALID_ARG_VALUE' });
    fails(() => left.getsockopt('SO_TYPE', gone), { code: 'ERR_INVALID_ARG_VALUE' });
  }
  assert.equal(receiveText(right), -1);
});

test('a table that was taken away is refused', (t) => {
  const [left] = pair(t, 'seqpacket');
  const gone = table();
  takeAway(gone.buffer);
  fails(() => left.sendBatch(four(), gone), { code: range });
  fails(() => left.recvBatch(four(), gone, 4), { code: range });
});

test('resized memory counts as it is now', (t) => {
  const [left, right] = pair(t, 'seqpacket');
  const buffer = Reflect.construct(ArrayBuffer, [8, { maxByteLength: 64 }]) as ArrayBuffer;
  const resize = (length: number): unknown =>
    Reflect.apply(Reflect.get(buffer, 'resize') as () => void, buffer, [length]);
  const [following, fixed] = [new Uint8Array(buffer), new Uint8Array(buffer, 0, 8)];
  assert.equal(left.send(buffer), 8);
  resize(16);
  assert.deepEqual([left.send(buffer), left.send(following), left.send(fixed)], [16, 16, 8]);
  resize(4);
  assert.deepEqual([left.send(buffer), left.send(following)], [4, 4]);
  fails(() => left.send(fixed), { code: 'ERR_INVALID_ARG_VALUE' });
  fails(() => left.recv(fixed), { code: 'ERR_INVALID_ARG_VALUE' });
  fails(() => left.sendBatch(buffer, Int32Array.of(0, 5, 0, 0)), { code: range });
  fails(() => left.recvBatch(buffer, table(), 5), { code: range });
  for (const length of [8, 16, 16, 8, 4, 4]) assert.equal(right.recv(Buffer.alloc(64)), length);
});

test('flags that the kernel does not know are its own business', (t) => {
  const [left, right] = pair(t, 'stream');
  left.send(bytes('x'), 0, 1, constants.MSG_NOSIGNAL | constants.MSG_DONTWAIT);
  assert.equal(receiveText(right), 'x');
  fails(() => right.recv(Buffer.alloc(1), 0, 1, constants.MSG_OOB), { code: 'EINVAL' });
});

test('types of sockets that are none are refused', () => {
  for (const kind of ['dgram', 1, undefined, 'toString']) {
    fails(() => RawSocket.socket(kind as 'stream'), { code: 'ERR_INVALID_ARG_VALUE' });
    fails(() => RawSocket.socketpair(kind as 'stream'), { code: 'ERR_INVALID_ARG_VALUE' });
  }
});
