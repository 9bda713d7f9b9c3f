/** What the page "Net" of Node's documentation shows, over a path. */
import { existsSync } from 'node:fs';
import { documented } from './stage';

documented('server.address() is the path, and null before and after', ({ net, path, say }) => {
  const server = net.createServer((socket) => {
    socket.end('goodbye\n');
  });
  server.on('error', (error) => {
    throw error;
  });
  say('server', server.address());
  const returned = server.listen(path(), () => {
    say('server', 'opened server on', server.address(), server.listening);
    const client = net.connect(path());
    client.setEncoding('utf8');
    client.on('data', (text) => say('client', text));
    client.on('end', () => say('client', 'end'));
    client.on('close', (hadError) => {
      say('client', 'close', hadError);
      server.close((error) => say('server', 'closed', error, server.address(), existsSync(path())));
    });
  });
  say('server', returned === server, server.listening);
});

documented('server.listen() again after EADDRINUSE', ({ net, path, say }) => {
  const holder = net.createServer();
  holder.listen(path(), () => {
    const server = net.createServer((socket) => socket.end('at last'));
    let tries = 0;
    server.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') throw error;
      tries += 1;
      say('server', error.code, error.syscall, error.message);
      if (tries === 2) holder.close();
      setTimeout(() => {
        server.close((closing) => say('server', (closing as NodeJS.ErrnoException).code));
        server.listen(path());
      }, 20);
    });
    server.on('listening', () => {
      say('server', 'listening', tries);
      net
        .connect(path())
        .setEncoding('utf8')
        .on('data', (text) => say('client', text))
        .on('close', () => server.close());
    });
    server.listen(path());
  });
});

documented('server.listen({ signal }) closes when it is aborted', ({ net, path, say }) => {
  const controller = new AbortController();
  const server = net.createServer((socket) => {
    socket.end();
    controller.abort();
    say('server', server.listening);
  });
  server.listen({ path: path(), signal: controller.signal });
  server.on('listening', () => {
    say('server', 'listening');
    net.connect(path()).resume();
  });
  server.on('close', () => say('server', 'close', existsSync(path())));
});

documented('server.listen({ readableAll, writableAll })', async ({ net, path, say }) => {
  const { statSync } = await import('node:fs');
  process.umask(0o077);
  for (const [name, options] of Object.entries({
    neither: {},
    readable: { readableAll: true },
    writable: { writableAll: true },
    both: { readableAll: true, writableAll: true },
  })) {
    const server = net.createServer((socket) => socket.end());
    await new Promise<void>((resolve) => server.listen({ path: path(name), ...options }, resolve));
    say('server', name, (statSync(path(name)).mode & 0o777).toString(8));
    await new Promise((resolve) => net.connect(path(name)).resume().on('close', resolve));
    server.close();
  }
});

documented('net.createServer(): an echo server', ({ net, path, say }) => {
  const server = net.createServer((connection) => {
    // 'connection' listener.
    say('server', 'client connected');
    connection.on('end', () => say('server', 'client disconnected'));
    connection.write('hello\r\n');
    connection.pipe(connection);
  });
  server.listen(path(), () => {
    say('server', 'server bound');
    const client = net.createConnection({ path: path() }, () => {
      // 'connect' listener.
      say('client', 'connected to server!', client.remoteAddress, client.address());
      client.write('world!\r\n');
    });
    let text = '';
    client.on('data', (data) => {
      text += data.toString();
      if (text.endsWith('world!\r\n')) client.end();
    });
    client.on('end', () => {
      say('client', text, 'disconnected from server');
      server.close(() => say('server', 'close'));
    });
  });
});

documented('net.connect({ onread }) reads into one buffer', ({ net, path, say }) => {
  const server = net.createServer((socket) => socket.end('a piece of text that is longer than it'));
  server.listen(path(), () => {
    const buffers = new Set<unknown>();
    let text = '';
    const client = net.connect({
      path: path(),
      onread: {
        // Reuses a 4KiB Buffer for every read from the socket.
        buffer: Buffer.alloc(16),
        // As the documentation types it: a boolean, or nothing.
        callback: ((nread: number, buffer: Buffer) => {
          buffers.add(buffer);
          text += buffer.toString('utf8', 0, nread);
        }) as never,
      },
    });
    client.on('data', () => say('client', 'data'));
    client.on('end', () => say('client', 'end', text, buffers.size, client.bytesRead));
    client.on('close', () => server.close());
  });
});

documented(
  'net.connect({ onread }) with a function that makes buffers, and false',
  ({ net, path, say }) => {
    const server = net.createServer((socket) => socket.end('0123456789abcdefghij'));
    server.listen(path(), () => {
      let made = 0;
      const client = net.connect({
        path: path(),
        onread: {
          buffer: () => {
            made += 1;
            return new Uint8Array(4);
          },
          callback: (nread, buffer) => {
            say('client', Buffer.from(buffer).toString('utf8', 0, nread));
            if (client.bytesRead !== 8) return true;
            setTimeout(() => client.resume(), 10);
            return false;
          },
        },
      });
      client.on('close', () => {
        say('client', 'close', made >= 5, client.bytesRead);
        server.close();
      });
    });
  },
);

documented(
  'socket.setTimeout(): idle sockets are ended by their listener',
  ({ net, path, say }) => {
    const server = net.createServer((socket) => {
      socket.setTimeout(30);
      socket.on('timeout', () => {
        say('server', 'socket timeout', socket.timeout);
        socket.end();
      });
    });
    server.listen(path(), () => {
      net
        .connect(path())
        .resume()
        .on('end', () => say('client', 'end'))
        .on('close', () => server.close());
    });
  },
);

documented('socket.setTimeout(time, callback), and 0 takes it away', ({ net, path, say }) => {
  const server = net.createServer((socket) => socket.pipe(socket));
  server.listen(path(), () => {
    const client = net.connect(path(), () => {
      const once = client.setTimeout(10, () => {
        say('client', 'timeout', client.listenerCount('timeout'));
        client.setTimeout(0);
        setTimeout(() => client.end(), 30);
      });
      say('client', once === client, client.listenerCount('timeout'));
    });
    client.resume().on('close', () => server.close());
  });
});

documented("server.maxConnections and 'drop'", ({ net, path, say }) => {
  const server = net.createServer((socket) => {
    say('server', 'connection');
    socket.resume();
  });
  server.maxConnections = 1;
  server.on('drop', (data) => {
    say('server', 'drop', data);
    first.end();
  });
  let first: import('node:net').Socket;
  server.listen(path(), () => {
    first = net.connect(path(), () => {
      server.getConnections((error, count) => {
        say('server', error, count);
        net
          .connect(path())
          .resume()
          .on('error', (dropped) => say('dropped', dropped))
          .on('close', (hadError) => say('dropped', 'close', hadError));
      });
    });
    first.resume().on('close', () => server.close(() => say('server', 'close')));
  });
});

documented('server.close() waits for its connections', ({ net, path, say }) => {
  const server = net.createServer((socket) => {
    server.close((error) => say('server', 'closed', error));
    say('server', server.listening, server.address());
    net.connect(path()).on('error', (error: NodeJS.ErrnoException) => {
      say('late', error.code, error.syscall, error.message);
      socket.end('bye');
    });
  });
  server.on('close', () => say('server', 'close'));
  server.listen(path(), () => {
    net
      .connect(path())
      .setEncoding('utf8')
      .on('data', (text) => say('client', text))
      .on('close', () => {
        say('client', 'close');
        setTimeout(() => {
          server.close((error) => say('again', (error as NodeJS.ErrnoException).code));
        }, 20);
      });
  });
});

documented('server.unref() and socket.unref() let the process end', ({ net, path, say }) => {
  const server = net.createServer((socket) => socket.unref());
  server.unref().listen(path(), () => {
    say('server', 'listening');
    const client = net.connect(path(), () => {
      say('client', 'connect', client.unref() === client);
    });
  });
  process.on('exit', (code) => say('process', 'exit', code));
  // Something else keeps it until then.
  setTimeout(() => undefined, 100);
});

documented('socket.readyState, pending, connecting, destroyed', ({ net, path, say }) => {
  const server = net.createServer((socket) => {
    say('server', socket.readyState, socket.pending, socket.connecting);
    socket.end();
    say('server', socket.readyState);
    socket.resume().on('close', () => say('server', socket.readyState, socket.destroyed));
  });
  server.listen(path(), () => {
    const client = new net.Socket();
    const state = (): void =>
      say('client', client.readyState, client.pending, client.connecting, client.destroyed);
    state();
    client.connect(path(), state);
    state();
    client.on('ready', state);
    client.resume().on('close', () => {
      state();
      server.close();
    });
  });
});

documented('socket.write(): encodings, callbacks, and drain', ({ net, path, say }) => {
  const server = net.createServer((socket) => {
    let length = 0;
    socket.on('data', (chunk) => (length += chunk.length));
    socket.on('end', () => {
      say('server', 'end', length);
      socket.end();
    });
  });
  server.listen(path(), () => {
    const client = net.connect(path());
    client.on('connect', () => {
      say(
        'client',
        client.write('e282ac', 'hex', () => say('client', 'hex written')),
      );
      say(
        'client',
        client.write('4oKs', 'base64'),
        client.write('€', () => say('client', 'utf8 written')),
      );
      const large = client.write(Buffer.alloc(4_000_000, 'x'));
      say('client', large, client.writableNeedDrain, client.bytesWritten);
      client.on('drain', () => {
        say('client', 'drain', client.writableLength, client.bufferSize);
        client.end('the end', 'latin1', () => say('client', 'finished', client.bytesWritten));
      });
    });
    client.resume().on('close', (hadError) => {
      say('client', 'close', hadError);
      server.close();
    });
  });
});

documented('allowHalfOpen: the other half goes on', ({ net, path, say }) => {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    let text = '';
    socket.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    socket.on('end', () => {
      say('server', 'end', text, socket.writable, socket.readyState);
      socket.write('still here, ');
      setTimeout(() => socket.end('and now gone'), 10);
    });
    socket.on('close', (hadError) => say('server', 'close', hadError));
  });
  server.listen(path(), () => {
    const client = net.connect({ path: path(), allowHalfOpen: true });
    let text = '';
    client.end('question');
    client.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    client.on('end', () => say('client', 'end', text, client.readyState));
    client.on('close', () => server.close());
  });
});

documented('pauseOnConnect: a connection that is read later', ({ net, path, say }) => {
  const server = net.createServer({ pauseOnConnect: true }, (socket) => {
    say('server', socket.isPaused(), socket.readableFlowing);
    socket.on('data', (data) => say('server', data.toString()));
    socket.on('end', () => say('server', 'end'));
    setTimeout(() => {
      say('server', 'resume');
      socket.resume();
    }, 20);
  });
  server.listen(path(), () => {
    const client = net.connect(path(), () => client.end('kept meanwhile'));
    client.resume().on('close', () => server.close());
  });
});

documented('socket.pause() and resume() throttle an upload', ({ net, path, say }) => {
  const server = net.createServer((socket) => {
    let length = 0;
    socket.on('data', (chunk) => {
      length += chunk.length;
      socket.pause();
      setImmediate(() => socket.resume());
    });
    socket.on('end', () => say('server', 'end', length));
  });
  server.listen(path(), () => {
    const client = net.connect(path());
    client.end(Buffer.alloc(500_000));
    client.resume().on('close', () => server.close());
  });
});

documented('socket.destroySoon() and resetAndDestroy()', ({ net, path, say }) => {
  const server = net.createServer((socket) => {
    socket.write('written before');
    socket.destroySoon();
    socket.on('finish', () => say('server', 'finish'));
    socket.on('close', (hadError) => say('server', 'close', hadError));
  });
  server.listen(path(), () => {
    const client = net.connect(path());
    client.on('data', (data) => say('client', data.toString()));
    client.on('close', () => {
      say('client', 'close');
      const other = net.connect(path(), () => {
        try {
          other.resetAndDestroy();
        } catch (error) {
          say('other', (error as NodeJS.ErrnoException).code, (error as Error).message);
        }
      });
      other.resume().on('error', (error: NodeJS.ErrnoException) => say('other', error.code));
      other.on('close', () => server.close());
    });
  });
});

documented('an error in connecting: the order of its events', ({ net, path, say }) => {
  const server = net.createServer();
  const client = net.connect(path('nobody'));
  for (const event of ['lookup', 'connect', 'ready', 'end', 'timeout'] as const) {
    client.on(event, (...values) => say('client', event, ...(values as unknown[])));
  }
  client.on('error', (error: NodeJS.ErrnoException & { address?: string }) => {
    say('client', error.code, error.errno, error.syscall, error.address, error.message);
  });
  client.resume();
  client.once('close', (hadError) => {
    say('client', 'close', hadError);
    server.listen(path(), () => client.connect(path(), () => client.end()));
    server.on('connection', (socket) => {
      say('server', 'connection');
      socket.resume();
      server.close();
    });
  });
});

documented('net.createConnection({ signal })', ({ net, path, say }) => {
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined).resume();
    socket.on('close', () => server.close());
  });
  server.listen(path(), () => {
    const controller = new AbortController();
    const client = net.createConnection({ path: path(), signal: controller.signal });
    client.on('connect', () => controller.abort());
    client.on('error', (error: NodeJS.ErrnoException) => say('client', error.name, error.code));
    client.on('close', (hadError) => say('client', 'close', hadError));
  });
});

documented('a server and a socket are disposed of', async ({ net, path, say }) => {
  const server = net.createServer((socket) => socket.resume());
  await new Promise<void>((resolve) => server.listen(path(), resolve));
  const client = net.connect(path());
  await new Promise((resolve) => client.on('connect', resolve));
  client.end();
  client.resume();
  await server[Symbol.asyncDispose]();
  say('server', server.listening);
});

documented(
  'net.Socket({ fd }) writes to a descriptor of a pipe that was inherited',
  async ({ net, path, say }) => {
    // Something of ours, so that there is something to compare.
    const server = net.createServer((socket) => socket.end('x'));
    await new Promise<void>((resolve) => server.listen(path(), resolve));
    await new Promise((resolve) => net.connect(path()).resume().on('close', resolve));
    server.close();
    const { spawn } = await import('node:child_process');
    const child = spawn('cat', [], { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdout.setEncoding('utf8').on('data', (text) => say('child', text));
    child.stdin.end('through a pipe');
    child.on('close', (code) => say('child', code));
  },
);

documented('the other halves of the page: BlockList, SocketAddress, isIP', ({ net, path, say }) => {
  const blockList = new net.BlockList();
  blockList.addAddress('123.123.123.123');
  blockList.addRange('10.0.0.1', '10.0.0.10');
  blockList.addSubnet('8592:757c:efae:4e45::', 64, 'ipv6');
  say('list', blockList.check('123.123.123.123'), blockList.check('10.0.0.3'));
  say('list', blockList.check('222.111.111.222'), blockList.check('::ffff:7b7b:7b7b', 'ipv6'));
  say('ip', net.isIP('::1'), net.isIP('127.000.000.001'), net.isIPv4('127.0.0.1'), net.isIPv6('x'));
  say('address', new net.SocketAddress({ address: '1.2.3.4', port: 5 }).port);
  // A list of addresses has nothing to say of paths.
  const server = net.createServer((socket) => socket.end());
  server.listen(path(), () => {
    const options = { path: path(), blockList };
    net
      .connect(options)
      .resume()
      .on('close', (hadError) => {
        say('client', hadError);
        server.close();
      });
  });
});
