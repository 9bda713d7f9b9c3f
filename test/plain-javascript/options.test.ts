/** Every option and argument that `net` takes, with every value that untyped programs pass: what it means, and what is refused. */
import assert from 'node:assert/strict';
import type { ListenOptions, Server, ServerOpts, Socket, SocketConstructorOpts } from 'node:net';
import { test } from 'node:test';
import afunix from 'afunix';
import { scenario, type Stage } from '../conformance/scenario';
import { attempt, callWith } from '../helpers/attempt';
import { booleans, plainValues, type Named } from '../helpers/plain-values';
import { closeServer, discard, happens, listen, pair } from '../helpers/sockets';

const values: readonly Named[] = [...plainValues, ...booleans];

const isComparable = (value: unknown): boolean =>
  attempt(() => (value as number) >= 0) === 'nothing thrown';

/** Performs with each value, whose entries begin with its name. Those of `without` are another test's. */
function withEach(
  name: string,
  run: (stage: Stage, value: unknown, trace: (...entry: unknown[]) => void) => unknown,
  without: (value: unknown) => boolean = () => false,
): void {
  scenario(name, async (stage) => {
    for (const { name: shown, value } of values) {
      if (without(value)) continue;
      await run(stage, value, (...entry) => stage.trace(shown, ...entry));
    }
  });
}

/** What the stream of a socket is. */
function describe(socket: Socket): unknown {
  const { allowHalfOpen, readable, writable, readableFlowing, readableObjectMode } = socket;
  return {
    allowHalfOpen,
    readable,
    writable,
    readableFlowing,
    readableObjectMode,
    marks: [socket.readableHighWaterMark, socket.writableHighWaterMark],
    encoding: socket.readableEncoding,
    timeout: socket.timeout,
    destroyed: socket.destroyed,
  };
}

/** What `act` returns; what it throws is traced, and is null. */
function made<T>(trace: (...entry: unknown[]) => void, act: () => T): T | null {
  let result: T | null = null;
  const thrown = attempt(() => (result = act()));
  trace('thrown', thrown);
  return result;
}

const serverProperties = [
  'allowHalfOpen',
  'pauseOnConnect',
  'noDelay',
  'keepAlive',
  'keepAliveInitialDelay',
  'highWaterMark',
  'maxConnections',
] as const;

const propertiesOf = (server: Server): unknown[] =>
  serverProperties.map((name): unknown => Reflect.get(server, name));

/** Lets one client in, and traces what became of the accepted end. */
async function letIn(
  stage: Stage,
  server: Server,
  trace: (...entry: unknown[]) => void,
): Promise<void> {
  const address = stage.path();
  stage.defer(() => closeServer(server));
  const met = new Promise<void>((resolve) => {
    server.once('drop', () => {
      trace('dropped');
      resolve();
    });
    server.once('connection', (peer: Socket) => {
      discard(stage, peer);
      trace('accepted', describe(peer));
      resolve();
    });
  });
  server.listen(address);
  await happens(server, 'listening');
  const client = stage.net.connect(address);
  discard(stage, client);
  await met;
}

for (const option of [
  'allowHalfOpen',
  'pauseOnConnect',
  'noDelay',
  'keepAlive',
  'keepAliveInitialDelay',
  'highWaterMark',
  'captureRejections',
]) {
  withEach(`createServer({ ${option} })`, async (stage, value, trace) => {
    const options = { [option]: value } as ServerOpts;
    const server = made(trace, () => stage.net.createServer(options));
    if (server === null) return;
    trace('properties', propertiesOf(server));
    const marks = server as unknown as { highWaterMark: unknown };
    // Sockets with these marks cannot be made: an exception in the turn of the connection.
    if (typeof marks.highWaterMark === 'number' && !Number.isInteger(marks.highWaterMark)) return;
    await letIn(stage, server, trace);
  });
}

for (const property of ['allowHalfOpen', 'pauseOnConnect', 'maxConnections'] as const) {
  withEach(
    `server.${property} = …, set later`,
    async (stage, value, trace) => {
      const server = stage.net.createServer();
      Reflect.set(server, property, value);
      await letIn(stage, server, trace);
    },
    // What cannot be compared with a number is an exception in the turn of the connection.
    (value) => property === 'maxConnections' && !isComparable(value),
  );
}

test('createServer({ captureRejections: true }), which net has not, destroys the socket of a rejection', async () => {
  const address = `\0afunix-test-${process.pid}-rejections`;
  const reason = new Error('from the listener');
  const server = afunix.createServer({ captureRejections: true });
  const destroyed = new Promise((resolve) => {
    server.on('connection', (peer) => {
      peer.once('error', resolve);
      return Promise.reject(reason) as unknown as void;
    });
  });
  server.listen(address);
  await happens(server, 'listening');
  const client = afunix.connect(address);
  assert.equal(await destroyed, reason);
  client.destroy();
  await closeServer(server);
});

withEach('createServer(…)', (stage, value, trace) => {
  made(trace, () => stage.net.createServer(value as ServerOpts));
});

withEach('createServer({}, …)', (stage, value, trace) => {
  made(trace, () => stage.net.createServer({}, value as () => void));
});

const socketOptions = [
  'allowHalfOpen',
  'readable',
  'writable',
  'highWaterMark',
  'readableHighWaterMark',
  'writableHighWaterMark',
  'objectMode',
  'readableObjectMode',
  'writableObjectMode',
  'emitClose',
  'autoDestroy',
  'decodeStrings',
  'defaultEncoding',
  'encoding',
  'noDelay',
  'keepAlive',
  'keepAliveInitialDelay',
  'pauseOnCreate',
  'manualStart',
  'onread',
  'signal',
  'captureRejections',
];

for (const option of socketOptions) {
  withEach(`new Socket({ ${option} })`, (stage, value, trace) => {
    const options = { [option]: value } as SocketConstructorOpts;
    const socket = made(trace, () => new stage.net.Socket(options));
    if (socket === null) return;
    discard(stage, socket);
    trace('socket', describe(socket));
  });
}

withEach(
  'new Socket(…)',
  (stage, value, trace) => {
    const socket = made(trace, () => new stage.net.Socket(value as SocketConstructorOpts));
    if (socket === null) return;
    discard(stage, socket);
    trace('socket', describe(socket));
  },
  // A descriptor of this process.
  (value) => typeof value === 'number' && value >= 0,
);

withEach(
  'new Socket({ fd })',
  (stage, value, trace) => {
    const socket = made(trace, () => new stage.net.Socket({ fd: value as number }));
    if (socket !== null) discard(stage, socket);
  },
  (value) => typeof value === 'number' && value >= 0,
);

for (const option of ['timeout', ...socketOptions.filter((name) => !name.endsWith('Mode'))]) {
  withEach(`connect({ path, ${option} })`, async (stage, value, trace) => {
    const address = stage.path();
    await listen(stage, address);
    const options = { path: address, [option]: value } as unknown as { path: string };
    const socket = made(trace, () => stage.net.connect(options));
    if (socket === null) return;
    discard(stage, socket);
    const over = Promise.race([happens(socket, 'connect'), happens(socket, 'close')]);
    socket.on('error', (error) => trace('error', error));
    trace('made', describe(socket));
    await over;
    trace('over', describe(socket));
  });
}

withEach('connect({ path: … })', (stage, value, trace) => {
  const socket = made(trace, () => stage.net.connect({ path: value as string }));
  if (socket === null) return;
  trace('connecting', socket.connecting);
  // To a port there is no telling what it finds.
  discard(stage, socket);
  socket.on('error', () => undefined);
  socket.destroy();
});

for (const option of [
  'exclusive',
  'readableAll',
  'writableAll',
  'backlog',
  'ipv6Only',
  'host',
  'signal',
]) {
  withEach(`listen({ path, ${option} })`, async (stage, value, trace) => {
    const server = stage.net.createServer();
    stage.defer(() => closeServer(server));
    const options = { path: stage.path(), [option]: value } as ListenOptions;
    const told = Promise.race([happens(server, 'listening'), happens(server, 'error')]);
    if (made(trace, () => server.listen(options)) === null) return;
    await told;
    trace('address', server.address());
  });
}

for (const method of ['setNoDelay', 'setKeepAlive', 'setTimeout', 'setEncoding', 'ref', 'pause']) {
  withEach(`socket.${method}(…)`, async (stage, value, trace) => {
    const { client } = await pair(stage);
    const result = made(trace, () => callWith(client, method, value));
    trace('result', result === client, describe(client));
    const fresh = new stage.net.Socket();
    made(trace, () => callWith(fresh, method, value));
    trace('fresh', describe(fresh));
    fresh.destroy();
  });
}

for (const method of ['setKeepAlive', 'setTimeout']) {
  withEach(`socket.${method}(1000, …)`, async (stage, value, trace) => {
    const { client } = await pair(stage);
    made(trace, () => callWith(client, method, 1000, value));
    trace('socket', describe(client));
  });
}

for (const method of ['write', 'end'] as const) {
  const life = async (
    stage: Stage,
    trace: (...entry: unknown[]) => void,
    act: (client: Socket) => unknown,
  ): Promise<void> => {
    const { client, peer } = await pair(stage);
    const chunks: Buffer[] = [];
    peer.on('data', (chunk: Buffer) => void chunks.push(chunk));
    client.on('error', (error) => trace('error', error));
    const over = happens(peer, 'end');
    const thrown = attempt(() => {
      const result = act(client);
      trace('result', typeof result === 'boolean' ? result : result === client);
    });
    trace('thrown', thrown, client.bytesWritten, client.writableEnded);
    if (!client.writableEnded) client.end();
    await over;
    trace('received', Buffer.concat(chunks));
  };
  withEach(`socket.${method}(…)`, (stage, value, trace) =>
    life(stage, trace, (client) => callWith(client, method, value)),
  );
  withEach(`socket.${method}('ab', …)`, (stage, value, trace) =>
    life(stage, trace, (client) => callWith(client, method, 'ab', value)),
  );
  withEach(`socket.${method}(buffer, …)`, (stage, value, trace) =>
    life(stage, trace, (client) => callWith(client, method, Buffer.from('ab'), value)),
  );
  withEach(`socket.${method}(buffer, …, callback)`, (stage, value, trace) =>
    life(stage, trace, (client) =>
      callWith(client, method, Buffer.from('ab'), value, () => trace('called')),
    ),
  );
  withEach(`socket.${method}('ab', 'utf8', …)`, (stage, value, trace) =>
    life(stage, trace, (client) => callWith(client, method, 'ab', 'utf8', value)),
  );
}

for (const method of ['close', 'getConnections'] as const) {
  withEach(
    `server.${method}(…)`,
    async (stage, value, trace) => {
      const server = await listen(stage, stage.path());
      made(trace, () => callWith(server, method, value));
      await stage.settled();
      trace('listening', server.listening);
    },
    // Called in a tick of its own, where the exception is everybody's.
    (value) => method === 'getConnections' && typeof value !== 'function',
  );
}
