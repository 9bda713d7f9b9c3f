/** Arguments of the wrong type: refused at once, in words that name the argument, and nothing is left open. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { scenario, type Stage } from '../conformance/scenario';
import { attempt, callWith } from '../helpers/attempt';
import type { Failure } from '../helpers/bad-input';
import { leavesNothingOpen } from '../helpers/descriptors';
import { closeServer, discard, happens, pair } from '../helpers/sockets';

interface Call {
  readonly perform: (stage: Stage) => unknown;
  readonly code: string;
  /** What the message must name. */
  readonly names: string;
}

const socket = (stage: Stage): Socket => new stage.net.Socket();
const server = (stage: Stage): object => new stage.net.Server();

const calls: Record<string, Call> = {
  'connect() with nothing': {
    perform: (stage) => callWith(socket(stage), 'connect'),
    code: 'ERR_MISSING_ARGS',
    names: 'path',
  },
  'connect({ path: number })': {
    perform: (stage) => callWith(socket(stage), 'connect', { path: 5 }),
    code: 'ERR_INVALID_ARG_TYPE',
    names: 'options.path',
  },
  'connect({ path: object })': {
    perform: (stage) => callWith(socket(stage), 'connect', { path: {} }),
    code: 'ERR_INVALID_ARG_TYPE',
    names: 'options.path',
  },
  'connect({ path: URL })': {
    perform: (stage) => callWith(socket(stage), 'connect', { path: new URL('file:///nowhere') }),
    code: 'ERR_INVALID_ARG_TYPE',
    names: 'options.path',
  },
  'connect({ port: -1 })': {
    perform: (stage) => callWith(socket(stage), 'connect', { port: -1 }),
    code: 'ERR_SOCKET_BAD_PORT',
    names: '65536',
  },
  'listen({})': {
    perform: (stage) => callWith(server(stage), 'listen', {}),
    code: 'ERR_INVALID_ARG_VALUE',
    names: 'options',
  },
  'listen({ path: number })': {
    perform: (stage) => callWith(server(stage), 'listen', { path: -1 }),
    code: 'ERR_INVALID_ARG_VALUE',
    names: 'options',
  },
  'listen(true)': {
    perform: (stage) => callWith(server(stage), 'listen', true),
    code: 'ERR_INVALID_ARG_VALUE',
    names: 'options',
  },
  'listen(65536)': {
    perform: (stage) => callWith(server(stage), 'listen', 65_536),
    code: 'ERR_SOCKET_BAD_PORT',
    names: '65536',
  },
  'createServer(text)': {
    perform: (stage) => callWith(stage.net, 'createServer', 'x'),
    code: 'ERR_INVALID_ARG_TYPE',
    names: 'options',
  },
  'createServer({ highWaterMark: text })': {
    perform: (stage) => callWith(stage.net, 'createServer', { highWaterMark: 'x' }),
    code: 'ERR_INVALID_ARG_TYPE',
    names: 'options.highWaterMark',
  },
  'new Socket({ objectMode })': {
    perform: (stage) => Reflect.construct(stage.net.Socket, [{ objectMode: true }]) as unknown,
    code: 'ERR_INVALID_ARG_VALUE',
    names: 'options.objectMode',
  },
  'new Socket({ fd: text })': {
    perform: (stage) => Reflect.construct(stage.net.Socket, [{ fd: 'x' }]) as unknown,
    code: 'ERR_INVALID_ARG_TYPE',
    names: 'fd',
  },
  'new Socket({ fd: -1 })': {
    perform: (stage) => Reflect.construct(stage.net.Socket, [{ fd: -1 }]),
    code: 'ERR_OUT_OF_RANGE',
    names: 'fd',
  },
  'new Socket({ signal: text })': {
    perform: (stage) => Reflect.construct(stage.net.Socket, [{ signal: 'x' }]) as unknown,
    code: 'ERR_INVALID_ARG_TYPE',
    names: 'signal',
  },
  'setTimeout(text)': {
    perform: (stage) => callWith(socket(stage), 'setTimeout', 'x'),
    code: 'ERR_INVALID_ARG_TYPE',
    names: 'msecs',
  },
  'setTimeout(-1)': {
    perform: (stage) => callWith(socket(stage), 'setTimeout', -1),
    code: 'ERR_OUT_OF_RANGE',
    names: 'msecs',
  },
  'setTimeout(1, text)': {
    perform: (stage) => callWith(socket(stage), 'setTimeout', 1, 'x'),
    code: 'ERR_INVALID_ARG_TYPE',
    names: 'callback',
  },
  'write(number)': {
    perform: (stage) => callWith(socket(stage), 'write', 5),
    code: 'ERR_INVALID_ARG_TYPE',
    names: 'chunk',
  },
  'write(null)': {
    perform: (stage) => callWith(socket(stage), 'write', null),
    code: 'ERR_STREAM_NULL_VALUES',
    names: 'null',
  },
  'write(text, no encoding)': {
    perform: (stage) => callWith(socket(stage), 'write', 'x', 'klingon'),
    code: 'ERR_UNKNOWN_ENCODING',
    names: 'klingon',
  },
  'setEncoding(no encoding)': {
    perform: (stage) => callWith(socket(stage), 'setEncoding', 'klingon'),
    code: 'ERR_UNKNOWN_ENCODING',
    names: 'klingon',
  },
};

for (const [what, { perform, code, names }] of Object.entries(calls)) {
  scenario(`${what} is refused with ${code}`, async (stage) => {
    const error = attempt(() => perform(stage)) as Failure;
    stage.trace('error', error);
    assert.ok(error instanceof Error, 'nothing was thrown');
    assert.equal(error.code, code);
    assert.ok(error.message.includes(names), `nothing of '${names}' in '${error.message}'`);
    assert.equal(
      String(error.stack).startsWith(`${error.name} [${code}]: ${error.message}`),
      true,
      error.stack,
    );
  });
}

scenario('refused calls, 200 times each, leave nothing open', async (stage) => {
  await leavesNothingOpen(async () => {
    for (const { perform, code } of Object.values(calls)) {
      const error = attempt(() => perform(stage)) as Failure;
      assert.equal(error.code, code);
    }
  });
});

scenario('a refused write() leaves the connection as it was', async (stage) => {
  const { client, peer } = await pair(stage);
  stage.watch(client, 'client', ['error', 'close']);
  for (const chunk of [5, null, undefined, {}, true, Symbol('x')]) {
    assert.ok(attempt(() => callWith(client, 'write', chunk)) instanceof TypeError);
  }
  assert.equal(client.bytesWritten, 0);
  const data = happens(peer, 'data');
  client.write('still fine');
  assert.equal(String((await data)[0]), 'still fine');
  assert.deepEqual(stage.lane('client'), []);
});

scenario('after a refused listen() or connect() the object is as good as new', async (stage) => {
  const address = stage.path();
  const listening = stage.net.createServer((peer) => {
    discard(stage, peer);
    peer.end('hello');
  });
  stage.defer(() => closeServer(listening));
  assert.ok(attempt(() => callWith(listening, 'listen', {})) instanceof TypeError);
  listening.listen(address);
  await happens(listening, 'listening');
  const client = socket(stage);
  discard(stage, client);
  assert.ok(attempt(() => callWith(client, 'connect')) instanceof TypeError);
  const data = happens(client, 'data');
  client.connect(address);
  client.resume();
  assert.equal(String((await data)[0]), 'hello');
});

scenario('callbacks of the wrong type are ignored, as net ignores them', async (stage) => {
  const address = stage.path();
  const listening = stage.net.createServer((peer) => {
    discard(stage, peer);
    peer.resume();
  });
  stage.defer(() => closeServer(listening));
  stage.trace(
    'listen',
    attempt(() => callWith(listening, 'listen', address, 5, 'callback')),
  );
  const client = socket(stage);
  discard(stage, client);
  const connected = happens(client, 'connect');
  stage.trace(
    'connect',
    attempt(() => callWith(client, 'connect', address, 'callback')),
  );
  await connected;
  stage.trace(
    'end',
    attempt(() => callWith(client, 'end', 'x', 'utf8', 'callback')),
  );
  stage.trace(
    'getConnections',
    typeof attempt(() => callWith(listening, 'getConnections', () => undefined)),
  );
  await stage.settled();
});
