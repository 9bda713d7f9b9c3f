/** Writes that must fail, and how they say so. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { bothFamilies, scenario } from './scenario';
import { discard, happens, listen, pair, receives } from '../helpers/sockets';

const lifeEvents = ['end', 'finish', 'error', 'close'] as const;

/** A method called with arguments that its type forbids. */
function call(socket: Socket, method: 'write' | 'end', ...args: unknown[]): unknown {
  return Reflect.apply(socket[method] as (...all: unknown[]) => unknown, socket, args);
}

function thrownBy(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

scenario('write(text, "buffer") throws a TypeError', async (stage) => {
  const { client } = await pair(stage);
  const thrown = thrownBy(() => call(client, 'write', 'x', 'buffer'));
  stage.trace('client', thrown);
  assert.ok(thrown instanceof TypeError);
  assert.match(thrown.message, /^(Second argument must be a buffer|Unknown encoding: buffer)$/);
});

scenario('null and numbers throw synchronously and emit nothing', async (stage) => {
  const { client, peer } = await pair(stage);
  stage.watch(client, 'client', lifeEvents);
  const wrong: readonly [string, unknown][] = [
    ['null', null],
    ['1337', 1337],
    ['undefined', undefined],
    ['true', true],
    ['an object', {}],
    ['an array', ['x']],
    ['a function', () => undefined],
  ];
  let callbacks = 0;
  for (const [what, value] of wrong) {
    const thrown = thrownBy(() => call(client, 'write', value, () => (callbacks += 1)));
    stage.trace('thrown', what, thrown);
    const code: unknown = Reflect.get(Object(thrown), 'code');
    assert.equal(code, value === null ? 'ERR_STREAM_NULL_VALUES' : 'ERR_INVALID_ARG_TYPE', what);
  }
  await stage.settled();
  assert.equal(callbacks, 0);
  assert.deepEqual(stage.lane('client'), []);
  const arrived = receives(peer, 5);
  client.write('alive');
  assert.equal((await arrived).toString(), 'alive');
});

scenario('an unknown encoding throws ERR_UNKNOWN_ENCODING', async (stage) => {
  const { client } = await pair(stage);
  const thrown = thrownBy(() => call(client, 'write', 'x', 'klingon'));
  stage.trace('client', thrown);
  assert.equal(Reflect.get(Object(thrown), 'code'), 'ERR_UNKNOWN_ENCODING');
});

scenario("a write after one's own end() is ERR_STREAM_WRITE_AFTER_END", async (stage) => {
  const { client } = await pair(stage, { server: { allowHalfOpen: true } });
  stage.watch(client, 'client', ['finish', 'error', 'close']);
  const closed = happens(client, 'close');
  client.end();
  const returned = client.write('late', (error) => stage.trace('callback', error));
  stage.trace('client', 'write returned', returned);
  await closed;
  await stage.settled();
  assert.equal(returned, false);
  assert.equal(
    Reflect.get(Object(stage.lane('callback')[0]?.[0]), 'code'),
    'ERR_STREAM_WRITE_AFTER_END',
  );
  const error = stage.lane('client').find(([event]) => event === 'error')?.[1];
  assert.equal(Reflect.get(Object(error), 'code'), 'ERR_STREAM_WRITE_AFTER_END');
});

scenario(
  "a write after the peer's FIN returns false and fails with EPIPE on the next tick",
  async (stage) => {
    const { client, peer } = await pair(stage);
    stage.watch(client, 'client', ['end', 'finish', 'error', 'close']);
    client.resume();
    peer.pause();
    const closed = happens(client, 'close');
    client.on('end', () => {
      process.nextTick(() => {
        process.nextTick(() => {
          const returned = client.write('late', (error) =>
            stage.trace('client', 'callback', error),
          );
          stage.trace('client', 'write returned', returned);
          process.nextTick(() => stage.trace('client', 'next tick'));
        });
      });
    });
    peer.end();
    await closed;
    await stage.settled();
    const failure = {
      name: 'Error',
      code: 'EPIPE',
      message: 'This socket has been ended by the other party',
    };
    assert.deepEqual(
      stage.lane('client').find(([what]) => what === 'write returned'),
      ['write returned', false],
    );
    assert.deepEqual(
      stage.lane('client').find(([what]) => what === 'callback'),
      ['callback', failure],
    );
    assert.deepEqual(
      stage.lane('client').find(([what]) => what === 'error'),
      ['error', failure],
    );
    assert.deepEqual(stage.lane('client').at(-1), ['close', true]);
  },
  { over: bothFamilies },
);

scenario("a late write without callback fails with 'error' in the same way", async (stage) => {
  const { client, peer } = await pair(stage);
  stage.watch(client, 'client', ['error', 'close']);
  client.resume();
  peer.pause();
  const closed = happens(client, 'close');
  client.on('end', () => {
    process.nextTick(() => {
      process.nextTick(() => stage.trace('client', 'write returned', client.write('late')));
    });
  });
  peer.end();
  await closed;
  assert.deepEqual(stage.lane('client'), [
    ['write returned', false],
    [
      'error',
      {
        name: 'Error',
        code: 'EPIPE',
        message: 'This socket has been ended by the other party',
      },
    ],
    ['close', true],
  ]);
});

scenario('a half-open socket may write after the FIN of its peer', async (stage) => {
  const { client, peer } = await pair(stage, { client: { allowHalfOpen: true } });
  client.resume();
  const ended = happens(client, 'end');
  peer.end();
  await ended;
  await stage.settled();
  const text = receives(peer, 5);
  await new Promise<void>((resolve, reject) =>
    client.write('later', (error) => (error ? reject(error) : resolve())),
  );
  assert.equal((await text).toString(), 'later');
});

scenario(
  "a write to a peer that has gone gives EPIPE to its callback and then 'error'",
  async (stage) => {
    const { client, peer } = await pair(stage, { client: { allowHalfOpen: true } });
    client.resume();
    const ended = happens(client, 'end');
    peer.destroy();
    await ended;
    await stage.settled();
    stage.watch(client, 'client', ['finish', 'error', 'close']);
    const closed = happens(client, 'close');
    client.write('nobody there', (error) => stage.trace('client', 'callback', error));
    await closed;
    await stage.settled();
    const failure = {
      name: 'Error',
      code: 'EPIPE',
      errno: -32,
      syscall: 'write',
      message: 'write EPIPE',
    };
    assert.deepEqual(stage.lane('client'), [
      ['callback', failure],
      ['error', failure],
      ['close', true],
    ]);
  },
);

scenario('corked writes to a peer that has gone all fail', async (stage) => {
  const { client, peer } = await pair(stage, { client: { allowHalfOpen: true } });
  client.resume();
  const ended = happens(client, 'end');
  peer.destroy();
  await ended;
  stage.watch(client, 'client', ['finish', 'error', 'close']);
  const closed = happens(client, 'close');
  client.cork();
  for (const name of ['one', 'two'])
    client.write(name, (error) => stage.trace(name, Reflect.get(Object(error), 'code')));
  client.uncork();
  await closed;
  await stage.settled();
  assert.deepEqual(stage.lane('one'), [['EPIPE']]);
  assert.deepEqual(stage.lane('two'), [['EPIPE']]);
});

scenario('what is written behind a write that was refused is refused too', async (stage) => {
  const address = stage.address();
  await listen(stage, address, {}, (peer) => void peer.destroy());
  const client = stage.net.connect({ path: address, allowHalfOpen: true });
  discard(stage, client);
  const ended = happens(client, 'end');
  client.resume();
  await ended;
  client.on('error', (error) => stage.trace('client', error));
  const closed = happens(client, 'close');
  stage.trace('client', client.write(Buffer.alloc(100_000)));
  stage.trace('client', client.write('behind it'), client.writableLength, client.bytesWritten);
  await closed;
  stage.trace('client', client.bytesWritten);
});
