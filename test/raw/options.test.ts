/** Options of sockets, by name and by number. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { constants, Descriptor } from 'afunix/raw';
import { saidWithGarbageCollector } from '../helpers/passed-descriptors';
import { fails, isCloseOnExec, pair, triple, types } from './support';

test('the constants are what Python has for them', () => {
  const program = `
import json, select, socket
found = {}
for module in (socket, select):
    for name in dir(module):
        if name.startswith(('SO_', 'SOL_', 'MSG_', 'POLL')) and isinstance(getattr(module, name), int):
            found[name] = int(getattr(module, name))
print(json.dumps(found))`;
  const found = JSON.parse(
    execFileSync('python3', ['-c', program], { encoding: 'utf8' }),
  ) as Record<string, number>;
  let compared = 0;
  for (const [name, value] of Object.entries(constants)) {
    if (!(name in found)) continue;
    compared += 1;
    assert.equal(value, found[name], name);
  }
  assert.ok(compared > 25, `${compared} compared`);
});

for (const type of types) {
  test(`${type}: integers are read and set, by name and by number`, (t) => {
    const [left] = pair(t, type);
    assert.equal(left.getsockopt('SO_DOMAIN'), 1);
    assert.equal(left.getsockopt('SO_TYPE'), type === 'stream' ? 1 : 5);
    assert.equal(left.getsockopt('SO_ERROR'), 0);
    assert.equal(left.getsockopt('SO_ACCEPTCONN'), 0);
    left.setsockopt('SO_SNDBUF', 50_000);
    assert.equal(left.getsockopt('SO_SNDBUF'), 100_000);
    assert.equal(left.getsockopt(constants.SOL_SOCKET, constants.SO_SNDBUF), 100_000);
    left.setsockopt(constants.SOL_SOCKET, constants.SO_SNDBUF, 60_000);
    assert.equal(left.getsockopt('SO_SNDBUF'), 120_000);
    assert.equal(left.maxMessageSize, 120_000 - 32);
    left.setsockopt('SO_PEEK_OFF', -1);
    assert.equal(left.getsockopt('SO_PEEK_OFF'), -1);
  });

  test(`${type}: bytes are read and set`, (t) => {
    const [left] = pair(t, type);
    const credentials = new Int32Array(3);
    assert.equal(left.getsockopt('SO_PEERCRED', credentials), 12);
    assert.deepEqual([...credentials], [process.pid, process.getuid!(), process.getgid!()]);
    const timeout = new BigInt64Array([2n, 500_000n]);
    left.setsockopt('SO_RCVTIMEO', timeout);
    const back = new BigInt64Array(2);
    assert.equal(left.getsockopt(constants.SOL_SOCKET, constants.SO_RCVTIMEO, back), 16);
    assert.deepEqual(back, timeout);
  });

  test(`${type}: a listener says so`, (t) => {
    assert.equal(triple(t, type).listener.getsockopt('SO_ACCEPTCONN'), 1);
  });
}

test('a pidfd of the peer is a descriptor that somebody has to own', (t) => {
  const [left] = pair(t, 'stream');
  const descriptor = new Descriptor(left.getsockopt('SO_PEERPIDFD'));
  assert.equal(isCloseOnExec(descriptor.fd), true);
  descriptor.close();
});

test('a list that is longer than its memory says how long it is', async () => {
  const said = await saidWithGarbageCollector(`
    // As root there are some whoever runs this; otherwise those that there are.
    if (process.getuid() === 0) process.setgroups([1, 2, 3]);
    const { RawSocket, constants } = require(${JSON.stringify(require.resolve('afunix/raw'))});
    const [left] = RawSocket.socketpair('stream');
    const option = [constants.SOL_SOCKET, constants.SO_PEERGROUPS];
    const needed = left.getsockopt(...option, new Uint8Array(4 * 65536));
    if (needed === 0) throw new Error('ERANGE needs a group');
    try {
      left.getsockopt(...option, new Uint8Array(needed - 1));
    } catch ({ code, size, limit, message, hint }) {
      console.log(code, size === needed, limit === needed - 1, message.includes(needed + ' bytes'), hint.includes(needed));
    }
  `);
  assert.equal(said, 'ERANGE true true true true');
});

test('what the kernel refuses is told', (t) => {
  const [left] = pair(t, 'stream');
  fails(() => left.getsockopt(constants.SOL_SOCKET, 9999), {
    code: 'ENOPROTOOPT',
    syscall: 'getsockopt',
  });
  fails(() => left.setsockopt(constants.SOL_SOCKET, 9999, 1), {
    code: 'ENOPROTOOPT',
    syscall: 'setsockopt',
  });
  fails(() => left.setsockopt('SO_TYPE', 1), { code: 'ENOPROTOOPT' });
  fails(() => left.setsockopt('SO_SNDBUF', new Uint8Array(1)), { code: 'EINVAL' });
});

test('options that are none are refused before they are tried', (t) => {
  const [left] = pair(t, 'stream');
  const wrong = (...args: unknown[]): void => {
    Reflect.apply(left.getsockopt as (...given: unknown[]) => unknown, left, args);
  };
  fails(() => wrong('SO_NONE'), { code: 'ERR_INVALID_ARG_VALUE' });
  fails(() => wrong('toString'), { code: 'ERR_INVALID_ARG_VALUE' });
  fails(() => wrong(1), { code: 'ERR_INVALID_ARG_TYPE' });
  fails(() => wrong(1.5, 1), { code: 'ERR_OUT_OF_RANGE' });
  fails(() => wrong(1, 7, 'memory'), { code: 'ERR_INVALID_ARG_TYPE' });
  fails(() => left.setsockopt('SO_SNDBUF', 2 ** 31), { code: 'ERR_OUT_OF_RANGE' });
  fails(() => left.setsockopt('SO_SNDBUF', 0.5), { code: 'ERR_OUT_OF_RANGE' });
  fails(() => left.setsockopt('SO_SNDBUF', 'big' as never), { code: 'ERR_INVALID_ARG_TYPE' });
  fails(() => left.setsockopt('SO_SNDBUF', undefined as never), { code: 'ERR_INVALID_ARG_TYPE' });
});
