/** What a socket says about itself at every point of its life. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { bothFamilies, scenario, type Stage } from './scenario';
import { discard, happens, listen, pair, receives } from '../helpers/sockets';

interface State {
  readonly connecting: boolean;
  readonly aliasConnecting: unknown;
  readonly pending: boolean;
  readonly readyState: string;
  readonly destroyed: boolean;
}

function stateOf(socket: Socket): State {
  return {
    connecting: socket.connecting,
    aliasConnecting: Reflect.get(socket, '_connecting'),
    pending: socket.pending,
    readyState: socket.readyState,
    destroyed: socket.destroyed,
  };
}

const opening: State = {
  connecting: true,
  aliasConnecting: true,
  pending: true,
  readyState: 'opening',
  destroyed: false,
};
const open: State = {
  connecting: false,
  aliasConnecting: false,
  pending: false,
  readyState: 'open',
  destroyed: false,
};

async function connecting(stage: Stage): Promise<Socket> {
  const address = stage.address();
  await listen(stage, address, {}, (peer) => peer.resume());
  const client = new stage.net.Socket();
  discard(stage, client);
  client.connect(address);
  return client;
}

scenario('a socket that was never connected is open, and pending', async (stage) => {
  const client = new stage.net.Socket();
  discard(stage, client);
  assert.deepEqual(stateOf(client), { ...open, pending: true });
  stage.trace('client', stateOf(client));
});

scenario(
  "connecting, pending and readyState are right from connect() to 'close'",
  async (stage) => {
    const client = await connecting(stage);
    const seen: Record<string, State> = { connect: stateOf(client) };
    client.on('connect', () => (seen['connect event'] = stateOf(client)));
    client.on('ready', () => (seen['ready event'] = stateOf(client)));
    client.on('finish', () => (seen['finish event'] = stateOf(client)));
    client.on('end', () => (seen['end event'] = stateOf(client)));
    client.on('close', () => (seen['close event'] = stateOf(client)));
    client.resume();
    await happens(client, 'ready');
    const written = new Promise<void>((resolve) => {
      client.write('x', () => {
        seen['write callback'] = stateOf(client);
        resolve();
      });
    });
    await written;
    const closed = happens(client, 'close');
    client.end();
    seen['after end()'] = stateOf(client);
    await closed;
    stage.trace('client', seen);
    assert.deepEqual(seen['connect'], opening);
    assert.deepEqual(seen['connect event'], open);
    assert.deepEqual(seen['ready event'], open);
    assert.deepEqual(seen['write callback'], open);
    assert.deepEqual(seen['after end()'], { ...open, readyState: 'readOnly' });
    assert.deepEqual(seen['close event'], {
      connecting: false,
      aliasConnecting: false,
      pending: true,
      readyState: 'closed',
      destroyed: true,
    });
  },
  { over: bothFamilies },
);

scenario('pending is false in the callback of a write made before connect', async (stage) => {
  const client = await connecting(stage);
  assert.equal(client.pending, true);
  const pending = await new Promise<boolean>((resolve) =>
    client.write('x', () => resolve(client.pending)),
  );
  stage.trace('client', pending);
  assert.equal(pending, false);
});

scenario(
  "inside a failed connect's 'error' and 'close' the socket is closed and not connecting",
  async (stage) => {
    const client = stage.net.connect(stage.path());
    discard(stage, client);
    client.on('error', () => stage.trace('client', 'error', stateOf(client)));
    client.on('close', () => stage.trace('client', 'close', stateOf(client)));
    await happens(client, 'close');
    for (const [, state] of stage.lane('client')) {
      assert.equal(Reflect.get(Object(state), 'connecting'), false);
      assert.equal(Reflect.get(Object(state), 'readyState'), 'closed');
    }
  },
);

scenario('readyState follows both halves', async (stage) => {
  const { client, peer } = await pair(stage, {
    server: { allowHalfOpen: true },
    client: { allowHalfOpen: true },
  });
  const states: string[] = [client.readyState];
  const finished = happens(client, 'finish');
  client.end();
  await finished;
  states.push(client.readyState);
  const closed = happens(client, 'close');
  client.resume();
  peer.resume();
  peer.end();
  await closed;
  states.push(client.readyState);

  const other = await pair(stage, {
    server: { allowHalfOpen: true },
    client: { allowHalfOpen: true },
  });
  other.client.resume();
  const ended = happens(other.client, 'end');
  other.peer.end();
  await ended;
  states.push(other.client.readyState);
  stage.trace('states', ...states);
  assert.deepEqual(states, ['open', 'readOnly', 'closed', 'writeOnly']);
});

scenario('destroy() makes every property final at once', async (stage) => {
  const { client } = await pair(stage);
  client.destroy();
  stage.trace('client', stateOf(client), client.readable, client.writable, client.closed);
  assert.equal(client.readyState, 'closed');
  assert.equal(client.destroyed, true);
  assert.equal(client.pending, true);
  await happens(client, 'close');
  assert.equal(client.closed, true);
});

scenario('an accepted socket is open from the start', async (stage) => {
  const states: State[] = [];
  await pair(stage, { onConnection: (peer) => states.push(stateOf(peer)) });
  assert.deepEqual(states, [open]);
});

scenario(
  'address() is an empty object and the addresses and ports are undefined',
  async (stage) => {
    const { client, peer } = await pair(stage);
    const fresh = new stage.net.Socket();
    discard(stage, fresh);
    const addresses = (socket: Socket): unknown[] => [
      socket.address(),
      socket.remoteAddress,
      socket.remotePort,
      socket.remoteFamily,
      socket.localAddress,
      socket.localPort,
      socket.localFamily,
    ];
    const nothing = [{}, undefined, undefined, undefined, undefined, undefined, undefined];
    assert.deepEqual(addresses(fresh), nothing);
    assert.deepEqual(addresses(client), nothing);
    assert.deepEqual(addresses(peer), nothing);
    client.destroy();
    await happens(client, 'close');
    assert.deepEqual(addresses(client), nothing);
  },
  { over: bothFamilies },
);

scenario(
  'ref, unref, setNoDelay, setKeepAlive, setTimeout, pause and resume return the socket in every state',
  async (stage) => {
    const calls: [string, (socket: Socket) => Socket][] = [
      ['ref', (socket) => socket.ref()],
      ['unref', (socket) => socket.unref()],
      ['setNoDelay', (socket) => socket.setNoDelay()],
      ['setNoDelay(true)', (socket) => socket.setNoDelay(true)],
      ['setNoDelay(false)', (socket) => socket.setNoDelay(false)],
      ['setKeepAlive', (socket) => socket.setKeepAlive()],
      ['setKeepAlive(true, 1000)', (socket) => socket.setKeepAlive(true, 1000)],
      ['setTimeout(0)', (socket) => socket.setTimeout(0)],
      ['setTimeout(5000)', (socket) => socket.setTimeout(5000)],
      ['pause', (socket) => socket.pause()],
      ['resume', (socket) => socket.resume()],
    ];
    const exercise = (socket: Socket, state: string): void => {
      for (const [name, call] of calls)
        assert.equal(call(socket), socket, `${name} on a ${state} socket`);
      socket.setTimeout(0);
    };
    const fresh = new stage.net.Socket();
    discard(stage, fresh);
    exercise(fresh, 'fresh');
    const early = await connecting(stage);
    exercise(early, 'connecting');
    await happens(early, 'connect');
    const { client, peer } = await pair(stage);
    exercise(client, 'connected');
    exercise(peer, 'accepted');
    client.destroy();
    exercise(client, 'destroyed');
    await happens(client, 'close');
    exercise(client, 'closed');
  },
);

scenario('properties that net reserves have the same values', async (stage) => {
  const { client, peer, server } = await pair(stage);
  const names = [
    '_hadError',
    '_parent',
    '_host',
    'allowHalfOpen',
    'timeout',
    'server',
    'bytesRead',
    'bytesWritten',
    'bufferSize',
    'writableLength',
    'readableLength',
    'readableFlowing',
    'readableEncoding',
    'readableObjectMode',
    'writableObjectMode',
    'readableHighWaterMark',
    'writableHighWaterMark',
    'writableNeedDrain',
    'writableCorked',
    'readableAborted',
    'readableDidRead',
    'autoSelectFamilyAttemptedAddresses',
  ];
  const fresh = new stage.net.Socket();
  discard(stage, fresh);
  for (const [label, socket] of [
    ['fresh', fresh],
    ['client', client],
    ['peer', peer],
  ] as const) {
    for (const name of names) {
      const value: unknown = Reflect.get(socket, name);
      stage.trace(label, name, value === server ? 'the server' : value);
    }
  }
  assert.equal(Reflect.get(client, 'server'), null);
  assert.equal(Reflect.get(peer, 'server'), server);
});

scenario('what is asked of a socket after close does no harm', async (stage) => {
  const { client } = await pair(stage);
  const closed = happens(client, 'close');
  client.destroy();
  await closed;
  stage.watch(client, 'client', ['error', 'close', 'end', 'finish', 'timeout', 'drain']);
  client.setTimeout(1);
  client.cork();
  client.uncork();
  client.pause();
  client.resume();
  client.read();
  client.ref();
  client.unref();
  client.setNoDelay(true);
  client.setKeepAlive(true);
  client.address();
  client.destroySoon();
  client.destroy();
  await stage.settled();
  assert.deepEqual(stage.lane('client'), []);
});

scenario('high-water marks given to the constructor are kept', async (stage) => {
  const forms = [
    { highWaterMark: 1234 },
    { readableHighWaterMark: 11, writableHighWaterMark: 22 },
    { writableHighWaterMark: 0 },
    {},
  ];
  for (const form of forms) {
    const socket: Socket = Reflect.construct(stage.net.Socket, [form]) as Socket;
    discard(stage, socket);
    stage.trace('marks', form, socket.readableHighWaterMark, socket.writableHighWaterMark);
  }
  assert.deepEqual(stage.lane('marks')[0]?.slice(1), [1234, 1234]);
  assert.deepEqual(stage.lane('marks')[1]?.slice(1), [11, 22]);
});

scenario('high-water marks given to connect() are kept', async (stage) => {
  const address = stage.address();
  await listen(stage, address);
  const options = { path: address, readableHighWaterMark: 1000, writableHighWaterMark: 2000 };
  const client = stage.net.connect(options);
  discard(stage, client);
  await happens(client, 'connect');
  assert.equal(client.readableHighWaterMark, 1000);
  assert.equal(client.writableHighWaterMark, 2000);
});

scenario(
  'readableDidRead and readableAborted tell whether data was read, and whether all of it',
  async (stage) => {
    const { client, peer } = await pair(stage);
    const told = (): boolean[] => [client.readableDidRead, client.readableAborted];
    stage.trace('client', 'before', told());
    const first = receives(client, 1);
    peer.write('x');
    await first;
    stage.trace('client', 'after data', told());
    assert.deepEqual(told(), [true, false]);
    const closed = happens(client, 'close');
    client.destroy();
    await closed;
    stage.trace('client', 'after destroy', told());
    assert.deepEqual(told(), [true, true]);
  },
);
