/** Ceasing to be reachable: what close() removes, what it waits for, whom it tells, and listening again. */
import assert from 'node:assert/strict';
import { existsSync, lstatSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import type { Server, Socket } from 'node:net';
import { dirname } from 'node:path';
import { bothFamilies, scenario, type Stage } from './scenario';
import { attempt, callWith } from '../helpers/attempt';
import { startPartner } from '../helpers/partner';
import { closeServer, discard, happens, listen, pair, received } from '../helpers/sockets';

const serverEvents = ['listening', 'connection', 'error', 'close'] as const;
const socketEvents = ['connect', 'data', 'end', 'error', 'close'] as const;

function watchedServer(stage: Stage, label = 'server'): Server {
  const server = stage.net.createServer((peer) => discard(stage, peer));
  stage.watch(server, label, serverEvents);
  stage.defer(() => closeServer(server));
  return server;
}

async function listening(server: Server, address: string): Promise<void> {
  const begun = happens(server, 'listening');
  server.listen(address);
  await begun;
}

function watchedClient(stage: Stage, address: string, label = 'client'): Socket {
  const client = stage.net.connect(address);
  discard(stage, client);
  stage.watch(client, label, socketEvents);
  return client;
}

scenario(
  "close() returns the server, stops at once, and says 'close' on a later tick",
  async (stage) => {
    const address = stage.address();
    const server = watchedServer(stage);
    await listening(server, address);
    const closed = happens(server, 'close');
    process.nextTick(() => stage.trace('server', 'tick from before'));
    const returned = server.close((error) => stage.trace('server', 'callback', error));
    process.nextTick(() => stage.trace('server', 'tick from after'));
    stage.trace('server', 'returned', returned === server, server.listening, server.address());
    if (stage.family === 'pathname') assert.equal(existsSync(address), false);
    await closed;
    await stage.settled();
    assert.deepEqual(
      stage.lane('server').map(([event]) => event),
      ['listening', 'returned', 'tick from before', 'close', 'callback', 'tick from after'],
    );
  },
  { over: bothFamilies },
);

scenario(
  'the callback of close() is called with the server as this and no argument',
  async (stage) => {
    const server = watchedServer(stage);
    await listening(server, stage.path());
    await new Promise<void>((resolve) => {
      server.close(function (this: unknown, ...args: unknown[]) {
        stage.trace('server', 'callback', this === server, args.length);
        resolve();
      });
    });
  },
);

scenario(
  'nobody can connect after close()',
  async (stage) => {
    const address = stage.address();
    const server = watchedServer(stage);
    await listening(server, address);
    server.close();
    const client = watchedClient(stage, address);
    const [error] = await happens(client, 'error');
    const expected = stage.family === 'pathname' ? 'ENOENT' : 'ECONNREFUSED';
    assert.equal(Reflect.get(error as Error, 'code'), expected);
  },
  { over: bothFamilies },
);

scenario(
  "'close' waits for the last connection, which goes on as before",
  async (stage) => {
    const { server, client, peer } = await pair(stage);
    const other = stage.net.connect(server.address() as string);
    discard(stage, other);
    const [secondPeer] = await happens(server, 'connection');
    assert.ok(secondPeer instanceof stage.net.Socket);
    stage.watch(server, 'server', ['close']);
    const closed = happens(server, 'close');
    server.close((error) => stage.trace('server', 'callback', error));

    peer.on('data', (chunk: Buffer) => peer.write(chunk));
    client.write('still here?');
    const [answer] = await happens(client, 'data');
    stage.trace('client', answer);

    other.resume();
    const otherClosed = happens(secondPeer, 'close');
    secondPeer.resume();
    other.end();
    await otherClosed;
    await stage.settled();
    assert.deepEqual(stage.lane('server'), []);

    stage.watch(peer, 'peer', ['end', 'close']);
    client.end();
    await closed;
    await stage.settled();
    assert.deepEqual(stage.lane('server'), [['close'], ['callback', undefined]]);
    assert.deepEqual(stage.lane('peer'), [['end'], ['close', false]]);
  },
  { over: bothFamilies },
);

scenario(
  "'close' comes after a destroyed connection as well, never synchronously",
  async (stage) => {
    const { server, peer } = await pair(stage);
    stage.watch(server, 'server', ['close']);
    const closed = happens(server, 'close');
    server.close();
    peer.destroy();
    stage.trace('server', 'destroyed');
    await closed;
    assert.deepEqual(stage.lane('server'), [['destroyed'], ['close']]);
  },
);

scenario('close() inside the connection handler leaves that connection alone', async (stage) => {
  const address = stage.path();
  const server = stage.net.createServer((peer) => {
    discard(stage, peer);
    stage.trace(
      'server',
      'close inside',
      server.close() === server,
      server.listening,
      existsSync(address),
    );
    peer.on('data', (chunk: Buffer) => peer.end(chunk));
  });
  stage.watch(server, 'server', ['listening', 'close']);
  stage.defer(() => closeServer(server));
  await listening(server, address);
  const closed = happens(server, 'close');
  const client = watchedClient(stage, address);
  client.end('hello');
  const [bytes] = await Promise.all([received(client), closed]);
  assert.equal(bytes.toString(), 'hello');
});

scenario(
  'close() inside the handler of the first of several connections: all of them end',
  async (stage) => {
    const address = stage.path();
    let accepted = 0;
    const server = stage.net.createServer((peer) => {
      discard(stage, peer);
      accepted += 1;
      peer.end('welcome');
      peer.resume();
      server.close();
    });
    stage.defer(() => closeServer(server));
    await listening(server, address);
    const closed = happens(server, 'close');
    let welcomed = 0;
    const outcomes = Array.from({ length: 5 }, () => {
      const client = stage.net.connect(address);
      discard(stage, client);
      client.on('error', () => undefined);
      client.on('data', () => (welcomed += 1));
      return happens(client, 'close');
    });
    await Promise.all([...outcomes, closed]);
    assert.ok(accepted >= 1);
    assert.equal(welcomed, accepted);
    assert.equal(existsSync(address), false);
  },
);

scenario('close() on a server that does not listen tells its callback so', async (stage) => {
  const server = watchedServer(stage);
  const returned = server.close((error) => stage.trace('server', 'callback', error));
  assert.equal(returned, server);
  await happens(server, 'close');
  await stage.settled();
  const [, [, error] = []] = stage.lane('server');
  assert.equal(Reflect.get(error as object, 'code'), 'ERR_SERVER_NOT_RUNNING');
});

scenario("close() twice: 'close' and callbacks as net counts them", async (stage) => {
  const server = watchedServer(stage);
  await listening(server, stage.path());
  server.close((error) => stage.trace('server', 'first', error));
  server.close((error) => stage.trace('server', 'second', error));
  await happens(server, 'close');
  await stage.settled();
  server.close((error) => stage.trace('server', 'third', error));
  await stage.settled();
  stage.trace('server', 'listeners left', server.listenerCount('close'));
});

scenario('close() twice while a connection is open', async (stage) => {
  const { server, client } = await pair(stage);
  stage.watch(server, 'server', ['close']);
  const closed = happens(server, 'close');
  server.close((error) => stage.trace('server', 'first', error));
  server.close((error) => stage.trace('server', 'second', error));
  await stage.settled();
  assert.deepEqual(stage.lane('server'), []);
  client.end();
  await closed;
  await stage.settled();
});

scenario('what is not a function is no callback of close()', async (stage) => {
  for (const callback of [undefined, null, 0, 'x', {}, [], true]) {
    const server = watchedServer(stage, 'server');
    await listening(server, stage.path());
    const closed = happens(server, 'close');
    const outcome = attempt(() => assert.equal(callWith(server, 'close', callback), server));
    stage.trace('server', outcome);
    assert.equal(outcome, 'nothing thrown');
    await closed;
  }
});

scenario(
  'Symbol.asyncDispose closes the server, also twice, also before listen()',
  async (stage) => {
    const path = stage.path();
    const server = watchedServer(stage);
    stage.trace('server', 'before', await server[Symbol.asyncDispose]());
    await listening(server, path);
    const first = server[Symbol.asyncDispose]();
    const second = server[Symbol.asyncDispose]();
    assert.ok(first instanceof Promise);
    stage.trace('server', 'disposed', server.listening, existsSync(path));
    stage.trace('server', 'results', await first, await second);
    stage.trace('server', 'third', await server[Symbol.asyncDispose]());
    assert.equal(stage.lane('server').filter(([event]) => event === 'close').length, 1);
  },
);

scenario('Symbol.asyncDispose waits for the connections', async (stage) => {
  const { server, client } = await pair(stage);
  const disposed = server[Symbol.asyncDispose]().then(() => stage.trace('server', 'disposed'));
  await stage.settled();
  assert.deepEqual(stage.lane('server'), []);
  client.end();
  await disposed;
});

scenario(
  'a closed server can listen again: at the same address, at another, and 20 times',
  async (stage) => {
    const addresses = [stage.address(), stage.address()];
    const server = stage.net.createServer((peer) => {
      discard(stage, peer);
      peer.end('hello');
    });
    stage.watch(server, 'server', ['listening', 'error', 'close']);
    stage.defer(() => closeServer(server));
    for (let round = 0; round < 20; round += 1) {
      const address = addresses[(round >> 1) % 2] ?? '';
      await listening(server, address);
      assert.equal(server.address(), address);
      const client = stage.net.connect(address);
      discard(stage, client);
      assert.equal((await received(client)).toString(), 'hello');
      await closeServer(server);
    }
  },
  { over: bothFamilies },
);

scenario("listening again inside 'close'", async (stage) => {
  const path = stage.path();
  const server = watchedServer(stage);
  await listening(server, path);
  server.once('close', () => {
    server.listen(path, () => stage.trace('server', 'callback of the second listen'));
    stage.trace('server', 'in close', server.listening, existsSync(path));
  });
  const again = new Promise<void>((resolve) =>
    server.once('close', () => server.once('listening', resolve)),
  );
  server.close();
  await again;
  const client = watchedClient(stage, path);
  await happens(client, 'connect');
});

scenario("listening again right after close(), before its 'close'", async (stage) => {
  const [first, second] = [stage.path(), stage.path()];
  const server = watchedServer(stage);
  await listening(server, first);
  const closed = happens(server, 'close');
  const again = happens(server, 'listening');
  server.close((error) => stage.trace('server', 'callback of close', error));
  server.listen(second, () => stage.trace('server', 'callback of listen'));
  stage.trace('server', 'returned', server.listening, existsSync(first), existsSync(second));
  await Promise.all([closed, again]);
  await stage.settled();
  assert.equal(server.listening, true);
});

scenario('listening again at once at the same path', async (stage) => {
  const path = stage.path();
  const server = watchedServer(stage);
  await listening(server, path);
  const again = happens(server, 'listening');
  server.close();
  server.listen(path);
  stage.trace('server', 'returned', server.listening, existsSync(path));
  await again;
  await stage.settled();
  const client = watchedClient(stage, path);
  await happens(client, 'connect');
});

scenario('listening again while an old connection is still open', async (stage) => {
  const { server, client, peer } = await pair(stage);
  stage.watch(server, 'server', ['listening', 'error', 'close']);
  const second = stage.path();
  server.close();
  await listening(server, second);
  client.end();
  peer.resume();
  await happens(peer, 'close');
  await stage.settled();
  const closed = happens(server, 'close');
  server.close((error) => stage.trace('server', 'callback', error));
  await closed;
});

scenario(
  'connections that wait in the backlog when the server closes are told so',
  async (stage) => {
    const path = stage.path();
    const server = watchedServer(stage);
    await listening(server, path);
    const client = watchedClient(stage, path);
    const closed = happens(client, 'close');
    server.close();
    await closed;
    await stage.settled();
    assert.equal(stage.lane('client').at(-1)?.[0], 'close');
    assert.equal(
      stage.lane('server').some(([event]) => event === 'connection'),
      false,
    );
  },
);

scenario('a file that is gone already is no error', async (stage) => {
  const path = stage.path();
  const server = watchedServer(stage);
  await listening(server, path);
  unlinkSync(path);
  const closed = happens(server, 'close');
  server.close((error) => stage.trace('server', 'callback', error));
  await closed;
  await stage.settled();
});

scenario('a directory that is gone already is no error', async (stage) => {
  const path = stage.path();
  const server = watchedServer(stage);
  await listening(server, path);
  rmSync(dirname(path), { recursive: true });
  const closed = happens(server, 'close');
  server.close((error) => stage.trace('server', 'callback', error));
  await closed;
  await stage.settled();
});

scenario('a file that was renamed stays, and is reachable until close()', async (stage) => {
  const path = stage.path();
  const server = watchedServer(stage);
  await listening(server, path);
  renameSync(path, `${path}.renamed`);
  const client = watchedClient(stage, `${path}.renamed`);
  await happens(client, 'connect');
  client.destroy();
  stage.trace('server', 'address', server.address());
  const closed = happens(server, 'close');
  server.close();
  await closed;
  assert.equal(lstatSync(`${path}.renamed`).isSocket(), true);
});

/** net removes whatever is at its path; afunix only the socket that it put there. */
const removesStrangers = (stage: Stage): boolean => stage.implementation === 'node:net';

scenario('close() and a file that took the place of the socket', async (stage) => {
  const path = stage.path();
  const server = watchedServer(stage);
  await listening(server, path);
  unlinkSync(path);
  writeFileSync(path, 'somebody else');
  const closed = happens(server, 'close');
  server.close();
  await closed;
  assert.equal(existsSync(path), !removesStrangers(stage));
});

scenario('close() and another server that took over the path', async (stage) => {
  const path = stage.path();
  const old = watchedServer(stage, 'old');
  await listening(old, path);
  unlinkSync(path);
  const successor = await listen(stage, path);
  await closeServer(old);
  assert.equal(successor.listening, true);
  assert.equal(existsSync(path), !removesStrangers(stage));
  if (removesStrangers(stage)) return;
  const client = stage.net.connect(path);
  discard(stage, client);
  await happens(client, 'connect');
});

scenario('a failed listen() never removes the file that was in its way', async (stage) => {
  const path = stage.path();
  writeFileSync(path, 'precious');
  const server = watchedServer(stage);
  const failed = happens(server, 'error');
  server.listen(path);
  await failed;
  const closed = happens(server, 'close');
  server.close((error) => stage.trace('server', 'callback', error));
  await closed;
  await stage.settled();
  assert.equal(existsSync(path), true);
});

scenario('the file of one server stays when another closes', async (stage) => {
  const paths = [stage.path(), stage.path(), stage.path()];
  const servers = paths.map((_, index) => watchedServer(stage, `server ${index}`));
  for (const [index, server] of servers.entries()) await listening(server, paths[index] ?? '');
  for (const [index, server] of servers.entries()) {
    await closeServer(server);
    assert.deepEqual(
      paths.map((path) => existsSync(path)),
      paths.map((_, other) => other > index),
    );
  }
});

scenario(
  'close() reaches also a server that its own listener removed others from',
  async (stage) => {
    const server = watchedServer(stage);
    await listening(server, stage.path());
    server.removeAllListeners();
    let closed = 0;
    server.on('close', () => (closed += 1));
    await closeServer(server);
    stage.trace('server', 'closed', closed);
    assert.equal(closed, 1);
  },
);

scenario(
  "an exception in a 'close' listener is uncaught once, and the process goes on",
  async (stage) => {
    const partner = startPartner(stage, { path: stage.path() }, ({ net, parameters, tell }) => {
      process.on('uncaughtException', (error) => {
        tell('uncaught', error.message);
        net.createServer().listen(parameters.path, function (this: Server) {
          tell('listening again');
          this.close();
        });
      });
      const server = net.createServer();
      server.on('close', () => {
        throw new Error('thrown on purpose');
      });
      server.listen(parameters.path, () => server.close());
    });
    for (const happening of await partner.everything()) stage.trace('child', ...happening);
    assert.deepEqual(stage.lane('child'), [['uncaught', 'thrown on purpose'], ['listening again']]);
  },
);

const endings: Record<string, string> = {
  'process.exit()': 'exit',
  'an uncaught exception': 'throw',
  'nothing left to do': 'unref',
  SIGKILL: 'SIGKILL',
  SIGTERM: 'SIGTERM',
};

for (const [what, how] of Object.entries(endings)) {
  scenario(`whether ${what} leaves the file of a listening server`, async (stage) => {
    const path = stage.path();
    const partner = startPartner(stage, { path, how }, ({ net, parameters, tell }) => {
      const server = net.createServer();
      server.listen(parameters.path, () => {
        tell('listening');
        if (parameters.how === 'exit') process.exit(7);
        if (parameters.how === 'throw') throw new Error('thrown on purpose');
        if (parameters.how === 'unref') server.unref();
        else process.kill(process.pid, parameters.how);
      });
    });
    const { code, signal } = await partner.ended;
    stage.trace('child', code, signal);
    stage.trace('file', 'is still there', existsSync(path));
    assert.deepEqual(await partner.told('listening'), []);
  });
}
