/** What the page "HTTP" of Node's documentation shows, over a path. */
import http, { type IncomingMessage, type RequestOptions } from 'node:http';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { documented, type Stage } from './stage';

const failing = (error: NodeJS.ErrnoException): string => `${error.code}: ${error.message}`;

/** The events of a request and its answer, in their order. */
function watch(
  { say }: Stage,
  req: http.ClientRequest,
  then: () => void = () => undefined,
  lane = 'client',
): http.ClientRequest {
  for (const event of ['socket', 'abort', 'timeout', 'finish'] as const) {
    req.on(event, () => say(lane, event));
  }
  req.on('error', (error: NodeJS.ErrnoException) => say(lane, 'error', failing(error)));
  req.on('response', (res) => {
    say(lane, 'response', res.statusCode);
    res.on('data', (chunk: Buffer) => say(lane, 'data', chunk.toString()));
    res.on('aborted', () => say(lane, 'aborted'));
    res.on('error', (error: NodeJS.ErrnoException) => say(lane, 'res error', failing(error)));
    res.on('end', () => say(lane, 'end', res.complete));
    res.on('close', () => say(lane, 'res close', res.complete));
  });
  return req.on('close', () => {
    say(lane, 'close', req.destroyed, req.reusedSocket);
    then();
  });
}

function answering(
  stage: Stage,
  server: http.Server,
  options: RequestOptions = {},
): Promise<http.ClientRequest> {
  return new Promise((resolve) => {
    stage.listen(server, stage.path(), () => {
      resolve(stage.request({ socketPath: stage.path(), ...options }));
    });
  });
}

documented('a successful request', async (stage) => {
  const server = http.createServer((req, res) => {
    res.writeHead(200, { 'Content-Type': 'application/json' });
    res.end(JSON.stringify({ data: 'Hello World!', url: req.url }));
  });
  const req = await answering(stage, server, { path: '/status?name=ryan' });
  watch(stage, req, () => server.close()).end();
});

documented('a connection error', (stage) => {
  const server = http.createServer((_req, res) => res.end());
  stage.listen(server, stage.path(), () => {
    stage
      .request({ socketPath: stage.path() }, (res) => {
        res.resume().on('end', () => server.close());
      })
      .end();
    watch(stage, stage.request({ socketPath: stage.path('nobody') }), undefined, 'refused').end();
  });
});

documented('a connection that is closed before there is an answer', async (stage) => {
  const server = http.createServer((req) => req.socket.destroy());
  watch(stage, await answering(stage, server), () => server.close()).end();
});

documented('a connection that is closed in the middle of the answer', async (stage) => {
  const server = http.createServer((req, res) => {
    res.writeHead(200, { 'Content-Length': '1000' });
    res.write('the first part');
    setTimeout(() => req.socket.destroy(), 20);
  });
  watch(stage, await answering(stage, server), () => server.close()).end();
});

documented('req.destroy() before there is a socket', async (stage) => {
  const server = http.createServer((_req, res) => res.end());
  const req = await answering(stage, server);
  watch(stage, req, () => server.close());
  req.destroy();
});

documented('req.destroy(error) before it has connected', async (stage) => {
  const server = http.createServer((_req, res) => res.end());
  const req = await answering(stage, server);
  watch(stage, req, () => server.close());
  req.on('socket', () => req.destroy(new Error('changed my mind')));
  req.end();
});

documented('req.destroy() once there is an answer', async (stage) => {
  const server = http.createServer((_req, res) => {
    res.on('close', () => stage.say('server', 'close', res.writableFinished));
    res.write('without an end');
  });
  const req = await answering(stage, server);
  watch(stage, req, () => server.close());
  req.on('response', (res) => res.once('data', () => req.destroy()));
  req.end();
});

documented('req.abort() at three times', async (stage) => {
  const server = http.createServer((_req, res) => res.write('x'));
  const first = await answering(stage, server);
  const another = (): http.ClientRequest => stage.request({ socketPath: stage.path() });
  watch(stage, first, () => {
    const second = another();
    watch(
      stage,
      second,
      () => {
        const third = another();
        watch(stage, third, () => server.close(), 'third');
        third.on('response', () => third.abort()).end();
      },
      'second',
    );
    second.on('socket', () => second.abort()).end();
  });
  first.abort();
});

documented('a signal', async (stage) => {
  const server = http.createServer((_req, res) => res.write('x'));
  const controller = new AbortController();
  const req = await answering(stage, server, { signal: controller.signal });
  watch(stage, req, () => server.close());
  req.on('response', () => controller.abort()).end();
});

documented('a time-out of the request', async (stage) => {
  const server = http.createServer(() => undefined);
  const req = await answering(stage, server, { timeout: 300 });
  watch(stage, req, () => server.close());
  req.on('timeout', () => req.destroy()).end();
});

documented('a POST that is written in pieces', async (stage) => {
  const server = http.createServer((req, res) => {
    stage.say('server', req.method, req.url, req.headers['content-type'], req.httpVersion);
    void text(req).then((body) => res.end(`got ${body.length}: ${body}`));
  });
  const data = JSON.stringify({ msg: 'Hello World!' });
  const req = await answering(stage, server, {
    path: '/upload',
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(data) },
  });
  watch(stage, req, () => server.close());
  req.write(data.slice(0, 5));
  setTimeout(() => req.end(data.slice(5)), 10);
});

documented('http.get() of JSON, with the errors that it may have', async (stage) => {
  const types = ['application/json', 'text/plain', 'application/json'];
  const codes = [200, 200, 404];
  let at = -1;
  const server = http.createServer((_req, res) => {
    at += 1;
    res.writeHead(codes[at] ?? 500, { 'Content-Type': types[at] });
    res.end(JSON.stringify({ data: 'Hello World!' }));
  });
  const get = (req: http.ClientRequest): Promise<void> =>
    new Promise((resolve) => {
      req.on('response', (res) => {
        let error: Error | undefined;
        if (res.statusCode !== 200) error = new Error(`Status Code: ${res.statusCode}`);
        else if (!/^application\/json/.test(res.headers['content-type'] ?? '')) {
          error = new Error(
            `Expected application/json but received ${res.headers['content-type']}`,
          );
        }
        if (error !== undefined) {
          stage.say('client', error.message);
          res.resume();
        } else {
          let raw = '';
          res.setEncoding('utf8');
          res.on('data', (chunk: string) => (raw += chunk));
          res.on('end', () => stage.say('client', JSON.parse(raw)));
        }
        res.on('close', () => resolve());
      });
      req.end();
    });
  await get(await answering(stage, server));
  await get(stage.request({ socketPath: stage.path() }));
  await get(stage.request({ socketPath: stage.path() }));
  server.close();
});

documented('a tunnel through a proxy: CONNECT', async (stage) => {
  const { net, path, say } = stage;
  const origin = http.createServer((_req, res) => res.end('from the origin'));
  await new Promise<void>((resolve) => stage.listen(origin, path('origin'), resolve));
  const proxy = http.createServer((_req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/plain' });
    res.end('okay');
  });
  proxy.on('connect', (req: IncomingMessage, client: Duplex, head: Buffer) => {
    say('proxy', req.url, head.length);
    const upstream = net.connect(path('origin'), () => {
      client.write('HTTP/1.1 200 Connection Established\r\nProxy-agent: ours\r\n\r\n');
      upstream.write(head);
      upstream.pipe(client);
      client.pipe(upstream);
    });
  });
  const req = await answering(stage, proxy, { method: 'CONNECT', path: 'origin:80' });
  req.end();
  req.on('connect', (res, socket, head) => {
    say('client', 'got connected!', res.statusCode, head.length);
    socket.write('GET / HTTP/1.1\r\nHost: origin:80\r\nConnection: close\r\n\r\n');
    let answer = '';
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
    socket.on('end', () => {
      say('client', answer.replace(/Date: .*?\r\n/, ''));
      proxy.close();
      origin.close();
    });
  });
});

documented("'upgrade' to another protocol", async (stage) => {
  const { say } = stage;
  const server = http.createServer((_req, res) => res.end('okay'));
  server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
    say('server', req.headers.upgrade, head.toString());
    socket.write(
      'HTTP/1.1 101 Web Socket Protocol Handshake\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n',
    );
    socket.pipe(socket);
  });
  const req = await answering(stage, server, {
    headers: { Connection: 'Upgrade', Upgrade: 'websocket' },
  });
  req.end();
  req.on('upgrade', (res, socket, head) => {
    say('client', 'got upgraded!', res.statusCode, res.headers, head.length);
    socket.end('echoed');
    let answer = '';
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
    socket.on('end', () => {
      say('client', answer);
      server.close();
    });
  });
});

documented("'upgrade' that nobody listens for", async (stage) => {
  const server = http.createServer((req, res) => res.end(`still ${req.headers.upgrade}`));
  const req = await answering(stage, server, {
    headers: { Connection: 'Upgrade', Upgrade: 'websocket' },
  });
  watch(stage, req, () => server.close()).end();
});

documented("'information', 'continue', early hints and processing", async (stage) => {
  const { say } = stage;
  const server = http.createServer();
  server.on('checkContinue', (req: IncomingMessage, res: http.ServerResponse) => {
    res.writeEarlyHints({ link: '</styles.css>; rel=preload; as=style' }, () => {
      say('server', 'hints written');
    });
    res.writeProcessing();
    res.writeContinue();
    void text(req).then((body) => res.end(`and so ${body}`));
  });
  const req = await answering(stage, server, {
    method: 'POST',
    headers: { Expect: '100-continue', 'Content-Length': 8 },
  });
  watch(stage, req, () => server.close());
  req.on('information', (info) => say('client', info.statusCode, info.statusMessage, info.headers));
  req.on('continue', () => {
    say('client', 'continue');
    req.end('the body');
  });
  req.flushHeaders();
});

documented("'checkExpectation' of something else", async (stage) => {
  const server = http.createServer(() => stage.say('server', 'request'));
  const req = await answering(stage, server, { headers: { Expect: 'the-unexpected' } });
  watch(stage, req, () => server.close()).end();
});

documented("a server that speaks to who does not: 'clientError'", ({ net, path, say, listen }) => {
  const server = http.createServer((_req, res) => res.end());
  server.on(
    'clientError',
    (error: NodeJS.ErrnoException & { bytesParsed?: number; rawPacket?: Buffer }, socket) => {
      say('server', error.code, error.message, error.bytesParsed, error.rawPacket?.toString());
      if (error.code === 'ECONNRESET' || !socket.writable) return;
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
    },
  );
  listen(server, path(), () => {
    const client = net.connect(path(), () => client.write('what is this?\r\n\r\n'));
    void text(client).then((answer) => {
      say('client', answer);
      server.close();
    });
  });
});

documented('headers that are too long: 431', ({ net, path, say, listen }) => {
  const server = http.createServer({ maxHeaderSize: 2000 }, (_req, res) => res.end());
  listen(server, path(), () => {
    const client = net.connect(path(), () =>
      client.write(`GET / HTTP/1.1\r\nHost: x\r\nx: ${'y'.repeat(4000)}\r\n\r\n`),
    );
    void text(client).then((answer) => {
      say('client', answer);
      server.close();
    });
  });
});

documented(
  'keep-alive: a socket is used again, and a reset of one is tried again',
  async (stage) => {
    const { say, path } = stage;
    let requests = 0;
    const server = http.createServer((_req, res) => {
      requests += 1;
      res.end(`${requests}`);
    });
    server.keepAliveTimeout = 60_000;
    await new Promise<void>((resolve) => stage.listen(server, path(), resolve));
    const agent = stage.agent({ keepAlive: true, maxSockets: 1 });
    const get = (): Promise<void> =>
      new Promise((resolve) => {
        const req = stage.request({ socketPath: path(), agent }, (res) => {
          void text(res).then((body) => {
            say('client', body, req.reusedSocket, Object.keys(agent.freeSockets).length);
            setImmediate(resolve);
          });
        });
        // Once a request that was sent on a socket that is gone is sent again.
        req.on('error', (error: NodeJS.ErrnoException) => {
          const gone = error.code === 'ECONNRESET' || error.code === 'EPIPE';
          if (req.reusedSocket && gone) void get().then(resolve);
          else say('client', failing(error));
        });
        req.end();
      });
    await get();
    await get();
    server.closeAllConnections();
    await get();
    agent.destroy();
    server.close(() => say('server', requests));
  },
);

documented('agent: false, and agentRemove', async (stage) => {
  const { path, say } = stage;
  const server = http.createServer((req, res) => res.end(req.headers.connection));
  await new Promise<void>((resolve) => stage.listen(server, path(), resolve));
  const agent = stage.agent({ keepAlive: true });
  await new Promise<void>((resolve) => {
    const req = stage.request({ socketPath: path(), agent }, (res) => {
      void text(res).then((body) => {
        say(
          'client',
          body,
          Object.keys(agent.sockets).length,
          Object.keys(agent.freeSockets).length,
        );
        req.socket?.end();
        resolve();
      });
    });
    req.on('socket', (socket) => socket.emit('agentRemove')).end();
  });
  const asked = stage.request({ socketPath: path(), headers: { Connection: 'close' } }, (res) => {
    void text(res).then((body) => {
      say('client', body);
      server.close();
    });
  });
  asked.end();
});

documented('maxSockets: requests wait for a connection', async (stage) => {
  const { path, say } = stage;
  let open = 0;
  const server = http.createServer((req, res) => {
    open += 1;
    say('server', open, req.url);
    setTimeout(() => {
      open -= 1;
      res.end();
    }, 5);
  });
  await new Promise<void>((resolve) => stage.listen(server, path(), resolve));
  const agent = stage.agent({ maxSockets: 1, keepAlive: true });
  let left = 5;
  for (let i = 0; i < 5; i += 1) {
    stage
      .request({ socketPath: path(), agent, path: `/${i}` }, (res) => {
        res.resume().on('end', () => {
          left -= 1;
          if (left > 0) return;
          agent.destroy();
          server.close();
        });
      })
      .end();
  }
  say(
    'client',
    Object.values(agent.requests).map((list) => list?.length),
  );
});

documented("maxRequestsPerSocket and 'dropRequest'", ({ net, path, say, listen }) => {
  const server = http.createServer((req, res) => res.end(req.url));
  server.maxRequestsPerSocket = 2;
  server.on('dropRequest', (req: IncomingMessage) => say('server', 'dropped', req.url));
  listen(server, path(), () => {
    const client = net.connect(path(), () => {
      for (const url of ['/1', '/2', '/3']) client.write(`GET ${url} HTTP/1.1\r\nHost: x\r\n\r\n`);
      client.end();
    });
    void text(client).then((answer) => {
      say('client', answer.replace(/Date: .*?\r\n/g, ''));
      server.close();
    });
  });
});

documented('pipelined requests are answered in their order', ({ net, path, say, listen }) => {
  const server = http.createServer((req, res) => {
    const wait = req.url === '/0' ? 30 : 0;
    setTimeout(() => res.end(`answer to ${req.url}`), wait);
  });
  listen(server, path(), () => {
    const client = net.connect(path(), () => {
      let all = '';
      for (let i = 0; i < 10; i += 1) all += `GET /${i} HTTP/1.1\r\nHost: x\r\n\r\n`;
      client.end(all);
    });
    void text(client).then((answer) => {
      say('client', answer.match(/answer to \/\d/g));
      server.close();
    });
  });
});

documented('trailers, chunks, and headers in every form', async (stage) => {
  const { say } = stage;
  const server = http.createServer((_req, res) => {
    res.setHeader('Set-Cookie', ['type=ninja', 'language=javascript']);
    res.setHeader('X-Foo', 'bar');
    say('server', res.getHeaderNames(), res.hasHeader('x-foo'), res.headersSent);
    res.writeHead(200, 'Fine', { 'Content-Type': 'text/plain', Trailer: 'Content-MD5' });
    say('server', res.headersSent, res.write('file data'));
    res.addTrailers({ 'Content-MD5': '7895bf4b8828b55ceaf47747b4bca667' });
    say('server', res.writableEnded, res.end() === res, res.writableEnded);
  });
  const req = await answering(stage, server);
  req.on('response', (res) => {
    void text(res).then((body) => {
      const { date, ...headers } = res.headers;
      say('client', body, res.statusMessage, headers, typeof date, res.trailers, res.rawTrailers);
      server.close();
    });
  });
  req.end();
});

documented('HEAD, 204 and 304 have no body', async (stage) => {
  const codes: Record<string, number> = { '/head': 200, '/204': 204, '/304': 304 };
  const server = http.createServer((req, res) => {
    res.writeHead(codes[req.url ?? ''] ?? 500, { 'X-Length': '5' });
    res.end('12345');
  });
  watch(stage, await answering(stage, server, { method: 'HEAD', path: '/head' }), () => {
    watch(
      stage,
      stage.request({ socketPath: stage.path(), path: '/204' }),
      () => {
        watch(
          stage,
          stage.request({ socketPath: stage.path(), path: '/304' }),
          () => server.close(),
          'third',
        ).end();
      },
      'second',
    ).end();
  }).end();
});

documented('strictContentLength', async (stage) => {
  const server = http.createServer((req, res) => {
    res.strictContentLength = true;
    res.setHeader('Content-Length', 3);
    try {
      res.write('too long');
    } catch (error) {
      stage.say('server', (error as NodeJS.ErrnoException).code);
    }
    req.socket.destroy();
  });
  watch(stage, await answering(stage, server), () => server.close()).end();
});

documented('res.end() twice, and write() after the end', async (stage) => {
  const server = http.createServer((_req, res) => {
    res.on('error', (error: NodeJS.ErrnoException) => stage.say('server', 'error', error.code));
    res.end('once', () => stage.say('server', 'ended'));
    res.write('late', (error) => stage.say('write', (error as NodeJS.ErrnoException).code));
    res.on('finish', () => stage.say('server', 'finish'));
  });
  watch(stage, await answering(stage, server), () => server.close()).end();
});

documented('server.closeAllConnections() and closeIdleConnections()', async (stage) => {
  const { path, say } = stage;
  const server = http.createServer({ keepAliveTimeout: 60_000 }, (req, res) => {
    if (req.url === '/slow') res.write('started');
    else res.end('done');
  });
  await new Promise<void>((resolve) => stage.listen(server, path(), resolve));
  const agent = stage.agent({ keepAlive: true });
  const idle = stage.request({ socketPath: path(), agent, path: '/' }, (res) => {
    res.resume().on('end', () => {
      const slow = stage.request({ socketPath: path(), agent: stage.agent(), path: '/slow' });
      watch(stage, slow, undefined, 'slow');
      slow.on('response', () => {
        server.close((error) => say('server', 'closed', error));
        server.closeIdleConnections();
        setTimeout(() => server.closeAllConnections(), 30);
      });
      slow.end();
    });
  });
  idle.on('socket', (socket) => socket.on('close', () => say('idle', 'close')));
  idle.end();
});

documented(
  'server.setTimeout(), requestTimeout and headersTimeout',
  ({ net, path, say, listen }) => {
    const server = http.createServer({
      requestTimeout: 100,
      headersTimeout: 50,
      connectionsCheckingInterval: 20,
    });
    server.setTimeout(5000, () => say('server', 'timeout'));
    listen(server, path(), () => {
      const client = net.connect(path(), () => client.write('GET / HTTP/1.1\r\nHost: x\r\n'));
      void text(client).then((answer) => {
        say('client', answer);
        server.close();
      });
    });
  },
);

documented('res.socket, and what becomes of it', async (stage) => {
  const { net, say } = stage;
  const server = http.createServer((req, res) => {
    say(
      'server',
      res.socket === req.socket,
      req.socket instanceof net.Socket,
      req.socket.remoteAddress,
    );
    res.on('finish', () => setImmediate(() => say('server', res.socket)));
    res.end();
  });
  watch(stage, await answering(stage, server), () => server.close()).end();
});

documented('pipe() of a request to a response', async (stage) => {
  const server = http.createServer((req, res) => req.pipe(res));
  const req = await answering(stage, server, { method: 'POST' });
  req.on('response', (res) => {
    let length = 0;
    res.on('data', (chunk: Buffer) => (length += chunk.length));
    res.on('end', () => {
      stage.say('client', length);
      server.close();
    });
  });
  req.end(Buffer.alloc(100_000));
});

documented("a class of one's own for requests and answers", async (stage) => {
  class Request extends http.IncomingMessage {
    get where(): string {
      return `at ${this.url}`;
    }
  }
  class Response extends http.ServerResponse<Request> {
    hello(text: string): void {
      this.end(`hello ${text}`);
    }
  }
  const server = http.createServer(
    { IncomingMessage: Request, ServerResponse: Response as never },
    (req, res) => (res as unknown as Response).hello(req.where),
  );
  watch(stage, await answering(stage, server, { path: '/here' }), () => server.close()).end();
});
