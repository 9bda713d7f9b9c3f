/** Becoming reachable: the forms of listen(), when 'listening' comes, how it fails, what is left on disk. */
import assert from 'node:assert/strict';
import { existsSync, lstatSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { getEventListeners } from 'node:events';
import nodeNet, { type ListenOptions, type Server } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { bothFamilies, type Net, scenario, type Stage } from './scenario';
import { attempt, callWith } from '../helpers/attempt';
import { startPartner, startProgram } from '../helpers/partner';
import { closeServer, discard, happens, listen } from '../helpers/sockets';

const serverEvents = ['listening', 'error', 'close'] as const;

/** A server that does not listen yet, watched, and closed when the scenario is over. */
function watchedServer(stage: Stage, label = 'server'): Server {
  const server = stage.net.createServer((peer) => {
    discard(stage, peer);
    peer.end();
  });
  stage.watch(server, label, serverEvents);
  stage.defer(() => closeServer(server));
  return server;
}

/** Whether a connection can be made to the address. */
function isReachable(stage: Stage, address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const client = stage.net.connect(address);
    client.on('connect', () => client.destroy());
    client.on('error', () => undefined);
    client.on('close', (hadError) => resolve(!hadError));
  });
}

scenario(
  'listen() binds at once: the address is taken before it returns',
  async (stage) => {
    const address = stage.address();
    const server = watchedServer(stage);
    stage.trace('server', 'before', server.listening, server.address());
    const returned = server.listen(address);
    stage.trace('server', 'after', server.listening, server.address());
    assert.equal(returned, server);
    assert.equal(server.listening, true);
    assert.equal(server.address(), address);
    if (stage.family === 'pathname') assert.equal(lstatSync(address).isSocket(), true);
    await happens(server, 'listening');
    assert.equal(await isReachable(stage, address), true);
  },
  { over: bothFamilies },
);

scenario(
  'a client may connect in the same tick in which the server was told to listen',
  async (stage) => {
    const address = stage.address();
    const server = watchedServer(stage);
    const accepted = happens(server, 'connection');
    server.listen(address);
    const client = stage.net.connect(address);
    discard(stage, client);
    stage.watch(client, 'client', ['connect', 'error', 'close']);
    client.resume();
    await Promise.all([accepted, happens(client, 'close')]);
    assert.deepEqual(stage.lane('client'), [['connect'], ['close', false]]);
  },
  { over: bothFamilies },
);

type Form = (server: Server, address: string, listening: () => void) => unknown;

const forms: Record<string, Form> = {
  'listen(path)': (server, address) => server.listen(address),
  'listen(path, callback)': (server, address, listening) => server.listen(address, listening),
  'listen(path, backlog)': (server, address) => server.listen(address, 5),
  'listen(path, backlog, callback)': (server, address, listening) =>
    server.listen(address, 5, listening),
  'listen(path, undefined, callback)': (server, address, listening) =>
    server.listen(address, undefined, listening),
  'listen(path, null, callback)': (server, address, listening) =>
    callWith(server, 'listen', address, null, listening),
  'listen(path, text, callback)': (server, address, listening) =>
    callWith(server, 'listen', address, 'x', listening),
  'listen({ path })': (server, address) => server.listen({ path: address }),
  'listen({ path }, callback)': (server, address, listening) =>
    server.listen({ path: address }, listening),
  'listen({ path, backlog })': (server, address) => server.listen({ path: address, backlog: 5 }),
  'listen({ path, exclusive }, callback)': (server, address, listening) =>
    server.listen({ path: address, exclusive: true }, listening),
  'listen({ path, ipv6Only }, callback)': (server, address, listening) =>
    server.listen({ path: address, ipv6Only: true }, listening),
  'listen({ path, host }, callback)': (server, address, listening) =>
    server.listen({ path: address, host: '127.0.0.1' }, listening),
  'listen({ path, fd: -1 }, callback)': (server, address, listening) =>
    callWith(server, 'listen', { path: address, fd: -1 }, listening),
  'listen({ path, signal: undefined }, callback)': (server, address, listening) =>
    server.listen({ path: address, signal: undefined }, listening),
};

for (const [form, perform] of Object.entries(forms)) {
  scenario(
    `${form} listens`,
    async (stage) => {
      const address = stage.address();
      const server = watchedServer(stage);
      const listening = happens(server, 'listening');
      const returned = perform(server, address, function (this: unknown, ...args: unknown[]) {
        stage.trace('server', 'callback', this === server, args);
      });
      assert.equal(returned, server);
      await listening;
      assert.equal(server.address(), address);
      assert.equal(await isReachable(stage, address), true);
      assert.equal(await isReachable(stage, address), true);
    },
    { over: bothFamilies },
  );
}

scenario('the options object is left as it was', async (stage) => {
  const address = stage.path();
  const server = watchedServer(stage);
  const options = Object.freeze({ path: address, backlog: 7, readableAll: false });
  server.listen(options);
  await happens(server, 'listening');
  assert.deepEqual(Object.keys(options), ['path', 'backlog', 'readableAll']);
});

scenario(
  "'listening' comes on the next tick, after what was queued before and before what is queued later",
  async (stage) => {
    const address = stage.address();
    const server = watchedServer(stage);
    const listening = happens(server, 'listening');
    process.nextTick(() => stage.trace('server', 'tick from before'));
    server.listen(address, () => stage.trace('server', 'callback'));
    process.nextTick(() => stage.trace('server', 'tick from after'));
    stage.trace('server', 'listen returned');
    await listening;
    await stage.settled();
    assert.deepEqual(stage.lane('server').flat(), [
      'listen returned',
      'tick from before',
      'listening',
      'callback',
      'tick from after',
    ]);
  },
  { over: bothFamilies },
);

scenario(
  "'listening' does not come if the server was closed meanwhile",
  async (stage) => {
    const address = stage.address();
    const server = watchedServer(stage);
    const closed = happens(server, 'close');
    server.listen(address, () => stage.trace('server', 'callback of listen'));
    server.close((error) => stage.trace('server', 'callback of close', error));
    stage.trace('server', 'listening is', server.listening);
    await closed;
    await stage.settled();
    stage.trace('server', 'listeners left', server.listenerCount('listening'));
    assert.deepEqual(stage.lane('server').slice(0, 3), [
      ['listening is', false],
      ['close'],
      ['callback of close', undefined],
    ]);
  },
  { over: bothFamilies },
);

scenario(
  'the callback of listen() is called once, not again by a later listen()',
  async (stage) => {
    const server = watchedServer(stage);
    for (const round of ['first', 'second']) {
      const listening = happens(server, 'listening');
      server.listen(stage.path(), () => stage.trace('server', `callback of the ${round}`));
      await listening;
      stage.trace('server', 'listeners', server.listenerCount('listening'));
      await closeServer(server);
    }
    const callbacks = stage
      .lane('server')
      .filter(([entry]) => String(entry).startsWith('callback'));
    assert.deepEqual(callbacks, [['callback of the first'], ['callback of the second']]);
  },
);

scenario('a second listen() throws and does no harm to the first', async (stage) => {
  const [first, second] = [stage.path(), stage.path()];
  const server = watchedServer(stage);
  server.listen(first);
  const error = attempt(() => server.listen(second));
  stage.trace('server', 'at once', error);
  assert.ok(error instanceof Error);
  assert.equal(Reflect.get(error, 'code'), 'ERR_SERVER_ALREADY_LISTEN');
  await happens(server, 'listening');
  stage.trace(
    'server',
    'later',
    attempt(() => server.listen(second, () => stage.trace('server', 'never'))),
  );
  await stage.settled();
  assert.equal(server.address(), first);
  assert.equal(existsSync(second), false);
  assert.equal(await isReachable(stage, first), true);
});

scenario(
  'an address in use is told by an event on the next tick, and nothing is thrown',
  async (stage) => {
    const address = stage.address();
    await listen(stage, address);
    const server = watchedServer(stage, 'late');
    const failed = happens(server, 'error');
    process.nextTick(() => stage.trace('late', 'tick from before'));
    const returned = server.listen(address, () => stage.trace('late', 'callback'));
    process.nextTick(() => stage.trace('late', 'tick from after'));
    stage.trace('late', 'returned', server.listening, server.address());
    assert.equal(returned, server);
    const [error] = await failed;
    assert.ok(error instanceof Error);
    assert.equal(Reflect.get(error, 'code'), 'EADDRINUSE');
    assert.equal(Reflect.get(error, 'syscall'), 'listen');
    assert.equal(Reflect.get(error, 'address'), address);
    assert.equal(error.message, `listen EADDRINUSE: address already in use ${address}`);
    await stage.settled();
    stage.trace(
      'late',
      'then',
      server.listening,
      server.address(),
      server.listenerCount('listening'),
    );
    assert.equal(await isReachable(stage, address), true);
  },
  { over: bothFamilies },
);

scenario(
  'the fields of a listen error are those that net gives it, in the same order',
  async (stage) => {
    const address = stage.path();
    await listen(stage, address);
    const server = watchedServer(stage, 'late');
    server.listen(address);
    const [error] = await happens(server, 'error');
    assert.ok(error instanceof Error);
    const withoutHint = Object.keys(error).filter((key) => key !== 'hint');
    stage.trace('error', withoutHint, Object.prototype.hasOwnProperty.call(error, 'port'));
  },
);

const unbindable: Record<string, { prepare(path: string): string; code: string }> = {
  'a missing directory': { prepare: (path) => `${path}.missing/s`, code: 'EACCES' },
  'a directory': {
    prepare: (path) => {
      mkdirSync(path);
      return path;
    },
    code: 'EADDRINUSE',
  },
  'a plain file': {
    prepare: (path) => {
      writeFileSync(path, 'precious');
      return path;
    },
    code: 'EADDRINUSE',
  },
  'a path through a plain file': {
    prepare: (path) => {
      writeFileSync(path, 'precious');
      return `${path}/s`;
    },
    code: 'ENOTDIR',
  },
  'a directory of /proc': { prepare: () => '/proc/s', code: 'EACCES' },
};

for (const [what, { prepare, code }] of Object.entries(unbindable)) {
  scenario(
    `listening on ${what} fails with ${code} and leaves everything as it was`,
    async (stage) => {
      const path = stage.path();
      const address = prepare(path);
      const server = watchedServer(stage);
      server.listen(address);
      stage.trace('server', 'listening is', server.listening);
      const [error] = await happens(server, 'error');
      assert.equal(Reflect.get(error as Error, 'code'), code);
      if (existsSync(path) && statSync(path).isFile())
        assert.equal(readFileSync(path, 'utf8'), 'precious');
    },
  );
}

scenario(
  'after an error the server may listen elsewhere, inside the handler already',
  async (stage) => {
    const [taken, free] = [stage.address(), stage.address()];
    await listen(stage, taken);
    const server = watchedServer(stage, 'late');
    const listening = happens(server, 'listening');
    server.once('error', () => {
      const returned = server.listen(free, () => stage.trace('late', 'callback of the second'));
      stage.trace(
        'late',
        'in the handler',
        returned === server,
        server.listening,
        server.address(),
      );
    });
    server.listen(taken, () => stage.trace('late', 'callback of the first'));
    await listening;
    await stage.settled();
    assert.equal(server.address(), free);
    assert.equal(await isReachable(stage, free), true);
  },
  { over: bothFamilies },
);

scenario('after an error the server can have the same path once it is free', async (stage) => {
  const path = stage.path();
  const first = await listen(stage, path);
  const server = watchedServer(stage, 'late');
  const failed = happens(server, 'error');
  server.listen(path);
  await failed;
  await closeServer(first);
  const listening = happens(server, 'listening');
  server.listen(path);
  await listening;
  assert.equal(await isReachable(stage, path), true);
});

scenario(
  'closing after a failed listen(), before its error, still tells the error',
  async (stage) => {
    const path = stage.path();
    await listen(stage, path);
    const server = watchedServer(stage, 'late');
    const closed = happens(server, 'close');
    server.listen(path);
    server.close((error) => stage.trace('late', 'callback of close', error));
    await closed;
    await stage.settled();
    assert.equal(existsSync(path), true);
    assert.equal(await isReachable(stage, path), true);
  },
);

/** How many connections the kernel queues for a server that accepts none. */
async function queueLength(stage: Stage, address: string): Promise<number> {
  const partner = startPartner(
    stage,
    { address, attempts: 600 },
    ({ net, parameters, tell }) => {
      let connected = 0;
      let answered = 0;
      for (let index = 0; index < parameters.attempts; index += 1) {
        const client = net.connect(parameters.address);
        const answer = (success: boolean): void => {
          if (success) connected += 1;
          answered += 1;
          if (answered < parameters.attempts) return;
          tell('connected', connected);
          process.exit();
        };
        client.on('connect', () => answer(true));
        client.on('error', () => answer(false));
      }
    },
    { specifier: 'node:net' },
  );
  const [connected] = await partner.told('connected');
  await partner.ended;
  assert.ok(typeof connected === 'number');
  return connected;
}

/** The kernel allows no longer queue than this, whatever backlog is asked for. */
const longest = Number(readFileSync('/proc/sys/net/core/somaxconn', 'utf8'));
/** What net asks for if nobody says anything. */
const usual = Math.min(511, longest) + 1;

const backlogs: Record<string, { options: (address: string) => unknown[]; expected: number }> = {
  'no backlog': { options: (address) => [address], expected: usual },
  'a backlog of 0': { options: (address) => [address, 0], expected: usual },
  'a backlog of 3': { options: (address) => [address, 3], expected: 4 },
  'a backlog of 3 as an option': {
    options: (address) => [{ path: address, backlog: 3 }],
    expected: 4,
  },
  'a backlog of 3 beside an options object': {
    options: (address) => [{ path: address }, 3],
    expected: 4,
  },
  'a backlog of 3 as text': { options: (address) => [address, '3'], expected: 4 },
  'an option before an argument': {
    options: (address) => [{ path: address, backlog: 3 }, 20],
    expected: 4,
  },
};

for (const [what, { options, expected }] of Object.entries(backlogs)) {
  scenario(`${what} lets ${expected} connections wait`, async (stage) => {
    const address = stage.path();
    const holder = startPartner(
      stage,
      { listen: options(address) },
      ({ net, parameters, tell, pauseUntilToldToGoOn }) => {
        const server = net.createServer();
        Reflect.apply(Reflect.get(server, 'listen') as () => void, server, parameters.listen);
        tell('listening', server.listening);
        pauseUntilToldToGoOn();
        process.exit();
      },
    );
    assert.deepEqual(await holder.told('listening'), [true]);
    const queued = await queueLength(stage, address);
    stage.trace('backlog', queued);
    assert.equal(queued, expected);
  });
}

const modes: Record<string, ListenOptions> = {
  'no mode option': {},
  readableAll: { readableAll: true },
  writableAll: { writableAll: true },
  'readableAll and writableAll': { readableAll: true, writableAll: true },
  'readableAll: false': { readableAll: false, writableAll: false },
  'readableAll: 1, which is not true': { readableAll: 1 as unknown as boolean },
};

for (const [what, options] of Object.entries(modes)) {
  for (const mask of [0o022, 0o077, 0o000]) {
    scenario(
      `the file's mode with ${what} under umask ${mask.toString(8).padStart(3, '0')}`,
      async (stage) => {
        const path = stage.path();
        const usual = process.umask(mask);
        stage.defer(() => void process.umask(usual));
        const server = watchedServer(stage);
        server.listen({ path, ...options });
        stage.trace('mode', (statSync(path).mode & 0o7777).toString(8));
        stage.trace('umask', process.umask().toString(8));
        await happens(server, 'listening');
        stage.trace('mode', (statSync(path).mode & 0o7777).toString(8));
        if (options.readableAll === true) assert.equal(statSync(path).mode & 0o444, 0o444);
        if (options.writableAll === true) assert.equal(statSync(path).mode & 0o222, 0o222);
      },
    );
  }
}

scenario('readableAll on an address in use is an event, not an exception', async (stage) => {
  const path = stage.path();
  await listen(stage, path);
  const before = statSync(path).mode;
  const server = watchedServer(stage, 'late');
  const failed = happens(server, 'error');
  stage.trace(
    'late',
    attempt(() => server.listen({ path, readableAll: true, writableAll: true })),
  );
  const [error] = await failed;
  assert.equal(Reflect.get(error as Error, 'code'), 'EADDRINUSE');
  assert.equal(statSync(path).mode, before);
});

scenario(
  'modes for an abstract name are refused, and the server can still listen',
  async (stage) => {
    const address = '\0afunix-test-never-bound';
    const server = watchedServer(stage);
    for (const options of [
      { readableAll: true },
      { writableAll: true },
      { readableAll: true, writableAll: true },
    ]) {
      const error = attempt(() => server.listen({ path: address, ...options }));
      stage.trace('server', error);
      assert.ok(error instanceof TypeError);
      assert.equal(Reflect.get(error, 'code'), 'ERR_INVALID_ARG_VALUE');
      assert.equal(server.listening, false);
    }
    const free = stage.abstract();
    server.listen({ path: free, readableAll: false, writableAll: false });
    await happens(server, 'listening');
    assert.equal(await isReachable(stage, free), true);
  },
);

scenario(
  'a signal closes the server, and its listener is taken off',
  async (stage) => {
    const address = stage.address();
    const server = watchedServer(stage);
    const abort = new AbortController();
    const listening = happens(server, 'listening');
    server.listen({ path: address, signal: abort.signal });
    stage.trace('signal', 'while listening', getEventListeners(abort.signal, 'abort').length);
    await listening;
    const closed = happens(server, 'close');
    abort.abort();
    stage.trace('server', 'after abort', server.listening);
    await closed;
    stage.trace('signal', 'when closed', getEventListeners(abort.signal, 'abort').length);
    assert.equal(getEventListeners(abort.signal, 'abort').length, 0);
    assert.equal(await isReachable(stage, address), false);
  },
  { over: bothFamilies },
);

scenario('a signal leaves the connections alone, and close waits for them', async (stage) => {
  const path = stage.path();
  const abort = new AbortController();
  const server = stage.net.createServer({ allowHalfOpen: false });
  stage.watch(server, 'server', serverEvents);
  stage.defer(() => closeServer(server));
  const accepted = happens(server, 'connection');
  server.listen({ path, signal: abort.signal });
  const client = stage.net.connect(path);
  discard(stage, client);
  client.resume();
  await accepted;
  abort.abort();
  await stage.settled();
  assert.equal(
    stage.lane('server').some(([event]) => event === 'close'),
    false,
  );
  const closed = happens(server, 'close');
  client.end();
  await closed;
});

scenario('an aborted signal closes the server before it is listening', async (stage) => {
  const path = stage.path();
  const server = watchedServer(stage);
  const closed = happens(server, 'close');
  server.listen({ path, signal: AbortSignal.abort() }, () => stage.trace('server', 'callback'));
  stage.trace('server', 'returned', server.listening);
  await closed;
  await stage.settled();
  assert.equal(existsSync(path), false);
  assert.equal(
    stage.lane('server').some(([event]) => event === 'listening'),
    false,
  );
});

scenario('closing a server takes its listener off the signal', async (stage) => {
  const abort = new AbortController();
  const server = watchedServer(stage);
  server.listen({ path: stage.path(), signal: abort.signal });
  await happens(server, 'listening');
  await closeServer(server);
  stage.trace('signal', getEventListeners(abort.signal, 'abort').length);
  abort.abort();
  await stage.settled();
  assert.equal(stage.lane('server').filter(([event]) => event === 'close').length, 1);
});

scenario('what is no signal is refused at once', async (stage) => {
  const path = stage.path();
  const server = watchedServer(stage);
  for (const signal of ['x', 5, {}, null, true]) {
    const error = attempt(() => callWith(server, 'listen', { path, signal }));
    stage.trace('server', error);
    assert.equal(Reflect.get(error as Error, 'code'), 'ERR_INVALID_ARG_TYPE');
  }
  assert.equal(server.listening, false);
  assert.equal(existsSync(path), false);
});

/** The abstract names of this machine that begin so, as /proc/net/unix shows them: '@' for NUL. */
function namesInKernel(beginning: string): string[] {
  return readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .map((line) => /^(?:\S+ +){7}(.*)$/.exec(line)?.[1] ?? '')
    .filter((name) => name.startsWith(`@${beginning}`));
}

/** The name with the padding that the running Node gives it, '@' for NUL. */
async function nameAsNetWouldBind(name: string): Promise<string> {
  const server = nodeNet.createServer().listen(name);
  await happens(server, 'listening');
  const [shown] = namesInKernel(name.slice(1));
  await closeServer(server);
  assert.ok(shown !== undefined);
  return shown;
}

/** Binds as descriptor 3 and becomes node, as a service manager would start it. */
const activator = `
import os, socket, sys
address, listening = sys.argv[1], sys.argv[2] == 'listening'
s = socket.socket(socket.AF_UNIX)
s.bind(address.replace('@', '\\0') if address.startswith('@') else address)
if listening:
    s.listen(16)
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.execv(sys.argv[3], sys.argv[3:])
`;

for (const state of ['listening', 'bound'] as const) {
  for (const family of bothFamilies) {
    scenario(`a descriptor inherited ${state} can be listened on (${family})`, async (stage) => {
      const address = family === 'pathname' ? stage.path() : stage.abstract();
      const bindable = family === 'pathname' ? address : await nameAsNetWouldBind(address);
      const partner = startPartner(
        stage,
        null,
        ({ net, tell }) => {
          const server = net.createServer((peer) => {
            peer.on('data', (chunk) => peer.end(`echo ${chunk.toString()}`));
            peer.on('close', () => server.close());
          });
          server.on('error', (error) => tell('error', error.message));
          server.on('close', () => tell('close'));
          const returned = server.listen({ fd: 3 }, () =>
            tell('listening', server.listening, server.address()),
          );
          tell('returned', returned === server, server.listening, server.address());
        },
        { launcher: ['python3', '-c', activator, bindable, state] },
      );
      stage.trace('server', await partner.told('returned'));
      stage.trace('server', await partner.told('listening'));
      const client = stage.net.connect(address);
      discard(stage, client);
      stage.watch(client, 'client', ['connect', 'data', 'end', 'error', 'close']);
      const closed = happens(client, 'close');
      client.write('hello');
      await closed;
      stage.trace('server', await partner.ended);
      stage.trace('server', await partner.everything());
      if (family === 'pathname') stage.trace('file', existsSync(address));
      assert.deepEqual(stage.lane('client')[1], ['data', { bytes: 'echo hello' }]);
    });
  }
}

scenario('a descriptor that is not a socket, or not open, is an error event', async (stage) => {
  const partner = startPartner(
    stage,
    { file: stage.path() },
    ({ net, parameters, require, tell }) => {
      const fs = require('node:fs') as typeof import('node:fs');
      const file = fs.openSync(parameters.file, 'w');
      const attempts = [file, 12345];
      const next = (): void => {
        const fd = attempts.shift();
        if (fd === undefined) return;
        const server = net.createServer();
        server.on('error', (error: NodeJS.ErrnoException) => {
          tell('error', error.code, error.errno, error.syscall, error.message, server.listening);
          next();
        });
        server.on('listening', () => tell('listening'));
        server.listen({ fd });
        tell('returned', server.listening);
      };
      next();
    },
  );
  for (const happening of await partner.everything()) stage.trace('server', ...happening);
  const errors = stage.lane('server').filter(([event]) => event === 'error');
  assert.deepEqual(
    errors.map(([, code]) => code),
    ['EINVAL', 'EINVAL'],
  );
});

scenario(
  'an abstract name exists in no directory, and is free again after close',
  async (stage) => {
    const name = stage.abstract();
    for (let round = 0; round < 20; round += 1) {
      const server = watchedServer(stage, `server ${round}`);
      server.listen(name);
      await happens(server, 'listening');
      assert.equal(server.address(), name);
      assert.equal(existsSync(name.slice(1)), false);
      assert.equal(await isReachable(stage, name), true);
      await closeServer(server);
      assert.equal(await isReachable(stage, name), false);
    }
  },
);

const abstractNames: Record<string, string> = {
  'a short one': 'a',
  'one with spaces and dots': 'with space.and/slash',
  'one beyond ASCII': 'grüße-世界',
  'one of 100 bytes': 'x'.repeat(60),
};

for (const [what, suffix] of Object.entries(abstractNames)) {
  scenario(`the kernel knows ${what} exactly as net would name it`, async (stage) => {
    const name = `${stage.abstract()}-${suffix}`;
    const server = watchedServer(stage);
    server.listen(name);
    await happens(server, 'listening');
    const shown = namesInKernel(name.slice(1));
    stage.trace('kernel', shown.length);
    const padding = (shown[0] ?? '').slice(name.length);
    stage.trace('kernel', 'padding is of NULs', /^@*$/.test(padding));
    const whole = Buffer.byteLength(name) + padding.length;
    stage.trace('kernel', 'padded to the end', whole === 108);
    assert.equal(shown.length, 1);
    assert.equal(server.address(), name);
    assert.equal(await isReachable(stage, name), true);
  });
}

scenario('names that differ only in a NUL at the end', async (stage) => {
  const name = stage.abstract();
  const plain = watchedServer(stage, 'plain');
  plain.listen(name);
  await happens(plain, 'listening');
  const longer = watchedServer(stage, 'longer');
  const outcome = Promise.race([happens(longer, 'listening'), happens(longer, 'error')]);
  longer.listen(`${name}\0`);
  await outcome;
  assert.equal(await isReachable(stage, name), true);
});

scenario('a relative path is relative to the directory of the process', async (stage) => {
  const path = stage.path();
  const home = process.cwd();
  process.chdir(dirname(path));
  stage.defer(() => process.chdir(home));
  for (const relative of [
    basename(path),
    `./${basename(path)}`,
    `../${basename(dirname(path))}/${basename(path)}`,
  ]) {
    const server = watchedServer(stage, 'server');
    server.listen(relative);
    await happens(server, 'listening');
    assert.equal(server.address(), relative);
    assert.equal(lstatSync(path).isSocket(), true);
    assert.equal(await isReachable(stage, path), true);
    assert.equal(await isReachable(stage, relative), true);
    await closeServer(server);
    assert.equal(existsSync(path), false);
  }
});

scenario('a path beyond ASCII, with spaces, quotes and a newline, is a path', async (stage) => {
  const directory = stage.path();
  mkdirSync(directory);
  for (const name of ['grüße-世界', 'a b', `it's "quoted"`, 'two\nlines', '@at', '%20', '-dash']) {
    const path = join(directory, name);
    const server = watchedServer(stage, 'server');
    server.listen(path);
    await happens(server, 'listening');
    assert.equal(server.address(), path);
    assert.equal(lstatSync(path).isSocket(), true, name);
    assert.equal(await isReachable(stage, path), true, name);
    await closeServer(server);
    assert.equal(existsSync(path), false, name);
  }
});

scenario(
  'a path through a symbolic directory, and a symbolic link in its own place',
  async (stage) => {
    const path = stage.path();
    const fs: typeof import('node:fs') = await import('node:fs');
    mkdirSync(`${path}.real`);
    fs.symlinkSync(`${path}.real`, `${path}.link`);
    const server = watchedServer(stage, 'through');
    server.listen(`${path}.link/s`);
    await happens(server, 'listening');
    assert.equal(lstatSync(`${path}.real/s`).isSocket(), true);
    assert.equal(await isReachable(stage, `${path}.real/s`), true);

    fs.symlinkSync(`${path}.nowhere`, path);
    const late = watchedServer(stage, 'over a link');
    const failed = happens(late, 'error');
    late.listen(path);
    await failed;
    assert.equal(existsSync(`${path}.nowhere`), false);
    assert.equal(lstatSync(path).isSymbolicLink(), true);
  },
);

scenario('exclusive makes no difference outside a cluster', async (stage) => {
  for (const exclusive of [true, false]) {
    const path = stage.path();
    const server = watchedServer(stage, 'server');
    server.listen({ path, exclusive });
    stage.trace('server', 'listening is', server.listening);
    await happens(server, 'listening');
    assert.equal(await isReachable(stage, path), true);
    const rival = watchedServer(stage, 'rival');
    const failed = happens(rival, 'error');
    rival.listen({ path, exclusive });
    const [error] = await failed;
    assert.equal(Reflect.get(error as Error, 'code'), 'EADDRINUSE');
  }
});

scenario('200 servers listen at the same time', async (stage) => {
  const directory = stage.path();
  mkdirSync(directory);
  const servers: Server[] = [];
  for (let index = 0; index < 200; index += 1) {
    const server = stage.net.createServer((peer) => peer.end(String(index)));
    stage.defer(() => closeServer(server));
    servers.push(server);
    server.listen(join(directory, String(index)));
  }
  await Promise.all(servers.map((server) => happens(server, 'listening')));
  const answers = await Promise.all(
    servers.map((_, index) => answerFrom(stage.net, join(directory, String(index)))),
  );
  assert.deepEqual(
    answers,
    servers.map((_, index) => String(index)),
  );
});

function answerFrom(net: Net, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const client = net.connect(path);
    client.setEncoding('utf8');
    client.on('data', (text: string) => (answer += text));
    client.on('error', reject);
    client.on('close', () => resolve(answer));
  });
}

scenario(
  "an exception in a 'listening' listener is uncaught once, and the server listens on",
  async (stage) => {
    const path = stage.path();
    const partner = startPartner(stage, { path }, ({ net, parameters, tell }) => {
      process.on('uncaughtException', (error) => {
        tell('uncaught', error.message);
        net.connect(parameters.path).on('close', () => server.close());
      });
      const server = net.createServer((peer) => {
        tell('connection');
        peer.resume();
        peer.end();
      });
      server.on('close', () => tell('close'));
      server.listen(parameters.path, () => {
        throw new Error('thrown on purpose');
      });
    });
    for (const happening of await partner.everything()) stage.trace('child', ...happening);
    assert.deepEqual(stage.lane('child'), [
      ['uncaught', 'thrown on purpose'],
      ['connection'],
      ['close'],
    ]);
  },
);

scenario('a listen error that nobody listens for ends the process', async (stage) => {
  const path = stage.path();
  await listen(stage, path);
  const partner = startPartner(stage, { path }, ({ net, parameters, tell }) => {
    process.on('exit', (code) => tell('exit', code));
    net.createServer().listen(parameters.path);
  });
  const { code } = await partner.ended;
  stage.trace('child', code, await partner.told('exit'));
  assert.equal(code, 1);
  assert.equal(existsSync(path), true);
});

scenario('two processes that start 20 times at once never both have the path', async (stage) => {
  const paths = Array.from({ length: 20 }, () => stage.path());
  const contenders = [1, 2].map(() =>
    startPartner(stage, { paths }, ({ net, parameters, tell, pauseUntilToldToGoOn }) => {
      const left = [...parameters.paths];
      const compete = (): void => {
        const path = left.shift();
        if (path === undefined) process.exit();
        tell('ready');
        pauseUntilToldToGoOn();
        const server = net.createServer();
        const finish = (outcome?: string): void => {
          tell('outcome', outcome);
          setImmediate(compete);
        };
        server.on('listening', () => finish('listening'));
        server.on('error', (error: NodeJS.ErrnoException) => finish(error.code));
        server.listen(path);
      };
      compete();
    }),
  );
  for (const path of paths) {
    await Promise.all(contenders.map((contender) => contender.told('ready')));
    for (const contender of contenders) contender.goOn();
    const outcomes = await Promise.all(contenders.map((contender) => contender.told('outcome')));
    assert.deepEqual(outcomes.flat().sort(), ['EADDRINUSE', 'listening'], path);
  }
});

scenario('a file that a killed server left behind is in use until it is removed', async (stage) => {
  const path = stage.path();
  const partner = startProgram(stage, [
    'python3',
    '-c',
    'import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(1)',
    path,
  ]);
  await partner.ended;
  assert.equal(lstatSync(path).isSocket(), true);
  const server = watchedServer(stage);
  const failed = happens(server, 'error');
  server.listen(path);
  const [error] = await failed;
  assert.equal(Reflect.get(error as Error, 'code'), 'EADDRINUSE');
  assert.equal(lstatSync(path).isSocket(), true);
});
