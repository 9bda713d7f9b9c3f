/** What the page "HTTP/2" of Node's documentation shows, over a path. */
import { writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import https from 'node:https';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { documented, type Stage } from './stage';

/** A session with the server at the program's path. */
function connect(stage: Stage, options: http2.ClientSessionOptions = {}): http2.ClientHttp2Session {
  const session = http2.connect('http://localhost', {
    ...options,
    createConnection: () => stage.net.connect(stage.path()),
  });
  session.on('error', (error: NodeJS.ErrnoException) =>
    stage.say('session', error.code, error.message),
  );
  return session;
}

async function listening<Server extends http2.Http2Server | http2.Http2SecureServer>(
  stage: Stage,
  server: Server,
): Promise<Server> {
  await new Promise<void>((resolve) => stage.listen(server, stage.path(), resolve));
  return server;
}

documented('the core API: a stream is answered', async (stage) => {
  const { say } = stage;
  const server = http2.createServer();
  server.on('error', (error: Error) => say('server', error.message));
  server.on('stream', (stream, headers) => {
    say('server', headers[':method'], headers[':path']);
    stream.respond({ 'content-type': 'text/html; charset=utf-8', ':status': 200 });
    stream.end('<h1>Hello World</h1>');
  });
  await listening(stage, server);
  const client = connect(stage);
  const req = client.request({ ':path': '/' });
  req.on('response', (headers) => say('client', headers[':status'], headers['content-type']));
  void text(req).then((body) => {
    say('client', body);
    client.close();
  });
  client.on('close', () => {
    say('client', 'close', client.destroyed, client.closed);
    server.close(() => say('server', 'close'));
  });
});

documented('the compatibility API', async (stage) => {
  const { say } = stage;
  const server = http2.createServer((req, res) => {
    say('server', req.method, req.url, req.httpVersion, req.authority);
    void text(req).then((body) => {
      res.setHeader('Content-Type', 'text/plain');
      res.setHeader('X-Foo', 'bar');
      res.writeHead(200);
      res.end(`ok: ${body}`);
    });
  });
  await listening(stage, server);
  const client = connect(stage);
  const req = client.request({ ':method': 'POST', ':path': '/there' });
  req.on('response', (headers) => say('client', headers[':status'], headers['x-foo']));
  req.end('the body');
  void text(req).then((body) => {
    say('client', body);
    client.close(() => server.close());
  });
});

documented('a stream that is pushed', async (stage) => {
  const { say } = stage;
  const server = http2.createServer();
  server.on('stream', (stream) => {
    stream.respond({ ':status': 200 });
    stream.pushStream({ ':path': '/pushed' }, (error, push) => {
      if (error !== null) throw error;
      push.respond({ ':status': 200 });
      push.end('some pushed data');
    });
    stream.end('some data');
  });
  await listening(stage, server);
  const client = connect(stage);
  let open = 2;
  const over = (): void => {
    open -= 1;
    if (open === 0) client.close(() => server.close());
  };
  client.on('stream', (pushed, headers) => {
    say('pushed', headers[':path']);
    pushed.on('push', (answer) => say('pushed', answer[':status']));
    let body = '';
    pushed.setEncoding('utf8').on('data', (piece: string) => (body += piece));
    pushed.on('end', () => {
      say('pushed', body);
      over();
    });
  });
  void text(client.request({ ':path': '/' })).then((body) => {
    say('client', body);
    over();
  });
});

documented('trailers, and headers in between', async (stage) => {
  const { say } = stage;
  const server = http2.createServer();
  server.on('stream', (stream) => {
    stream.additionalHeaders({ ':status': 102 });
    stream.respond(undefined, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ ABC: 'some value to send' }));
    stream.end('some data');
  });
  await listening(stage, server);
  const client = connect(stage);
  const req = client.request();
  req.on('headers', (headers) => say('client', 'headers', headers[':status']));
  req.on('response', (headers) => say('client', 'response', headers[':status']));
  req.on('trailers', (headers: http2.IncomingHttpHeaders) =>
    say('client', 'trailers', headers['abc']),
  );
  void text(req).then((body) => {
    say('client', body);
    client.close(() => server.close());
  });
});

documented('files as answers, and what is done when they are not there', async (stage) => {
  const { say, path } = stage;
  writeFileSync(path('file.txt'), 'from a file'.repeat(10_000));
  const server = http2.createServer();
  server.on('stream', (stream, headers) => {
    const name = headers[':path'] === '/' ? 'file.txt' : 'nothing.txt';
    stream.respondWithFile(
      path(name),
      { 'content-type': 'text/plain; charset=utf-8' },
      {
        statCheck: (stat, answer) => void (answer['x-size'] = stat.size),
        onError: (error) => {
          say('server', error.code);
          stream.respond({ ':status': error.code === 'ENOENT' ? 404 : 500 });
          stream.end();
        },
      },
    );
  });
  await listening(stage, server);
  const client = connect(stage);
  for (const where of ['/', '/other']) {
    const req = client.request({ ':path': where });
    req.on('response', (headers) => say('client', headers[':status'], headers['x-size']));
    say('client', (await text(req)).length);
  }
  client.close(() => server.close());
});

documented('ping(), settings and the windows', async (stage) => {
  const { say } = stage;
  const server = http2.createServer({ settings: { maxConcurrentStreams: 7 } });
  server.on('session', (session) => {
    session.on('ping', (payload: Buffer) => say('server', payload.toString()));
    session.on('remoteSettings', (settings: http2.Settings) => say('server', settings.enablePush));
  });
  await listening(stage, server);
  const client = connect(stage, { settings: { enablePush: false } });
  client.on('localSettings', (settings: http2.Settings) => say('local', settings.enablePush));
  client.on('remoteSettings', (settings: http2.Settings) => {
    say('remote', settings.maxConcurrentStreams);
    client.ping(Buffer.from('abcdefgh'), (error, duration, payload) => {
      say('client', error, typeof duration, payload.toString());
      client.setLocalWindowSize(2 ** 20);
      say(
        'client',
        client.state.localWindowSize,
        client.type,
        client.alpnProtocol,
        client.encrypted,
      );
      client.close(() => server.close());
    });
  });
});

documented("'goaway', and a session that is destroyed", async (stage) => {
  const { say } = stage;
  const server = http2.createServer();
  server.on('stream', (stream) => {
    stream.on('error', () => undefined);
    stream.session?.goaway(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM, 0, Buffer.from('calm'));
  });
  await listening(stage, server);
  const client = connect(stage);
  client.on('goaway', (code: number, last: number, data?: Buffer) =>
    say('client', 'goaway', code, last, data?.toString()),
  );
  const req = client.request();
  req.on('error', (error: NodeJS.ErrnoException) => say('stream', error.code, error.message));
  req.on('close', () => say('stream', 'close', req.rstCode));
  req.resume();
  client.on('close', () => server.close());
});

documented('a stream that is reset', async (stage) => {
  const { say } = stage;
  const server = http2.createServer();
  server.on('stream', (stream) => {
    stream.on('aborted', () => say('server', 'aborted'));
    stream.on('close', () => say('server', 'close', stream.rstCode));
    stream.on('error', () => undefined);
    stream.respond();
    stream.write('something');
  });
  await listening(stage, server);
  const client = connect(stage);
  const req = client.request({ ':method': 'POST' });
  req.once('data', () => req.close(http2.constants.NGHTTP2_CANCEL));
  req.on('close', () => {
    say('client', 'close', req.rstCode, req.aborted);
    setTimeout(() => client.close(() => server.close()), 20);
  });
});

documented('large bodies both ways at once', async (stage) => {
  const { say } = stage;
  const server = http2.createServer();
  server.on('stream', (stream) => {
    stream.respond();
    stream.pipe(stream);
  });
  await listening(stage, server);
  const client = connect(stage);
  const sizes = [1_000_000, 300_000, 70_000, 16_384];
  const lengths = await Promise.all(
    sizes.map(async (size) => {
      const req = client.request({ ':method': 'POST' });
      req.end(Buffer.alloc(size, 'h'));
      return (await text(req)).length;
    }),
  );
  say('client', lengths);
  client.close(() => server.close());
});

documented('CONNECT: a tunnel over one stream', async (stage) => {
  const { net, path, say } = stage;
  const origin = net.createServer((socket) => socket.pipe(socket));
  await new Promise<void>((resolve) => origin.listen(path('origin'), resolve));
  const proxy = http2.createServer();
  proxy.on('stream', (stream, headers) => {
    if (headers[':method'] !== 'CONNECT') {
      stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    say('proxy', headers[':authority']);
    const socket = net.connect(path('origin'), () => {
      stream.respond();
      socket.pipe(stream);
      stream.pipe(socket);
    });
    socket.on('error', (error) => say('proxy', error.message));
  });
  await listening(stage, proxy);
  const client = connect(stage);
  const req = client.request({ ':method': 'CONNECT', ':authority': 'origin:80' });
  req.on('response', (headers) => say('client', headers[':status']));
  req.end('Jane');
  void text(req).then((body) => {
    say('client', body);
    client.close(() => {
      proxy.close();
      origin.close();
    });
  });
});

documented(
  'a secure server, and HTTP/1 beside HTTP/2',
  async (stage) => {
    const { certificate, connectTls, path, say } = stage;
    const server = http2.createSecureServer(
      { ...certificate, allowHTTP1: true, allowHalfOpen: true } as http2.SecureServerOptions,
      (req, res) => {
        const socket = (req.httpVersion === '2.0'
          ? req.stream.session?.socket
          : req.socket) as unknown as Socket & {
          alpnProtocol: string;
        };
        res.writeHead(200, { 'content-type': 'application/json' });
        res.end(
          JSON.stringify({ alpnProtocol: socket.alpnProtocol, httpVersion: req.httpVersion }),
        );
      },
    );
    await listening(stage, server);
    const options = { ca: [certificate.cert], servername: 'localhost', path: path() };
    const session = http2.connect('https://localhost', {
      createConnection: () => connectTls({ ...options, ALPNProtocols: ['h2'] }),
    });
    say('h2', await text(session.request({ ':path': '/' })));
    session.close();
    await new Promise<void>((resolve) => {
      https
        .get({ host: 'localhost', createConnection: () => connectTls(options) }, (res) => {
          void text(res).then((body) => {
            say('h1', body);
            resolve();
          });
        })
        .on('error', (error) => {
          say('h1', error.message);
          resolve();
        });
    });
    server.close(() => say('server', 'close'));
  },
  { certificate: true, leftToNet: true },
);

documented('who does not speak HTTP/2', async (stage) => {
  const { net, path, say } = stage;
  const server = http2.createServer();
  server.on('sessionError', (error: NodeJS.ErrnoException) =>
    say('server', error.code, error.message),
  );
  await listening(stage, server);
  const client = net.connect(path(), () => client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'));
  let length = 0;
  client.on('data', (data) => (length += data.length));
  client.on('error', (error: NodeJS.ErrnoException) => say('client', error.code));
  client.on('close', () => {
    say('client', 'close', length > 0);
    server.close();
  });
});

documented('session.setTimeout() and server.setTimeout()', async (stage) => {
  const { say } = stage;
  const server = http2.createServer();
  server.setTimeout(50);
  server.on('timeout', (session: http2.ServerHttp2Session) => {
    say('server', 'timeout');
    session.close();
  });
  await listening(stage, server);
  const client = connect(stage);
  client.setTimeout(5000, () => say('client', 'timeout'));
  client.on('close', () => {
    say('client', 'close');
    server.close();
  });
});

documented('client.close() while requests are on their way', async (stage) => {
  const { say } = stage;
  const server = http2.createServer();
  server.on('stream', (stream) => {
    setTimeout(() => {
      stream.respond();
      stream.end('late');
    }, 30);
  });
  await listening(stage, server);
  const client = connect(stage);
  await new Promise((resolve) => client.once('connect', resolve));
  const first = client.request();
  void text(first).then((body) => say('first', body));
  await new Promise((resolve) => server.once('stream', resolve));
  client.close(() => {
    say('client', 'closed');
    server.close();
  });
  // Thrown, or an event, as the version has it.
  try {
    client.request().on('error', (error: NodeJS.ErrnoException) => say('second', error.code));
  } catch (error) {
    say('second', (error as NodeJS.ErrnoException).code);
  }
});
