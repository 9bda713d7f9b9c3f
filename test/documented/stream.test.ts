/** What the page "Stream" of Node's documentation shows of sockets and of what runs on them. */
import http from 'node:http';
import stream, { Duplex, PassThrough, Readable, Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { text } from 'node:stream/consumers';
import { StringDecoder } from 'node:string_decoder';
import { createGzip, gunzipSync } from 'node:zlib';
import { documented } from './stage';

documented('a server that parses JSON', ({ listen, path, request, say }) => {
  const server = http.createServer((req, res) => {
    let body = '';
    req.setEncoding('utf8');
    req.on('data', (chunk: string) => (body += chunk));
    req.on('end', () => {
      try {
        const data = JSON.parse(body) as unknown;
        res.write(typeof data);
        res.end();
      } catch {
        res.statusCode = 400;
        res.end('error: not JSON');
      }
    });
  });
  const bodies = ['{}', '"foo"', 'not json', '[€'];
  const next = (): void => {
    const body = bodies.shift();
    if (body === undefined) {
      server.close();
      return;
    }
    const req = request({ socketPath: path(), method: 'POST' }, (res) => {
      void text(res).then((answer) => {
        say('client', body, res.statusCode, answer);
        next();
      });
    });
    req.end(body);
  };
  listen(server, path(), next);
});

documented(
  'resume() discards what nobody asks for, so that the end comes',
  ({ net, path, say }) => {
    const server = net.createServer((socket) => {
      socket.on('end', () => {
        say('server', 'end');
        socket.end('The message was received but was not processed.\n');
      });
      socket.resume();
    });
    server.listen(path(), () => {
      const client = net.connect(path());
      client.end('nobody looks at it');
      void text(client).then((answer) => {
        say('client', answer);
        server.close();
      });
    });
  },
);

documented('unshift(): a header is parsed, and the rest is the body', ({ net, path, say }) => {
  const parseHeader = (
    socket: import('node:net').Socket,
    callback: (error: Error | null, header?: string) => void,
  ): void => {
    const decoder = new StringDecoder('utf8');
    let header = '';
    const onReadable = (): void => {
      for (
        let chunk = socket.read() as Buffer | null;
        chunk !== null;
        chunk = socket.read() as Buffer | null
      ) {
        const piece = decoder.write(chunk);
        if (!piece.includes('\n\n')) {
          header += piece;
          continue;
        }
        const [last = '', ...rest] = piece.split('\n\n');
        header += last;
        const left = Buffer.from(rest.join('\n\n'), 'utf8');
        socket.removeListener('error', callback);
        socket.removeListener('readable', onReadable);
        if (left.length > 0) socket.unshift(left);
        callback(null, header);
        return;
      }
    };
    socket.on('error', callback);
    socket.on('readable', onReadable);
  };
  const server = net.createServer((socket) => {
    parseHeader(socket, (error, header) => {
      say('server', error, header);
      void text(socket).then((body) => {
        say('server', body);
        server.close();
      });
    });
  });
  server.listen(path(), () => {
    const client = net.connect(path(), () => client.end('a: 1\nb: 2\n\nthe body\n\nand more'));
    client.resume();
  });
});

documented("'readable' and read(n)", ({ net, path, say }) => {
  const server = net.createServer((socket) => socket.end('abcdefghij'));
  server.listen(path(), () => {
    const client = net.connect(path());
    client.on('readable', () => {
      for (
        let piece = client.read(4) as Buffer | null;
        piece !== null;
        piece = client.read(4) as Buffer | null
      ) {
        say('client', piece.toString());
      }
    });
    client.on('end', () => {
      say('client', 'end');
      server.close();
    });
  });
});

documented('for await, and break destroys', async ({ net, path, say }) => {
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('close', () => server.close());
    socket.write('first ');
    socket.write('second');
  });
  await new Promise<void>((resolve) => server.listen(path(), resolve));
  const client = net.connect(path()).setEncoding('utf8');
  for await (const piece of client) {
    say('client', (piece as string).slice(0, 5));
    break;
  }
  say('client', client.destroyed, client.readable, client.writable);
});

documented('pipeline() through a transform and back', async ({ net, path, say }) => {
  const server = net.createServer((socket) => {
    const upper = new Transform({
      transform(chunk: Buffer, _encoding, callback) {
        callback(null, chunk.toString().toUpperCase());
      },
    });
    stream.pipeline(socket, upper, socket, (error) => say('server', error));
  });
  await new Promise<void>((resolve) => server.listen(path(), resolve));
  const client = net.connect(path());
  let answer = '';
  await pipeline(
    Readable.from(['one ', 'two ', 'three']),
    client,
    new Writable({
      write(chunk: Buffer, _encoding, callback) {
        answer += chunk.toString();
        callback();
      },
    }),
  );
  say('client', answer);
  server.close();
});

documented('pipeline() of a gzipped file of a server that ends early', ({ net, path, say }) => {
  const server = net.createServer((socket) => {
    stream.pipeline(Readable.from(Buffer.alloc(100_000, 'z')), createGzip(), socket, (error) => {
      say('server', error);
    });
  });
  server.listen(path(), () => {
    const chunks: Buffer[] = [];
    const client = net.connect(path());
    client.on('data', (chunk) => chunks.push(chunk));
    client.on('end', () => {
      say('client', gunzipSync(Buffer.concat(chunks)).length);
      server.close();
    });
  });
});

documented(
  'pipeline() destroys the socket that it was given when its source fails',
  ({ net, path, say }) => {
    const server = net.createServer((socket) => {
      const source = new Readable({ read: () => undefined });
      stream.pipeline(source, socket, (error) => {
        say('server', error?.message, socket.destroyed);
      });
      source.push('some');
      setImmediate(() => source.destroy(new Error('the disk is gone')));
      socket.on('close', (hadError) => say('server', 'close', hadError));
    });
    server.listen(path(), () => {
      const client = net.connect(path());
      client.on('error', (error: NodeJS.ErrnoException) => say('client', error.code));
      client.resume().on('close', () => server.close());
    });
  },
);

documented('finished(): a socket that was closed too early', ({ net, path, say }) => {
  const server = net.createServer((socket) => {
    stream.finished(socket, (error) => {
      say('server', error?.code);
      server.close();
    });
    socket.resume();
    socket.on('error', () => undefined);
  });
  server.listen(path(), () => {
    const client = net.connect(path(), () => {
      stream.finished(client, (error) => say('client', error?.code));
      client.destroy();
    });
  });
});

documented('Duplex.toWeb(), and a reader of it', async ({ net, path, say }) => {
  const server = net.createServer((socket) => socket.pipe(socket));
  await new Promise<void>((resolve) => server.listen(path(), resolve));
  const { readable, writable } = Duplex.toWeb(net.connect(path()));
  const writer = writable.getWriter();
  await writer.write(Buffer.from('through the web'));
  await writer.close();
  let answer = '';
  for await (const chunk of readable as AsyncIterable<Uint8Array>)
    answer += Buffer.from(chunk).toString();
  say('client', answer);
  server.close();
});

documented('cork() and uncork() in the next tick', ({ net, path, say }) => {
  const server = net.createServer((socket) => {
    void text(socket).then((all) => {
      say('server', all);
      server.close();
    });
  });
  server.listen(path(), () => {
    const client = net.connect(path(), () => {
      client.cork();
      client.write('some ');
      client.write('data ');
      say('client', client.writableCorked, client.writableLength);
      process.nextTick(() => {
        client.uncork();
        say('client', client.writableCorked, client.writableLength);
        client.end();
      });
    });
    client.resume();
  });
});

documented('writing a million times to the simplest stream', ({ net, path, say }) => {
  const server = net.createServer((socket) => {
    let length = 0;
    socket.on('data', (chunk) => (length += chunk.length));
    socket.on('end', () => {
      say('server', length);
      server.close();
    });
  });
  server.listen(path(), () => {
    const writer = net.connect(path());
    let i = 100_000;
    const write = (): void => {
      let ok = true;
      do {
        i -= 1;
        if (i === 0) writer.end('data', () => say('client', 'finished'));
        else ok = writer.write('data');
      } while (i > 0 && ok);
      if (i > 0) writer.once('drain', write);
    };
    write();
    writer.resume();
  });
});

documented('pipe() and unpipe(), and a write after the end', ({ net, path, say }) => {
  const server = net.createServer((socket) => {
    const through = new PassThrough();
    socket.pipe(through);
    say('server', through.listenerCount('unpipe'));
    through.on('unpipe', (source) => say('server', 'unpipe', source === socket));
    through.on('data', (chunk: Buffer) => {
      say('server', chunk.toString());
      socket.unpipe(through);
      socket.resume();
    });
    socket.on('end', () => server.close());
  });
  server.listen(path(), () => {
    const client = net.connect(path(), () => {
      client.end('piped');
      client.on('error', (error: NodeJS.ErrnoException) =>
        say('client', error.code, error.message),
      );
      client.write('too late', (error) => {
        say('client', error?.message);
      });
      say('client', client.writableEnded);
    });
    client.resume();
  });
});

documented('readable.map(), take() and compose() over a socket', async ({ net, path, say }) => {
  const server = net.createServer((socket) => socket.end('a\nb\nc\nd\n'));
  await new Promise<void>((resolve) => server.listen(path(), resolve));
  const client = net.connect(path()).setEncoding('utf8');
  async function* lines(source: AsyncIterable<string>): AsyncGenerator<string> {
    let rest = '';
    for await (const piece of source) {
      const parts = (rest + piece).split('\n');
      rest = parts.pop() ?? '';
      yield* parts;
    }
  }
  const composed = client.compose(lines as never) as unknown as Readable;
  say(
    'client',
    await composed
      .map((line: string) => line.toUpperCase())
      .take(3)
      .toArray(),
  );
  server.close();
});
