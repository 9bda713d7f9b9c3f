/** Options, paths and data in every form in which plain JavaScript hands them over. */
import type { Server, Socket } from 'node:net';
import { scenario, type Stage } from '../conformance/scenario';
import { attempt, callWith } from '../helpers/attempt';
import { elsewhere, plainValues, withThrowingGetter } from '../helpers/plain-values';
import { closeServer, discard, happens, pair, tolerate } from '../helpers/sockets';

/** Objects that have these properties, each in a way of its own. */
const forms: Record<string, (properties: Record<string, unknown>) => object> = {
  'an object': (properties) => ({ ...properties }),
  'an object without a prototype': (properties) =>
    Object.assign(Object.create(null) as object, properties),
  'a frozen object': (properties) => Object.freeze({ ...properties }),
  'an object whose properties are inherited': (properties) => Object.create(properties) as object,
  'an instance of a class with getters': (properties) => {
    const prototype = {};
    for (const [name, value] of Object.entries(properties)) {
      Object.defineProperty(prototype, name, { get: () => value });
    }
    return Object.create(prototype) as object;
  },
  'an object of another realm': (properties) =>
    Object.assign(elsewhere('({})') as object, properties),
  'a proxy': (properties) => new Proxy({ ...properties }, {}),
  'an array with properties': (properties) => Object.assign([], properties),
  'a function with properties': (properties) => Object.assign(() => undefined, properties),
};

interface Made {
  readonly server: Server | null;
  readonly client: Socket | null;
}

/** Listens and connects with these options; what is thrown and what happens is traced. */
async function meet(
  stage: Stage,
  form: (properties: Record<string, unknown>) => object,
): Promise<Made> {
  const path = stage.address();
  let made: Server | null = null;
  const refused = attempt(() => {
    made = callWith(stage.net, 'createServer', form({ allowHalfOpen: true }), (peer: Socket) => {
      discard(stage, peer);
      stage.watch(peer, 'peer', ['data', 'end', 'close']);
      stage.trace('peer', peer.allowHalfOpen);
      peer.on('end', () => peer.end('answer'));
    }) as Server;
  });
  stage.trace('server', refused);
  const server = made as Server | null;
  if (server === null) return { server, client: null };
  server.on('error', (error) => stage.trace('server', error));
  stage.defer(() => closeServer(server));
  stage.trace(
    'server',
    attempt(() => callWith(server, 'listen', form({ path, backlog: 5 }))),
  );
  await stage.settled();
  if (!server.listening) {
    server.listen(path);
    await happens(server, 'listening');
  }
  let connected: Socket | null = null;
  stage.trace(
    'client',
    attempt(() => {
      connected = callWith(stage.net, 'connect', form({ path, allowHalfOpen: true })) as Socket;
    }),
  );
  const client = connected as Socket | null;
  if (client === null) return { server, client };
  discard(stage, client);
  stage.watch(client, 'client', ['connect', 'data', 'end', 'error', 'close']);
  stage.trace('client', client.allowHalfOpen);
  client.end('question');
  await happens(client, 'close');
  await stage.settled();
  return { server, client };
}

for (const [name, form] of Object.entries(forms)) {
  scenario(`options that are ${name}`, async (stage) => {
    await meet(stage, form);
  });
}

const socketOptions = ['fd', 'readable', 'writable', 'allowHalfOpen', 'signal', 'onread'];
for (const option of [...socketOptions, 'highWaterMark', 'readableHighWaterMark', 'objectMode']) {
  scenario(`new Socket() with a getter of ${option} that throws`, async (stage) => {
    stage.trace(
      'socket',
      attempt(() => new stage.net.Socket(withThrowingGetter(option))),
    );
    await stage.settled();
  });
}

for (const option of ['path', 'signal', 'timeout', 'onread', 'allowHalfOpen']) {
  scenario(`connect() with a getter of ${option} that throws`, async (stage) => {
    const others = option === 'path' ? {} : { path: stage.address() };
    const socket = new stage.net.Socket();
    discard(stage, socket);
    tolerate(socket);
    stage.watch(socket, 'socket', ['error', 'close']);
    stage.trace(
      'socket',
      attempt(() => callWith(socket, 'connect', withThrowingGetter(option, others))),
    );
    stage.trace('socket', socket.connecting, socket.destroyed, socket.pending);
    stage.trace(
      'module',
      attempt(() => {
        const made = callWith(stage.net, 'connect', withThrowingGetter(option, others)) as Socket;
        discard(stage, made);
        tolerate(made);
      }),
    );
    await stage.settled();
  });
}

for (const option of [
  'path',
  'port',
  'backlog',
  'signal',
  'exclusive',
  'readableAll',
  'writableAll',
  'fd',
]) {
  scenario(`listen() with a getter of ${option} that throws`, async (stage) => {
    const others = option === 'path' ? {} : { path: stage.address() };
    const server = new stage.net.Server();
    server.on('error', (error) => stage.trace('server', error));
    stage.defer(() => closeServer(server));
    stage.trace(
      'server',
      attempt(() => callWith(server, 'listen', withThrowingGetter(option, others))),
    );
    await stage.settled();
    stage.trace('server', server.listening);
  });
}

const bytes = [104, 101, 108, 108, 111];
const data: Record<string, () => unknown> = {
  'a Buffer of another realm': () => elsewhere('new Uint8Array([104, 105])'),
  'a Uint8Array': () => Uint8Array.from(bytes),
  'a part of a Uint8Array': () => Uint8Array.from([0, ...bytes, 0]).subarray(1, 6),
  'a Uint16Array': () => Uint16Array.from(bytes),
  'a Float64Array': () => Float64Array.from([1.5]),
  'a DataView': () => new DataView(Uint8Array.from(bytes).buffer, 1, 3),
  'an ArrayBuffer': () => Uint8Array.from(bytes).buffer,
  'a Uint8Array over shared memory': () => {
    const shared = new Uint8Array(new SharedArrayBuffer(5));
    shared.set(bytes);
    return shared;
  },
  'an empty Buffer': () => Buffer.alloc(0),
  'a proxy of a Buffer': () => new Proxy(Buffer.from(bytes), {}),
  'a subclass of Uint8Array': () => new (class extends Uint8Array {})(bytes),
  'a String object': (): unknown => Object('hello'),
  'an object with toString()': () => ({ toString: () => 'hello' }),
  'an array of numbers': () => bytes,
  'a date': () => new Date(0),
  'lone surrogates': () => 'a\ud800b\udc00',
};

for (const [name, make] of [
  ...Object.entries(data),
  ...plainValues.map(({ name, value }): [string, () => unknown] => [name, () => value]),
]) {
  for (const method of ['write', 'end']) {
    scenario(`${method}() of ${name}`, async (stage) => {
      const { client, peer } = await pair(stage);
      stage.watch(client, 'client', ['error', 'finish', 'close']);
      let received = '';
      peer.setEncoding('latin1').on('data', (piece: string) => (received += piece));
      stage.trace(
        'client',
        attempt(() => {
          stage.trace(
            'client',
            method === 'end'
              ? callWith(client, 'end', make()) === client
              : callWith(client, 'write', make(), () => {
                  stage.trace('client', 'written');
                }),
          );
        }),
      );
      stage.trace('client', client.writableEnded, client.destroyed, client.bytesWritten);
      if (!client.writableEnded && !client.destroyed) client.end();
      await stage.settled();
      stage.trace('peer', received);
    });
  }
}

for (const [name, make] of Object.entries<(path: string) => unknown>({
  'a String object': (path): unknown => Object(path),
  'an object with toString()': (path) => ({ toString: () => path }),
  'an array of one path': (path) => [path],
  'a path with a slash behind': (path) => `${path}/`,
  'a path with dots': (path) => path.replace(/\/(?=[^/]*$)/, '/./../x/../'),
})) {
  scenario(`a path that is ${name}`, async (stage) => {
    const path = stage.address();
    for (const given of [make(path), { path: make(path) }]) {
      const server = new stage.net.Server((peer) => peer.resume());
      stage.defer(() => closeServer(server));
      server.on('error', (error) => stage.trace('server', (error as NodeJS.ErrnoException).code));
      stage.trace(
        'server',
        attempt(() => callWith(server, 'listen', given)),
      );
      const socket = new stage.net.Socket();
      discard(stage, socket);
      socket.on('error', (error) => stage.trace('client', (error as NodeJS.ErrnoException).code));
      stage.trace(
        'client',
        attempt(() => callWith(socket, 'connect', given)),
      );
      await stage.settled();
      stage.trace('both', server.listening, socket.destroyed);
      socket.destroy();
      await closeServer(server);
    }
  });
}

/** Arguments in another order than the documentation's, and too many of them. */
const orders: Record<string, (stage: Stage, client: Socket) => unknown> = {
  'write(callback, data)': (_, client) => callWith(client, 'write', () => undefined, 'data'),
  'write(data, callback, encoding)': (stage, client) =>
    callWith(client, 'write', '6869', () => stage.trace('client', 'written'), 'hex'),
  'write(data, null, callback)': (stage, client) =>
    callWith(client, 'write', 'hi', null, () => stage.trace('client', 'written')),
  'write(data, undefined, callback)': (stage, client) =>
    callWith(client, 'write', 'hi', undefined, () => stage.trace('client', 'written')),
  'write(data, encoding, not a function)': (_, client) =>
    callWith(client, 'write', 'hi', 'utf8', 5),
  'write()': (_, client) => callWith(client, 'write'),
  'end(callback, data)': (stage, client) =>
    callWith(client, 'end', () => stage.trace('client', 'ended'), 'data'),
  'end(data, callback, encoding)': (stage, client) =>
    callWith(client, 'end', '6869', () => stage.trace('client', 'ended'), 'hex'),
  'end(null, null, null)': (_, client) => callWith(client, 'end', null, null, null),
  'end(undefined, callback)': (stage, client) =>
    callWith(client, 'end', undefined, () => stage.trace('client', 'ended')),
  'end(data, not a function)': (_, client) => callWith(client, 'end', 'hi', 5),
  'setTimeout(callback, 1)': (_, client) => callWith(client, 'setTimeout', () => undefined, 1),
  "setTimeout('1')": (_, client) => callWith(client, 'setTimeout', '1'),
  'setTimeout(-1)': (_, client) => callWith(client, 'setTimeout', -1),
  'setTimeout()': (_, client) => callWith(client, 'setTimeout'),
  'setTimeout(60000, not a function)': (_, client) => callWith(client, 'setTimeout', 60_000, 'x'),
  "setEncoding('klingon')": (_, client) => callWith(client, 'setEncoding', 'klingon'),
  'setEncoding()': (_, client) => callWith(client, 'setEncoding'),
  'setNoDelay(), setKeepAlive() of anything': (_, client) => {
    callWith(client, 'setNoDelay', 'x');
    callWith(client, 'setKeepAlive', {}, 'x');
  },
  "destroy('not an error')": (_, client) => callWith(client, 'destroy', 'not an error'),
  'destroy(0)': (_, client) => callWith(client, 'destroy', 0),
  'destroy({})': (_, client) => callWith(client, 'destroy', {}),
  "unshift('x') and read(0)": (_, client) => {
    client.unshift('x');
    client.read(0);
  },
  "read('a string')": (_, client) => callWith(client, 'read', '2'),
};

for (const [name, act] of Object.entries(orders)) {
  scenario(name, async (stage) => {
    const { client, peer } = await pair(stage);
    client.on('error', (error: unknown) => stage.trace('client', 'error', error));
    stage.watch(client, 'client', ['finish', 'close', 'timeout']);
    let received = '';
    peer.setEncoding('latin1').on('data', (piece: string) => (received += piece));
    let returned: unknown = 'nothing';
    const thrown = attempt(() => (returned = act(stage, client)));
    stage.trace('client', thrown, returned === client ? 'itself' : typeof returned);
    stage.trace('client', client.writableEnded, client.destroyed, client.timeout);
    if (!client.destroyed) client.end();
    await stage.settled();
    stage.trace('peer', received);
  });
}
