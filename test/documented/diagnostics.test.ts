/** What the pages "Diagnostics channel", "Async hooks" and "Errors" of Node's documentation show of sockets, over a path. */
import { AsyncLocalStorage, AsyncResource, createHook, executionAsyncId } from 'node:async_hooks';
import diagnostics from 'node:diagnostics_channel';
import { once } from 'node:events';
import http from 'node:http';
import type { Server, Socket } from 'node:net';
import { documented } from './stage';

documented('net.client.socket and net.server.socket', ({ net, path, say }) => {
  diagnostics.subscribe('net.client.socket', (message) => {
    const { socket } = message as { socket: Socket };
    say(
      'channel',
      'client',
      socket instanceof net.Socket,
      socket.connecting,
      Object.keys(message as object),
    );
  });
  diagnostics.subscribe('net.server.socket', (message) => {
    const { socket } = message as { socket: Socket };
    say('channel', 'server', socket instanceof net.Socket, Object.keys(message as object));
  });
  const server = net.createServer((socket) => socket.end());
  server.listen(path(), () => {
    net
      .connect(path())
      .resume()
      .on('close', () => server.close());
  });
});

documented('tracing:net.server.listen', ({ net, path, say }) => {
  for (const event of ['asyncStart', 'asyncEnd', 'error']) {
    diagnostics.subscribe(`tracing:net.server.listen:${event}`, (message) => {
      const { server, error } = message as { server: Server; error?: NodeJS.ErrnoException };
      say('channel', event, server.listening, error?.code, Object.keys(message as object).sort());
    });
  }
  const server = net.createServer((socket) => socket.end());
  server.listen(path(), () => {
    say('server', 'listening');
    const second = net.createServer();
    second.on('error', (error: NodeJS.ErrnoException) => {
      say('server', error.code);
      net
        .connect(path())
        .resume()
        .on('close', () => server.close());
    });
    second.listen(path());
  });
});

documented('http.client and http.server channels', ({ listen, path, request, say }) => {
  for (const name of [
    'http.client.request.created',
    'http.client.request.start',
    'http.client.response.finish',
    'http.server.request.start',
    'http.server.response.created',
    'http.server.response.finish',
  ]) {
    diagnostics.subscribe(name, (message) => {
      say(name, Object.keys(message as object).sort());
    });
  }
  const server = http.createServer((_req, res) => res.end('x'));
  listen(server, path(), () => {
    request({ socketPath: path() }, (res) => {
      res.resume().on('end', () => server.close());
    }).end();
  });
});

documented('AsyncLocalStorage goes along', ({ listen, net, path, request, say }) => {
  const storage = new AsyncLocalStorage<number>();
  let id = 0;
  const server = http.createServer((_req, res) => {
    storage.run((id += 1), () => {
      say('server', 'start', storage.getStore());
      setImmediate(() => {
        say('server', 'finish', storage.getStore());
        res.end();
      });
    });
  });
  listen(server, path(), () => {
    storage.run(100, () => {
      const client = net.connect(path());
      client.on('connect', () => say('client', 'connect', storage.getStore()));
      client.on('close', () => say('client', 'close', storage.getStore()));
      storage.run(200, () => client.end(() => say('client', 'ended', storage.getStore())));
      client.resume();
    });
    storage.run(300, () => {
      request({ socketPath: path() }, (res) => {
        say('request', storage.getStore());
        res.resume().on('end', () => {
          say('request', 'end', storage.getStore());
          server.close();
        });
      }).end();
    });
  });
});

documented('AsyncResource: each connection has its own', ({ net, path, say }) => {
  const server = net.createServer((socket) => {
    const resource = new AsyncResource('CONNECTION');
    socket.on('data', (data) => {
      resource.runInAsyncScope(() => {
        say('server', data.toString(), executionAsyncId() === resource.asyncId());
      });
    });
    socket.on('close', () => {
      resource.emitDestroy();
      server.close();
    });
  });
  server.listen(path(), () => net.connect(path()).end('one').resume());
});

documented('createHook() sees who brings a connection about', ({ net, path, say }) => {
  let inits = 0;
  const hook = createHook({ init: () => void (inits += 1) }).enable();
  const server = net.createServer((socket) => {
    say('server', executionAsyncId() > 0);
    socket.end();
  });
  server.listen(path(), () => {
    net
      .connect(path())
      .resume()
      .on('close', () => {
        hook.disable();
        say('hook', inits > 0);
        server.close();
      });
  });
});

documented('once() and an error in its place', async ({ net, path, say }) => {
  const server = net.createServer((socket) => socket.end());
  await once(server.listen(path()), 'listening');
  const client = net.connect(path());
  say('client', await once(client, 'connect'));
  client.resume();
  say('client', await once(client, 'close'));
  server.close();
  try {
    await once(net.connect(path('nobody')), 'connect');
  } catch (error) {
    say('nobody', (error as NodeJS.ErrnoException).code, (error as Error).message);
  }
});

documented('an error that nobody listens for is an uncaught exception', ({ net, path, say }) => {
  const server = net.createServer((socket) => socket.end());
  process.on('uncaughtException', (error: NodeJS.ErrnoException, origin) => {
    say('process', error.code, error.message, origin);
    net
      .connect(path())
      .resume()
      .on('close', () => server.close());
  });
  server.listen(path(), () => net.connect(path('nobody')));
});

documented(
  'an exception in a connection listener leaves the server as it is',
  ({ net, path, say }) => {
    let connections = 0;
    const server = net.createServer((socket) => {
      connections += 1;
      socket.end(`${connections}`);
      if (connections === 1) throw new Error('in a listener');
    });
    process.on('uncaughtException', (error) => say('process', error.message));
    server.listen(path(), () => {
      const ask = (left: number): void => {
        const client = net.connect(path());
        client.on('data', (data) => say('client', data.toString()));
        client.on('close', () => {
          if (left > 1) ask(left - 1);
          else server.close();
        });
      };
      ask(3);
    });
  },
);
