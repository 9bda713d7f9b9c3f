/** setTimeout() and 'timeout'. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { bothFamilies, scenario } from './scenario';
import { inChild } from '../helpers/child';
import { discard, happens, listen, pair, pattern, receives } from '../helpers/sockets';

function setTimeoutOf(socket: Socket, ...args: unknown[]): unknown {
  return Reflect.apply(socket.setTimeout as (...all: unknown[]) => unknown, socket, args);
}

function thrownBy(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

const now = (): number => performance.now();

scenario(
  "an idle socket emits 'timeout' once for each setTimeout, and stays open",
  async (stage) => {
    const { client } = await pair(stage);
    stage.watch(client, 'client', ['timeout', 'end', 'error', 'close']);
    const timedOut = happens(client, 'timeout');
    const begin = now();
    client.setTimeout(30);
    await timedOut;
    const elapsed = now() - begin;
    assert.ok(elapsed >= 28, `after ${elapsed} ms`);
    await delay(100);
    stage.trace('client', client.destroyed, client.readyState);
    assert.deepEqual(stage.lane('client'), [['timeout'], [false, 'open']]);
  },
  { over: bothFamilies },
);

scenario('a socket that was never connected times out', async (stage) => {
  const client = new stage.net.Socket();
  discard(stage, client);
  stage.watch(client, 'client', ['timeout', 'error', 'close']);
  const timedOut = happens(client, 'timeout');
  assert.equal(client.setTimeout(10), client);
  await timedOut;
  assert.deepEqual(stage.lane('client'), [['timeout']]);
});

scenario('the callback is called once with the socket as this', async (stage) => {
  const { client } = await pair(stage);
  const self = await new Promise<unknown>((resolve) => {
    client.setTimeout(10, function callback(this: unknown) {
      resolve(this);
    });
  });
  assert.equal(self, client);
  stage.trace('client', client.listenerCount('timeout'));
  assert.equal(client.listenerCount('timeout'), 0);
});

scenario('setTimeout() checks its arguments', async (stage) => {
  const client = new stage.net.Socket();
  discard(stage, client);
  const wrongTimes = [undefined, null, '100', {}, [], true, () => undefined];
  for (const time of wrongTimes) {
    const thrown = thrownBy(() => setTimeoutOf(client, time));
    stage.trace('time', thrown);
    assert.equal(Reflect.get(Object(thrown), 'code'), 'ERR_INVALID_ARG_TYPE', String(time));
  }
  for (const time of [-1, Infinity, NaN]) {
    const thrown = thrownBy(() => setTimeoutOf(client, time));
    stage.trace('range', thrown);
    assert.equal(Reflect.get(Object(thrown), 'code'), 'ERR_OUT_OF_RANGE', String(time));
  }
  for (const callback of [1, '100', {}, [], true, null]) {
    for (const time of [1, 0]) {
      const thrown = thrownBy(() => setTimeoutOf(client, time, callback));
      stage.trace('callback', time, thrown);
      assert.equal(
        Reflect.get(Object(thrown), 'code'),
        'ERR_INVALID_ARG_TYPE',
        `${String(callback)} with ${time}`,
      );
    }
  }
  client.setTimeout(0);
});

scenario('the property timeout says what was set', async (stage) => {
  const { client } = await pair(stage);
  const values: unknown[] = [client.timeout];
  client.setTimeout(5000);
  values.push(client.timeout);
  client.setTimeout(0);
  values.push(client.timeout);
  client.setTimeout(123.5);
  values.push(client.timeout);
  client.setTimeout(0);
  stage.trace('client', ...values);
  assert.deepEqual(values, [undefined, 5000, 0, 123.5]);
});

scenario('setTimeout(0) cancels', async (stage) => {
  const { client } = await pair(stage);
  stage.watch(client, 'client', ['timeout']);
  client.setTimeout(20);
  client.setTimeout(0);
  await delay(80);
  assert.deepEqual(stage.lane('client'), []);
});

scenario('setTimeout(0, callback) takes the callback off', async (stage) => {
  const { client } = await pair(stage);
  const callback = (): void => stage.trace('client', 'callback');
  client.setTimeout(20, callback);
  assert.equal(client.listenerCount('timeout'), 1);
  client.setTimeout(0, callback);
  stage.trace('client', client.listenerCount('timeout'));
  assert.equal(client.listenerCount('timeout'), 0);
  await delay(60);
  assert.equal(stage.lane('client').length, 1);
});

scenario('a new setTimeout() replaces the old one, but not its callback', async (stage) => {
  const { client } = await pair(stage);
  let first = 0;
  let second = 0;
  client.setTimeout(3_600_000, () => (first += 1));
  client.setTimeout(10, () => (second += 1));
  await happens(client, 'timeout');
  stage.trace('client', first, second);
  assert.deepEqual([first, second], [1, 1]);
});

/**
 * Keeps one kind of activity going for several times the length of a timeout. The timeout is long
 * against the pauses, so a busy machine does not make it fire; one that activity does not restart
 * must fire, because the activity outlasts it.
 */
async function survives(socket: Socket, activity: () => void): Promise<boolean> {
  const timeout = 600;
  const pause = 60;
  let fired = false;
  socket.once('timeout', () => (fired = true));
  socket.setTimeout(timeout);
  const begin = now();
  let longestPause = 0;
  let last = begin;
  while (now() - begin < timeout * 2) {
    await delay(pause);
    activity();
    longestPause = Math.max(longestPause, now() - last);
    last = now();
  }
  socket.setTimeout(0);
  return !fired || longestPause >= timeout;
}

scenario('reads restart the timer', async (stage) => {
  const { client, peer } = await pair(stage);
  client.resume();
  assert.equal(await survives(client, () => peer.write('x')), true);
});

scenario('writes restart the timer', async (stage) => {
  const { client, peer } = await pair(stage);
  peer.resume();
  assert.equal(await survives(client, () => client.write('x')), true);
});

/** Runs for so long that no timer has its turn. */
function keepBusy(milliseconds: number): void {
  const begin = now();
  while (now() - begin < milliseconds);
}

scenario('a write behind a long calculation restarts the timer where it is', async (stage) => {
  const { client, peer } = await pair(stage);
  peer.resume();
  let writtenAt = 0;
  client.on('data', () => {
    keepBusy(150);
    client.write('answer');
    writtenAt = now();
  });
  const timedOut = happens(client, 'timeout');
  client.setTimeout(100);
  peer.write('request');
  await timedOut;
  assert.notEqual(writtenAt, 0, 'the request was answered before the timeout');
  const elapsed = now() - writtenAt;
  assert.ok(elapsed >= 98, `${elapsed} ms after the write`);
});

scenario('after a timeout the next activity starts the timer again', async (stage) => {
  const { client, peer } = await pair(stage);
  stage.watch(client, 'client', ['timeout']);
  const timedOut = happens(client, 'timeout');
  client.setTimeout(20);
  await timedOut;
  client.resume();
  const again = happens(client, 'timeout');
  const data = receives(client, 1);
  peer.write('x');
  await data;
  await again;
  assert.deepEqual(stage.lane('client'), [['timeout'], ['timeout']]);
});

scenario('a longer time replaces a shorter one, cancelled or not', async (stage) => {
  for (const cancelled of [false, true]) {
    const { client } = await pair(stage);
    const timedOut = happens(client, 'timeout');
    client.setTimeout(20);
    if (cancelled) client.setTimeout(0);
    await delay(5);
    const begin = now();
    client.setTimeout(200);
    await timedOut;
    const elapsed = now() - begin;
    assert.ok(elapsed >= 198, `after ${elapsed} ms`);
    client.destroy();
  }
});

scenario('times that change with every request expire by the last of them', async (stage) => {
  const { client, peer } = await pair(stage);
  stage.watch(client, 'client', ['timeout']);
  peer.on('data', (chunk: Buffer) => peer.write(chunk));
  for (let request = 0; request < 50; request++) {
    client.setTimeout(0);
    client.write('x');
    await happens(client, 'data');
    client.setTimeout(request % 2 === 0 ? 60_000 : 30_000);
  }
  const begin = now();
  const timedOut = happens(client, 'timeout');
  client.setTimeout(40);
  await timedOut;
  const elapsed = now() - begin;
  assert.ok(elapsed >= 38, `after ${elapsed} ms`);
  assert.deepEqual(stage.lane('client'), [['timeout']]);
});

scenario('clocks and timers that a test has replaced are not heeded', async (stage) => {
  const { client } = await pair(stage);
  const timedOut = happens(client, 'timeout');
  const { setTimeout: original } = globalThis;
  const clock = performance.now;
  globalThis.setTimeout = (() => assert.fail('the global timer was used')) as never;
  performance.now = () => 0;
  try {
    client.setTimeout(30);
  } finally {
    globalThis.setTimeout = original;
  }
  try {
    await timedOut;
  } finally {
    performance.now = clock;
  }
});

scenario('connect() restarts the timer', async (stage) => {
  const address = stage.address();
  await listen(stage, address);
  const client = new stage.net.Socket();
  discard(stage, client);
  const timeout = 400;
  let begin = now();
  client.setTimeout(timeout);
  await delay(timeout / 2);
  let sinceConnect = Infinity;
  const timedOut = happens(client, 'timeout').then(() => (sinceConnect = now() - begin));
  const connected = happens(client, 'connect');
  begin = now();
  client.connect(address);
  await connected;
  await timedOut;
  assert.ok(sinceConnect >= timeout * 0.9, `${sinceConnect} ms after connect()`);
});

scenario('a timeout of connect({ timeout }) is set from the start', async (stage) => {
  const address = stage.address();
  await listen(stage, address);
  const client = stage.net.connect({ path: address, timeout: 25 });
  discard(stage, client);
  stage.trace('client', client.timeout);
  assert.equal(client.timeout, 25);
  await happens(client, 'timeout');
  assert.equal(client.destroyed, false);
});

scenario("while a big write makes progress, 'timeout' does not come", async (stage) => {
  const { client, peer } = await pair(stage);
  const timeout = 500;
  let timeouts = 0;
  client.on('timeout', () => (timeouts += 1));
  client.setTimeout(timeout);
  const written = new Promise<void>((resolve) =>
    client.write(pattern(20_000_000), () => resolve()),
  );
  let done = false;
  void written.then(() => (done = true));
  const begin = now();
  let longestPause = 0;
  let last = begin;
  peer.pause();
  while (!done) {
    // Slow enough to need several timeouts in all, fast enough to make progress within each.
    const piece: unknown = peer.read();
    if (piece === null) peer.read(0);
    await delay(now() - begin < timeout * 3 ? 40 : 0);
    longestPause = Math.max(longestPause, now() - last);
    last = now();
  }
  client.setTimeout(0);
  assert.ok(timeouts === 0 || longestPause >= timeout / 2, `${timeouts} timeouts`);
});

scenario('a write that makes no progress does time out', async (stage) => {
  const { client, peer } = await pair(stage);
  peer.pause();
  client.write(pattern(20_000_000));
  const timedOut = happens(client, 'timeout');
  client.setTimeout(30);
  await timedOut;
  stage.trace('client', client.destroyed);
  assert.equal(client.destroyed, false);
});

scenario("destroy() inside 'timeout' closes without error", async (stage) => {
  const { client } = await pair(stage);
  stage.watch(client, 'client', ['timeout', 'end', 'error', 'close']);
  const closed = happens(client, 'close');
  client.setTimeout(10, () => client.destroy());
  await closed;
  assert.deepEqual(stage.lane('client'), [['timeout'], ['close', false]]);
});

scenario('destroy() stops the timer, and setTimeout() after it does nothing', async (stage) => {
  const { client } = await pair(stage);
  stage.watch(client, 'client', ['timeout']);
  const closed = happens(client, 'close');
  client.setTimeout(20);
  client.destroy();
  assert.equal(
    client.setTimeout(5, () => stage.trace('client', 'callback')),
    client,
  );
  await closed;
  await delay(80);
  stage.trace('client', client.timeout, client.listenerCount('timeout'));
  assert.deepEqual(
    stage.lane('client'),
    [[20, 1]],
    'nothing came, and the late callback was not added',
  );
});

scenario('the timer does not keep the process alive', async (stage) => {
  const outcome = await inChild(stage, stage.path(), ({ net, say }) => {
    const socket = new net.Socket();
    socket.setTimeout(3_600_000);
    socket.on('timeout', () => say('timeout'));
    process.on('exit', () => say('exit'));
  });
  stage.trace('child', outcome);
  assert.deepEqual(outcome, { code: 0, signal: null, stdout: 'exit\n', stderr: '' });
});

scenario('the timer of an unref’d connection does not keep the process alive', async (stage) => {
  const address = stage.path();
  await listen(stage, address);
  const outcome = await inChild(stage, address, ({ net, address: where, say }) => {
    const socket = net.connect(where, () => {
      socket.setTimeout(3_600_000);
      socket.unref();
    });
    process.on('exit', () => say('exit'));
  });
  stage.trace('child', outcome);
  assert.deepEqual(outcome, { code: 0, signal: null, stdout: 'exit\n', stderr: '' });
});

scenario('an accepted socket times out like any other', async (stage) => {
  const { peer } = await pair(stage, { onConnection: (socket) => socket.setTimeout(15) });
  await happens(peer, 'timeout');
  assert.equal(peer.destroyed, false);
});

scenario('a reused socket times out in its next life', async (stage) => {
  const address = stage.address();
  await listen(stage, address, {}, (peer) => peer.resume());
  const client = stage.net.connect(address);
  discard(stage, client);
  await happens(client, 'connect');
  const closed = happens(client, 'close');
  client.setTimeout(3_600_000);
  client.destroy();
  await closed;
  const connected = happens(client, 'connect');
  client.connect(address);
  await connected;
  stage.trace('client', client.timeout);
  const timedOut = happens(client, 'timeout');
  client.setTimeout(10);
  await timedOut;
});

scenario('_unrefTimer() and _onTimeout() exist, for those who call them', async (stage) => {
  const { client, peer } = await pair(stage);
  assert.equal(typeof Reflect.get(client, '_unrefTimer'), 'function');
  const timedOut = happens(client, 'timeout');
  const onTimeout: unknown = Reflect.get(client, '_onTimeout');
  assert.ok(typeof onTimeout === 'function');
  Reflect.apply(onTimeout as () => void, client, []);
  await timedOut;
  const data = receives(client, 1);
  peer.write('x');
  await data;
});
