/** AbortSignal given to connect() or to the constructor. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import type { Socket } from 'node:net';
import { bothFamilies, scenario, type Stage } from './scenario';
import { discard, happens, listen, received } from '../helpers/sockets';

const lifeEvents = ['connect', 'ready', 'end', 'finish', 'error', 'close'] as const;

const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

function connectWith(stage: Stage, path: string, signal: AbortSignal): Socket {
  const client = stage.net.connect({ path, signal });
  discard(stage, client);
  stage.watch(client, 'client', lifeEvents);
  return client;
}

function assertAborted(stage: Stage): void {
  const events = stage.lane('client').map(([event]) => event);
  assert.deepEqual(events.slice(-2), ['error', 'close']);
  const error = stage.lane('client').find(([event]) => event === 'error')?.[1];
  assert.equal(Reflect.get(Object(error), 'name'), 'AbortError');
  assert.equal(Reflect.get(Object(error), 'code'), 'ABORT_ERR');
}

scenario(
  "aborting while connecting gives AbortError and then 'close', and no 'connect'",
  async (stage) => {
    const address = stage.address();
    await listen(stage, address);
    const controller = new AbortController();
    const client = connectWith(stage, address, controller.signal);
    const closed = happens(client, 'close');
    controller.abort();
    await closed;
    await stage.settled();
    assertAborted(stage);
    assert.ok(!stage.lane('client').some(([event]) => event === 'connect'));
  },
  { over: bothFamilies },
);

scenario('aborting a connected socket destroys it', async (stage) => {
  const address = stage.address();
  await listen(stage, address);
  const controller = new AbortController();
  const client = connectWith(stage, address, controller.signal);
  await happens(client, 'connect');
  const closed = happens(client, 'close');
  controller.abort();
  assert.equal(client.destroyed, true);
  await closed;
  assertAborted(stage);
});

scenario(
  "connect() adds exactly one 'abort' listener at once, and in all no more than net does",
  async (stage) => {
    const address = stage.address();
    await listen(stage, address, {}, (peer) => peer.end());
    const controller = new AbortController();
    assert.equal(listeners(controller.signal), 0);
    const client = connectWith(stage, address, controller.signal);
    assert.equal(listeners(controller.signal), 1);
    await happens(client, 'connect');
    const whileConnected = listeners(controller.signal);
    assert.ok(whileConnected >= 1 && whileConnected <= 2, `${whileConnected} while connected`);
    const closed = happens(client, 'close');
    client.resume();
    await closed;
    await stage.settled();
    assert.ok(listeners(controller.signal) <= 1, "after 'close'");
  },
);

scenario("the constructor adds exactly one 'abort' listener too", async (stage) => {
  const controller = new AbortController();
  const client = new stage.net.Socket({ signal: controller.signal });
  discard(stage, client);
  stage.watch(client, 'client', lifeEvents);
  assert.equal(listeners(controller.signal), 1);
  const closed = happens(client, 'close');
  controller.abort();
  await closed;
  assertAborted(stage);
});

scenario(
  "connect() with a signal that was aborted beforehand adds no listener, and gives AbortError and 'close'",
  async (stage) => {
    const address = stage.address();
    await listen(stage, address);
    const signal = AbortSignal.abort();
    const client = stage.net.connect({ path: address, signal });
    discard(stage, client);
    stage.watch(client, 'client', ['error', 'close']);
    assert.equal(listeners(signal), 0);
    await happens(client, 'close');
    assertAborted(stage);
  },
);

scenario(
  'a constructor given an aborted signal makes a socket that is destroyed on the next tick',
  async (stage) => {
    const signal = AbortSignal.abort();
    const client = new stage.net.Socket({ signal });
    discard(stage, client);
    stage.watch(client, 'client', lifeEvents);
    stage.trace('client', 'at once', client.destroyed);
    assert.equal(listeners(signal), 0);
    await happens(client, 'close');
    assertAborted(stage);
  },
);

scenario('the reason of the abort is the cause of the error', async (stage) => {
  const address = stage.address();
  await listen(stage, address);
  const controller = new AbortController();
  const client = connectWith(stage, address, controller.signal);
  const reason = new Error('because');
  let cause: unknown;
  client.on('error', (error) => (cause = error.cause));
  const closed = happens(client, 'close');
  controller.abort(reason);
  await closed;
  stage.trace('cause', cause);
  assert.equal(cause, reason);
});

scenario('something that is not a signal is refused at once', async (stage) => {
  for (const signal of ['abort', {}, 1, () => undefined]) {
    let thrown: unknown;
    try {
      discard(stage, Reflect.construct(stage.net.Socket, [{ signal }]) as Socket);
    } catch (error) {
      thrown = error;
    }
    stage.trace('constructor', thrown);
    assert.equal(Reflect.get(Object(thrown), 'code'), 'ERR_INVALID_ARG_TYPE', String(signal));
  }
});

scenario('one signal aborts many sockets', async (stage) => {
  const address = stage.address();
  await listen(stage, address);
  const controller = new AbortController();
  const clients = Array.from({ length: 5 }, () =>
    stage.net.connect({ path: address, signal: controller.signal }),
  );
  for (const client of clients) {
    discard(stage, client);
    client.on('error', () => undefined);
  }
  assert.equal(listeners(controller.signal), 5);
  await Promise.all(clients.map((client) => happens(client, 'connect')));
  const closed = Promise.all(clients.map((client) => happens(client, 'close')));
  controller.abort();
  await closed;
  assert.ok(clients.every((client) => client.destroyed));
});

scenario('an unused signal changes nothing', async (stage) => {
  const address = stage.address();
  await listen(stage, address, {}, (peer) => peer.end('undisturbed'));
  const controller = new AbortController();
  const client = connectWith(stage, address, controller.signal);
  const closed = happens(client, 'close');
  assert.equal((await received(client)).toString(), 'undisturbed');
  await closed;
  controller.abort();
  await stage.settled();
  assert.deepEqual(stage.lane('client').at(-1), ['close', false]);
});
