/** When a write is done: a short one when write() returns, and its callback not before the kernel has it. */
import assert from 'node:assert/strict';
import http from 'node:http';
import type { Server, Socket } from 'node:net';
import { setImmediate as immediate } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { bothFamilies, scenario } from './scenario';
import { discard, happens, listen, pair, pattern, received, receives } from '../helpers/sockets';

const state = (socket: Socket): unknown[] => [socket.writableLength, socket.bytesWritten];

scenario(
  'a short write is done when write() returns, and told in the next ticks, in order',
  async (stage) => {
    const { client, peer } = await pair(stage);
    const text = received(peer);
    const tell = (name: string): (() => void) => {
      return () => stage.trace('client', name, ...state(client));
    };
    const same = tell('same');
    process.nextTick(tell('tick before'));
    stage.trace('client', 'write', client.write('one', tell('first')), ...state(client));
    process.nextTick(tell('tick between'));
    stage.trace('client', 'write', client.write(Buffer.from('two'), same), ...state(client));
    stage.trace('client', 'write', client.write('', same), ...state(client));
    process.nextTick(tell('tick behind those with the same callback'));
    stage.trace('client', 'write', client.write('three', 'latin1', same), ...state(client));
    queueMicrotask(tell('microtask'));
    stage.trace('client', 'write', client.write('four'), ...state(client));
    client.cork();
    client.write('five', tell('corked'));
    client.write('six', tell('corked'));
    stage.trace('client', 'corked', client.writableLength);
    client.uncork();
    stage.trace('client', 'uncorked', ...state(client));
    await immediate();
    client.end();
    assert.equal((await text).toString(), 'onetwothreefourfivesix');
  },
  { over: bothFamilies },
);

scenario('what is chained behind a short write runs before the next event', async (stage) => {
  const { client, peer } = await pair(stage, { server: { allowHalfOpen: true } });
  let left = 50;
  const write = (): void => {
    if (left === 0) stage.trace('peer', 'all written', state(peer));
    else peer.write(`${left--},`, write);
  };
  peer.once('data', write);
  peer.on('end', () => stage.trace('peer', 'end', left));
  const text = received(client);
  client.end('go');
  await happens(peer, 'end');
  peer.end();
  assert.equal((await text).toString().split(',').length, 51);
});

scenario('fifty requests in one piece and a half-close get fifty answers', async (stage) => {
  const requests = 50;
  const address = stage.address();
  const server = http.createServer((request, response) => response.end(`answer ${request.url}|`));
  stage.defer(() => server.close());
  const behind: Server = await listen(stage, address, { allowHalfOpen: true }, (peer) => {
    server.emit('connection', peer);
  });
  assert.ok(behind.listening);
  const client = stage.net.connect({ path: address, allowHalfOpen: true });
  discard(stage, client);
  const text = received(client);
  client.end(
    Array.from({ length: requests }, (_, n) => `GET /${n} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''),
  );
  const answers = (await text).toString().match(/answer \/\d+/g) ?? [];
  assert.deepEqual(
    answers,
    Array.from({ length: requests }, (_, n) => `answer /${n}`),
  );
});

scenario('a callback that writes on from within many others', async (stage) => {
  const { client, peer } = await pair(stage);
  const order: string[] = [];
  const text = received(peer);
  for (const name of ['a', 'b', 'c']) {
    client.write(name, () => {
      order.push(name);
      client.write(`${name}2`, () => order.push(`${name}2`));
    });
  }
  await immediate();
  stage.trace('client', order);
  client.end();
  assert.equal((await text).toString(), 'abca2b2c2');
});

scenario('callbacks of what the kernel has no room for wait, in order', async (stage) => {
  const { client, peer } = await pair(stage, { server: { pauseOnConnect: true } });
  const size = 4_000;
  const told: number[] = [];
  let sent = 0;
  const write = (number: number): boolean =>
    client.write(pattern(size), () => void told.push(number));
  while (write(sent++));
  for (let turn = 0; turn < 5; turn += 1) await immediate();
  const early = told.length;
  // How much a queue holds depends on how it is handed over.
  stage.trace('client', early > 10, early < sent, client.writableLength >= size);
  stage.trace('client', client.writableNeedDrain, client.write('x'));
  const drained = happens(client, 'drain');
  peer.resume();
  await receives(peer, sent * size + 1);
  await drained;
  stage.trace('client', client.writableLength, client.writableNeedDrain, told.length === sent);
  assert.deepEqual(
    told,
    [...told].sort((a, b) => a - b),
  );
});

scenario(
  'the callback of a write that waits is called when the socket is destroyed',
  async (stage) => {
    const { client } = await pair(stage, { server: { pauseOnConnect: true } });
    stage.watch(client, 'client', ['error', 'close']);
    let calls = 0;
    let sent = 0;
    const errors: unknown[] = [];
    const told = (error: Error | null | undefined): void => {
      calls += 1;
      errors.push(stage.simplify(error ?? null));
    };
    do {
      sent += 1;
    } while (client.write(pattern(4_000), (error) => told(error)));
    await immediate();
    const written = errors.lastIndexOf(null) + 1;
    const closed = happens(client, 'close');
    client.destroy();
    await closed;
    const [first, second, ...others] = errors.slice(written);
    stage.trace('client', 'told of it', first, second);
    assert.ok(others.every((error) => isDeepStrictEqual(error, second)));
    assert.equal(calls, sent);
  },
);
