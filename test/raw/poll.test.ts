/** Readiness on the event loop. */
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { constants, RawSocket } from 'afunix/raw';
import { collectGarbage } from '../helpers/collect-garbage';
import { leavesNothingOpen } from '../helpers/descriptors';
import { saidWithGarbageCollector } from '../helpers/passed-descriptors';
import { runLone } from '../helpers/lone-process';
import { bytes, fails, pair, receiveText, triple, types } from './support';

const { POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLRDHUP } = constants;

async function isPending(promise: Promise<unknown>): Promise<boolean> {
  for (let round = 0; round < 5; round += 1) await turn();
  return (await Promise.race([promise, Promise.resolve('pending')])) === 'pending';
}

for (const type of types) {
  test(`${type}: readable when something came, and not before`, async (t) => {
    const [left, right] = pair(t, type);
    const readable = left.poll(POLLIN);
    assert.equal(await isPending(readable), true);
    right.send(bytes('now'));
    assert.equal(await readable, POLLIN);
    assert.equal(await left.poll(POLLIN), POLLIN, 'what is ready already is told as well');
    assert.equal(receiveText(left), 'now');
  });

  test(`${type}: writable at once, and after a full queue was read`, async (t) => {
    const [left, right] = pair(t, type);
    assert.equal(await left.poll(POLLIN | POLLOUT), POLLOUT);
    const memory = Buffer.alloc(4096);
    while (left.send(memory) > 0);
    const writable = left.poll(POLLOUT);
    assert.equal(await isPending(writable), true);
    while (right.recv(memory) > 0);
    assert.equal(await writable, POLLOUT);
  });

  test(`${type}: the peer's end is told to whoever asked, its close to everybody`, async (t) => {
    const [left, right] = pair(t, type);
    right.shutdown('write');
    assert.equal(await left.poll(POLLRDHUP), POLLRDHUP);
    assert.equal(await left.poll(POLLIN | POLLRDHUP), POLLIN | POLLRDHUP);
    right.close();
    assert.equal(await left.poll(0), POLLHUP);
    assert.equal((await left.poll(POLLIN)) & (POLLIN | POLLHUP), POLLIN | POLLHUP);
  });

  test(`${type}: a reset is an error, and what came before it can be read`, async (t) => {
    const [left, right] = pair(t, type);
    right.send(bytes('before'));
    left.send(bytes('unread'));
    right.close();
    assert.ok(((await left.poll(0)) & POLLERR) !== 0);
    // A stream gives the bytes first, SEQPACKET the error.
    if (type === 'stream') assert.equal(receiveText(left), 'before');
    fails(() => left.recv(Buffer.alloc(8)), { code: 'ECONNRESET' });
    if (type === 'seqpacket') assert.equal(receiveText(left), 'before');
  });

  test(`${type}: a listener is readable when somebody waits`, async (t) => {
    const { listener } = triple(t, type);
    const waiting = listener.poll(POLLIN);
    const client = RawSocket.socket(type);
    t.after(() => client.close());
    client.connect(listener.getsockname());
    assert.equal(await waiting, POLLIN);
    listener.accept()!.close();
  });

  test(`${type}: several may wait for different things, each is told its own`, async (t) => {
    const [left, right] = pair(t, type);
    const readable = [left.poll(POLLIN), left.poll(POLLIN)];
    assert.equal(await left.poll(POLLOUT), POLLOUT);
    assert.equal(await isPending(readable[0]), true);
    right.send(bytes('x'));
    assert.deepEqual(await Promise.all(readable), [POLLIN, POLLIN]);
  });

  for (const how of ['close', 'detach'] as const) {
    test(`${type}: ${how} while somebody waits tells POLLNVAL`, async (t) => {
      const [left, right] = pair(t, type);
      const waits = [left.poll(POLLIN), left.poll(POLLOUT | POLLIN)];
      const given = left[how]();
      given?.close();
      assert.deepEqual(await Promise.all(waits), [POLLNVAL, POLLNVAL]);
      assert.equal(await left.poll(POLLIN), POLLNVAL);
      right.close();
    });
  }

  test(`${type}: a close while its event is on the way is safe`, async (t) => {
    for (let round = 0; round < 50; round += 1) {
      const pairs = Array.from({ length: 4 }, () => pair(t, type));
      const waits = pairs.map(([left]) => left.poll(POLLIN));
      pairs.forEach(([, right]) => right.send(bytes('x')));
      const seen = waits.map((wait) =>
        wait.then((events) => {
          pairs.forEach(([left]) => left.close());
          return events;
        }),
      );
      for (const events of await Promise.all(seen)) {
        assert.ok(events === POLLIN || events === POLLNVAL);
      }
    }
  });
}

test('a number that comes back belongs to the new socket alone', async (t) => {
  const [left, right] = pair(t, 'stream');
  const kept = left.fd;
  assert.equal(await left.poll(POLLOUT), POLLOUT);
  left.close();
  const [again, other] = pair(t, 'stream');
  assert.ok([again.fd, other.fd].includes(kept));
  for (const socket of [again, other]) assert.equal(await socket.poll(POLLOUT), POLLOUT);
  right.close();
});

test('a duplicate elsewhere does not keep a closed socket in the set', async (t) => {
  const [left, right] = pair(t, 'stream');
  const [carrier, end] = pair(t, 'stream');
  const waiting = left.poll(POLLIN);
  carrier.sendmsg(bytes('x'), { descriptors: [left] });
  left.close();
  assert.equal(await waiting, POLLNVAL);
  right.send(bytes('for whoever has the duplicate'));
  const [copy] = end.recvmsg(Buffer.alloc(1), { descriptors: 1 })!.descriptors;
  const owner = RawSocket.fromFd(copy);
  assert.equal(await owner.poll(POLLIN), POLLIN);
  owner.close();
});

test('many sockets at once are all told', async (t) => {
  const pairs = Array.from({ length: 500 }, () => pair(t, 'seqpacket'));
  const waits = pairs.map(([left]) => left.poll(POLLIN));
  pairs.forEach(([, right]) => right.send(bytes('x')));
  assert.deepEqual(new Set(await Promise.all(waits)), new Set([POLLIN]));
});

test('the asynchronous context is that of the wait', async (t) => {
  const [left, right] = pair(t, 'stream');
  const storage = new AsyncLocalStorage<string>();
  const seen = storage.run('mine', async () => {
    await left.poll(POLLIN);
    return storage.getStore();
  });
  right.send(bytes('x'));
  assert.equal(await seen, 'mine');
});

test('a socket that is only waited for is not collected', async (t) => {
  const [, right] = (() => {
    const [left, right] = RawSocket.socketpair('stream');
    void left.poll(POLLIN).then(() => left.send(bytes('alive')));
    return [0, right];
  })();
  t.after(() => right.close());
  for (let round = 0; round < 5; round += 1) {
    collectGarbage();
    await turn();
  }
  right.send(bytes('x'));
  await right.poll(POLLIN);
  assert.equal(receiveText(right), 'alive');
});

test('events that cannot be waited for are refused', async (t) => {
  const [left] = pair(t, 'stream');
  await assert.rejects(left.poll(0x4000_0000), { code: 'ERR_OUT_OF_RANGE' });
  await assert.rejects(left.poll(POLLHUP), { code: 'ERR_OUT_OF_RANGE' });
  await assert.rejects(left.poll(-1), { code: 'ERR_OUT_OF_RANGE' });
  await assert.rejects(left.poll('in' as never), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('polling and closing leaves nothing open', async () =>
  leavesNothingOpen(async () => {
    const [left, right] = RawSocket.socketpair('stream');
    const waits = [left.poll(POLLIN), right.poll(POLLIN)];
    left.close();
    await Promise.all(waits);
    right.close();
  }, 100));

test('a wait holds the process; unref() lets it go', async (t) => {
  const lines = await runLone(t, {}, ({ require, say }) => {
    const { RawSocket, constants } = require('afunix/raw') as typeof import('afunix/raw');
    const [left, right] = RawSocket.socketpair('stream');
    setTimeout(() => right.send(Buffer.from('x')), 50).unref();
    void left.poll(constants.POLLIN).then((events) => {
      say(`held until ${events}`);
      left.recv(Buffer.alloc(1));
      // This one would hold it for ever.
      void left.poll(constants.POLLIN).then(() => say('never'));
      left.unref();
      // The same again: held, then let go, by a socket that waits already.
      void right.unref().poll(constants.POLLIN);
      right.ref();
      setImmediate(() => right.unref());
    });
  });
  assert.deepEqual(lines, ['held until 1']);
});

test('what is thrown after a wait is told to the process', async (t) => {
  const lines = await runLone(t, {}, ({ require, say }) => {
    const { RawSocket, constants } = require('afunix/raw') as typeof import('afunix/raw');
    const [left, right] = RawSocket.socketpair('stream');
    process.on('unhandledRejection', (error) => say(String(error)));
    void left.poll(constants.POLLOUT).then(() => {
      throw new Error('thrown');
    });
    void right.poll(constants.POLLOUT).then(() => say('and the other is told'));
  });
  assert.deepEqual([...lines].sort(), ['Error: thrown', 'and the other is told']);
});

for (const type of types) {
  test(`${type}: with a time-out it is 0 when nothing happened, and the others go on waiting`, async (t) => {
    const [left, right] = pair(t, type);
    const others = [left.poll(POLLIN), left.poll(POLLIN, { timeout: 2 ** 31 - 1 })];
    assert.equal(await left.poll(POLLIN, { timeout: 1 }), 0);
    assert.equal(await left.poll(POLLIN, { timeout: 0 }), 0);
    assert.equal(await left.poll(POLLIN | POLLOUT, { timeout: 0 }), POLLOUT);
    right.send(bytes('now'));
    assert.deepEqual(await Promise.all(others), [POLLIN, POLLIN]);
    assert.equal(await left.poll(POLLIN, { timeout: 0 }), POLLIN);
    assert.equal(await left.poll(POLLIN, { timeout: 1000 }), POLLIN);
    right.close();
    assert.equal((await left.poll(0, { timeout: 0 })) & POLLHUP, POLLHUP);
    left.close();
    assert.equal(await left.poll(POLLIN, { timeout: 0 }), POLLNVAL);
  });

  test(`${type}: an aborted signal rejects who waits with it, at once if it was before, and nobody else`, async (t) => {
    const [left, right] = pair(t, type);
    const controller = new AbortController();
    const { signal } = controller;
    const reason = new Error('enough');
    const aborted = { name: 'AbortError', code: 'ABORT_ERR', cause: reason };
    const other = left.poll(POLLIN);
    const waiting = [
      left.poll(POLLIN, { signal }),
      left.poll(POLLIN, { signal, timeout: 100_000 }),
    ].map((each) => assert.rejects(each, aborted));
    controller.abort(reason);
    await Promise.all(waiting);
    right.send(bytes('now'));
    await assert.rejects(left.poll(POLLIN, { signal }), aborted);
    await assert.rejects(left.poll(POLLIN, { signal, timeout: 0 }), aborted);
    assert.equal(await other, POLLIN);
  });
}

test('a signal and a time-out that are none are refused', async (t) => {
  const [left] = pair(t, 'stream');
  for (const timeout of [-1, 0.5, NaN, 2 ** 31]) {
    await assert.rejects(left.poll(POLLIN, { timeout }), { code: 'ERR_OUT_OF_RANGE' });
  }
  for (const given of [{ timeout: '1' }, { signal: {} }, { signal: null }]) {
    const options = given as unknown as { timeout: number };
    await assert.rejects(left.poll(POLLIN, options), { code: 'ERR_INVALID_ARG_TYPE' });
  }
});

test('who waited with a time-out or a signal leaves nothing that holds the process, or listens', async () => {
  const said = await saidWithGarbageCollector(`
    const { RawSocket, constants } = require(${JSON.stringify(require.resolve('afunix/raw'))});
    const events = require('node:events');
    const [left, right] = RawSocket.socketpair('stream');
    const { signal } = new AbortController();
    (async () => {
      for (let i = 0; i < 20; i += 1) await left.poll(constants.POLLIN, { signal, timeout: 1 });
      const happened = await left.poll(constants.POLLOUT, { signal, timeout: 1_000_000 });
      console.log(happened === constants.POLLOUT, events.getEventListeners(signal, 'abort').length);
      left.unref();
      left.poll(constants.POLLIN, { timeout: 1_000_000 });
    })();
  `);
  assert.equal(said, 'true 0');
});
