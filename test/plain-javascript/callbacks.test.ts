/** Callbacks and listeners as plain JavaScript writes them: they return anything, are given twice, and call what called them. */
import type { Server, Socket } from 'node:net';
import { scenario, type Stage } from '../conformance/scenario';
import { attempt, callWith } from '../helpers/attempt';
import { booleans, plainValues } from '../helpers/plain-values';
import { closeServer, discard, happens, pair, tolerate } from '../helpers/sockets';

const lifeEvents = ['data', 'end', 'finish', 'drain', 'timeout', 'error', 'close'] as const;

/** A conversation in which every callback that there is returns what `answer` returns. */
async function converse(stage: Stage, answer: () => unknown): Promise<void> {
  const { net } = stage;
  const address = stage.address();
  const calling =
    (lane: string, what: string) =>
    (...args: unknown[]): unknown => {
      stage.trace(lane, what, ...args);
      return answer();
    };
  const server = callWith(net, 'createServer', (peer: Socket): unknown => {
    discard(stage, peer);
    for (const event of lifeEvents) peer.on(event, calling('peer', event));
    callWith(peer, 'write', 'hello', calling('peer', 'written'));
    callWith(peer, 'setTimeout', 60_000, calling('peer', 'timed out'));
    return answer();
  }) as Server;
  stage.defer(() => closeServer(server));
  server.on('listening', calling('server', 'listening'));
  callWith(server, 'listen', address, calling('server', 'called back'));
  await happens(server, 'listening');
  const client = callWith(net, 'connect', address, calling('client', 'connected')) as Socket;
  discard(stage, client);
  for (const event of lifeEvents) client.on(event, calling('client', event));
  await happens(client, 'data');
  await new Promise<void>((resolve) => {
    callWith(server, 'getConnections', (...args: unknown[]): unknown => {
      stage.trace('server', 'connections', ...args);
      resolve();
      return answer();
    });
  });
  callWith(client, 'end', 'bye', calling('client', 'ended'));
  await happens(client, 'close');
  callWith(server, 'close', calling('server', 'closed'));
  await stage.settled();
}

for (const { name, value } of [...plainValues, ...booleans]) {
  scenario(`callbacks that return ${name}`, async (stage) => converse(stage, () => value));
}

/** Methods that take a callback, and what is called in it. */
const inside: Record<string, (stage: Stage, client: Socket, server: Server) => unknown> = {
  'write() in the callback of write()': (stage, client) =>
    client.write('one', () => {
      stage.trace('client', 'one', client.writableLength, client.write('two'));
      client.end();
    }),
  'end() in the callback of write()': (stage, client) =>
    client.write('one', () => {
      stage.trace('client', client.end('two') === client, client.writableEnded);
    }),
  'end(callback) in the callback of end()': (stage, client) =>
    client.end('one', () => {
      client.end((...args: unknown[]) => stage.trace('client', 'again', ...args));
    }),
  'end(callback) twice': (stage, client) => {
    client.end('one', (...args: unknown[]) => stage.trace('client', 'first', ...args));
    client.end((...args: unknown[]) => stage.trace('client', 'second', ...args));
  },
  'end(chunk) twice': (stage, client) => {
    client.on('error', () => undefined);
    client.end('one', (...args: unknown[]) => stage.trace('client', 'first', ...args));
    client.end('two', (...args: unknown[]) => stage.trace('client', 'second', ...args));
  },
  'destroy() in the callback of write()': (stage, client) =>
    client.write('one', () => {
      stage.trace('client', client.destroy() === client, client.destroyed);
    }),
  'destroy() twice, with an error the second time': (stage, client) => {
    client.destroy();
    stage.trace('client', client.destroy(new Error('late')) === client);
  },
  'destroy(error) in the callback of end()': (_stage, client) => {
    client.on('error', () => undefined);
    client.end(() => client.destroy(new Error('in the callback')));
  },
  'setTimeout() in its own callback': (stage, client) => {
    client.setTimeout(1, () => {
      stage.trace('client', 'idle', client.listenerCount('timeout'));
      client.setTimeout(0, () => stage.trace('client', 'never'));
      client.end();
    });
  },
  'setTimeout() with two callbacks': (stage, client) => {
    client.setTimeout(1, () => stage.trace('client', 'first'));
    client.setTimeout(1, () => {
      stage.trace('client', 'second');
      client.end();
    });
  },
  'pause() in data, and resume() in a tick': (_stage, client) => {
    client.on('data', () => {
      client.pause();
      process.nextTick(() => client.resume());
    });
    client.end('echo this');
  },
  'cork() twice and uncork() thrice': (stage, client) => {
    client.cork();
    client.cork();
    client.write('one');
    client.uncork();
    stage.trace('client', client.writableCorked, client.writableLength);
    client.uncork();
    client.uncork();
    stage.trace('client', client.writableCorked, client.writableLength);
    client.end();
  },
  'connect() in the callback of end()': (stage, client, server) => {
    client.end(() => {
      const thrown = attempt(() => client.connect(String(server.address())));
      stage.trace('client', thrown, client.connecting);
    });
  },
  'the same listener twice for connect': (stage, client, server) => {
    client.destroy();
    client.once('close', () => {
      const listener = (): void => stage.trace('client', 'connected');
      client.connect(String(server.address()), listener);
      client.once('connect', listener);
      client.once('connect', () => client.end());
    });
  },
  'getConnections() in its own callback': (stage, client, server) => {
    server.getConnections((_, first) => {
      server.getConnections((__, second) => {
        stage.trace('server', first, second);
        client.end();
      });
    });
  },
  'close() in the callback of close()': (stage, client, server) => {
    server.close((...args) => {
      stage.trace('server', 'closed', ...args);
      server.close((...late) => stage.trace('server', 'again', ...late));
    });
    client.end();
  },
  'close() three times': (stage, client, server) => {
    for (const which of ['first', 'second', 'third']) {
      server.close((...args) => stage.trace('server', which, ...args));
    }
    client.end();
  },
  'listen() in the callback of close()': (stage, client, server) => {
    const address = String(server.address());
    server.close(() => {
      stage.trace(
        'server',
        server.listening,
        attempt(() => server.listen(address)),
      );
      server.once('listening', () => stage.trace('server', 'listens again'));
    });
    client.end();
  },
  'listen() twice': (stage, client, server) => {
    stage.trace(
      'server',
      attempt(() => server.listen(String(server.address()))),
    );
    client.end();
  },
  'ref() and unref() more than once': (stage, client, server) => {
    stage.trace('client', client.unref().unref().ref().ref() === client);
    stage.trace('server', server.unref().unref().ref() === server);
    client.end();
  },
};

for (const [name, act] of Object.entries(inside)) {
  scenario(name, async (stage) => {
    const { client, peer, server } = await pair(stage);
    tolerate(peer);
    peer.pipe(peer);
    stage.watch(client, 'client', lifeEvents);
    stage.watch(peer, 'peer', ['end', 'finish', 'close']);
    act(stage, client, server);
    await stage.settled();
    stage.trace('client', client.destroyed, client.bytesWritten, client.readyState);
  });
}

for (const [what, act] of Object.entries<(client: Socket, fail: () => never) => unknown>({
  'the callback of write()': (client, fail) => client.write('x', fail),
  'the callback of end()': (client, fail) => client.end('x', fail),
  "'data'": (client, fail) => client.once('data', fail).write('x'),
  "'end'": (client, fail) => client.once('end', fail).end(),
  "'finish'": (client, fail) => client.once('finish', fail).end(),
  "'close'": (client, fail) => client.once('close', fail).destroy(),
  "'timeout'": (client, fail) => client.setTimeout(1, fail),
  'the callback of destroy()': (client, fail) =>
    client.once('error', fail).destroy(new Error('on purpose')),
})) {
  scenario(`an exception in ${what}`, async (stage) => {
    const { client, peer } = await pair(stage);
    tolerate(peer);
    peer.pipe(peer);
    const caught = (error: unknown): void => stage.trace('process', error);
    // The runner's own have no part in it.
    const others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', caught);
    stage.watch(client, 'client', ['end', 'finish', 'close']);
    client.resume();
    act(client, () => {
      throw new Error(`thrown in ${what}`);
    });
    await stage.settled();
    client.end();
    await stage.settled();
    process.off('uncaughtException', caught);
    for (const other of others) process.on('uncaughtException', other);
    stage.trace('client', client.destroyed, client.writableFinished, client.readableEnded);
  });
}
