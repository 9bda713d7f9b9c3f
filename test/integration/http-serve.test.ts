/** `afunix/http`, and what `afunix/register` makes of `node:http`, beside `node:http` over `net`. */
import assert from 'node:assert/strict';
import http, { type RequestListener, type Server, type ServerOptions } from 'node:http';
import http2 from 'node:http2';
import nodeNet, { type Socket } from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { test, type TestContext } from 'node:test';
import { fetch as undiciFetch, Agent as UndiciAgent, request as undiciRequest } from 'undici';
import net from 'afunix';
import type { PeerCredentials } from 'afunix/credentials';
import { Agent, connector, serve } from 'afunix/http';
import { certificate } from './certificate';
import { collected, folder, happens } from './support';
import { bothWays, isOurs, placeFor, type Way } from './ways';

type Variant = 'net' | Way;

interface Listening {
  readonly server: Server;
  readonly path: string;
}

async function listening(
  t: TestContext,
  variant: Variant,
  handler: RequestListener,
  options: ServerOptions = {},
): Promise<Listening> {
  const to =
    variant === 'net' ? path.join(folder(t), 's') : path.join(placeFor(t).by[variant], 's');
  const server = http.createServer(options, handler);
  if (variant === 'hook') serve(server, { path: to });
  else server.listen(to);
  await happens(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { server, path: to };
}

const variants: readonly Variant[] = ['net', 'hook', 'register'];

/** The same over `net`, over serve(), and over listen() under register. */
function everywhere(name: string, run: (t: TestContext, variant: Variant) => Promise<void>): void {
  for (const variant of variants) {
    test(`${name}: ${variant}`, { timeout: 60_000 }, (t) => run(t, variant));
  }
}

function get(
  to: string,
  agent?: http.Agent,
): Promise<{ status?: number; text: string; socket: Socket }> {
  return new Promise((resolve, reject) => {
    const request = http.get({ socketPath: to, path: '/', agent }, (response) => {
      const { socket } = response;
      collected(response).then(
        (bytes) => resolve({ status: response.statusCode, text: bytes.toString(), socket }),
        reject,
      );
    });
    request.on('error', reject);
  });
}

everywhere(
  'the server is what it is, and its requests come on sockets of the right kind',
  async (t, variant) => {
    const { server, path: to } = await listening(t, variant, (request, response) => {
      response.end(JSON.stringify([isOurs(request.socket), request.socket.remoteAddress ?? null]));
    });
    assert.ok(server instanceof http.Server && server instanceof nodeNet.Server);
    assert.equal(server.address(), to);
    assert.equal(server.listening, true);
    const { status, text, socket } = await get(to);
    assert.equal(status, 200);
    assert.deepEqual(JSON.parse(text), [variant !== 'net', null]);
    assert.equal(isOurs(socket), variant === 'register');
    assert.throws(() => server.listen(to), { code: 'ERR_SERVER_ALREADY_LISTEN' });
  },
);

bothWays('a request knows whose it is: request.socket.peerCredentials', async (t, way) => {
  const { path: to } = await listening(t, way, (request, response) => {
    const { peerCredentials } = request.socket as unknown as { peerCredentials: PeerCredentials };
    response.end(JSON.stringify([peerCredentials.uid, peerCredentials.gid]));
  });
  assert.deepEqual(JSON.parse((await get(to)).text), [process.getuid?.(), process.getgid?.()]);
});

everywhere(
  'headersTimeout: a client that never finishes its headers gets 408',
  async (t, variant) => {
    const options = { headersTimeout: 50, requestTimeout: 0, connectionsCheckingInterval: 20 };
    const { path: to } = await listening(t, variant, () => assert.fail('no request'), options);
    const client = nodeNet.connect(to);
    client.write('GET / HTTP/1.1\r\nHost: x\r\n');
    assert.match((await collected(client)).toString(), /^HTTP\/1\.1 408 Request Timeout\r\n/);
  },
);

everywhere('requestTimeout: a client that never finishes its body gets 408', async (t, variant) => {
  const options = { headersTimeout: 50, requestTimeout: 60, connectionsCheckingInterval: 20 };
  const { path: to } = await listening(t, variant, (request) => request.resume(), options);
  const client = nodeNet.connect(to);
  client.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc');
  assert.match((await collected(client)).toString(), /^HTTP\/1\.1 408 Request Timeout\r\n/);
});

everywhere(
  'keepAliveTimeout closes a connection that has nothing more to ask',
  async (t, variant) => {
    const { path: to } = await listening(t, variant, (_, response) => response.end('x'), {
      keepAliveTimeout: 30,
    });
    const client = nodeNet.connect(to);
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.match((await collected(client)).toString(), /\r\n\r\nx$/);
  },
);

everywhere(
  'closeIdleConnections() closes the idle ones and leaves the busy; close() waits for those',
  async (t, variant) => {
    let answer: (() => void) | undefined;
    const { server, path: to } = await listening(t, variant, (request, response) => {
      if (request.url === '/slow') answer = () => response.end('done');
      else response.end('fast');
    });
    const idle = nodeNet.connect(to);
    idle.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await happens(idle, 'data');
    const busy = nodeNet.connect(to);
    busy.write('GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    await happens(server, 'request');
    const idleEnds = happens(idle, 'close');
    server.closeIdleConnections();
    await idleEnds;
    assert.equal(busy.destroyed, false);
    const order: string[] = [];
    const closed = new Promise<void>((resolve, reject) => {
      server.close((error) => {
        order.push('closed');
        if (error === undefined) resolve();
        else reject(error);
      });
    });
    assert.equal(server.listening, false);
    const text = collected(busy).then((bytes) => {
      order.push('answered');
      return bytes.toString();
    });
    setImmediate(() => answer?.());
    assert.match(await text, /done$/);
    await closed;
    assert.deepEqual(order.sort(), ['answered', 'closed']);
  },
);

everywhere(
  'closeAllConnections() closes them all, and the server can listen again',
  async (t, variant) => {
    const { server, path: to } = await listening(t, variant, () => undefined);
    const five = new Promise<void>((resolve) => {
      let open = 0;
      server.on('request', () => {
        open += 1;
        if (open === 5) resolve();
      });
    });
    const clients = Array.from({ length: 5 }, () => nodeNet.connect(to));
    for (const client of clients)
      client.on('error', () => {}).write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await five;
    const gone = clients.map((client) => new Promise((resolve) => client.once('close', resolve)));
    const closed = happens(server, 'close');
    server.close();
    server.closeAllConnections();
    await Promise.all([...gone, closed]);
    if (variant === 'hook') serve(server, to);
    else server.listen(to);
    await happens(server, 'listening');
    server.removeAllListeners('request');
    server.on('request', (_, response) => response.end('again'));
    assert.equal((await get(to)).text, 'again');
  },
);

everywhere('getConnections(), maxConnections and drop', async (t, variant) => {
  const { server, path: to } = await listening(t, variant, () => undefined);
  server.maxConnections = 1;
  const first = nodeNet.connect(to);
  await happens(server, 'connection');
  const dropped = happens(server, 'drop');
  const second = nodeNet.connect(to).resume();
  await Promise.all([dropped, happens(second, 'close')]);
  const count = await new Promise((resolve) => server.getConnections((_, n) => resolve(n)));
  assert.equal(count, 1);
  first.destroy();
});

everywhere('the errors of listen() are those of net', async (t, variant) => {
  const { path: to } = await listening(t, variant, () => undefined);
  const second = http.createServer();
  if (variant === 'hook') serve(second, to);
  else second.listen(to);
  const [error] = (await happens(second, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.message, `listen EADDRINUSE: address already in use ${to}`);
  assert.equal(second.listening, false);
});

test('serve() takes the options of listen(), and a port goes to net', async (t) => {
  const to = path.join(folder(t), 's');
  const controller = new AbortController();
  const server = serve(
    http.createServer((_, response) => response.end('x')),
    {
      path: to,
      readableAll: true,
      signal: controller.signal,
    },
  );
  await happens(server, 'listening');
  assert.equal((await get(to)).text, 'x');
  controller.abort();
  await happens(server, 'close');
  const told = await new Promise<unknown>((resolve) => {
    const onPort = serve(http.createServer(), { port: 0, host: '127.0.0.1' }, () => {
      resolve(onPort.address());
      onPort.close();
    });
  });
  assert.equal(typeof (told as nodeNet.AddressInfo).port, 'number');
});

test('serve() takes the options of createServer(), as net.Server makes of them', async (t) => {
  for (const given of [
    { allowHalfOpen: true, pauseOnConnect: true, highWaterMark: 1234 },
    { allowHalfOpen: false },
    { highWaterMark: 0 },
    {},
  ]) {
    const seen = async (server: nodeNet.Server, to: string): Promise<unknown> => {
      const accepted = happens(server, 'connection');
      if (!server.listening) await happens(server, 'listening');
      const client = nodeNet.connect(to);
      const [socket] = (await accepted) as [Socket];
      const { allowHalfOpen, readableHighWaterMark, writableHighWaterMark } = socket;
      const state = [
        allowHalfOpen,
        socket.isPaused(),
        readableHighWaterMark,
        writableHighWaterMark,
      ];
      socket.destroy();
      client.destroy();
      server.close();
      return state;
    };
    const [ours, theirs] = ['ours', 'theirs'].map((name) => path.join(folder(t), name));
    assert.deepEqual(
      await seen(serve(nodeNet.createServer(), { path: ours, ...given }), ours),
      await seen(nodeNet.createServer(given).listen(theirs), theirs),
    );
  }
  const to = path.join(folder(t), 's');
  const wrong = { path: to, highWaterMark: 'x' as unknown as number };
  assert.throws(() => serve(nodeNet.createServer(), wrong), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('a TLS server, half-open without being told so, loses nothing of an echo', async (t) => {
  const to = path.join(folder(t), 's');
  const server = serve(
    tls.createServer(certificate(t), (socket) => socket.pipe(socket)),
    { path: to },
  );
  t.after(() => server.close());
  await happens(server, 'listening');
  const bytes = Buffer.alloc(200_000, 'echo');
  for (let round = 0; round < 4; round += 1) {
    const client = tls.connect({ socket: net.connect(to), rejectUnauthorized: false });
    client.end(bytes);
    assert.deepEqual(await collected(client), bytes);
  }
});

test('Agent keeps its connections, and takes the path of each request or its own', async (t) => {
  const connections = new Set<Socket>();
  const { server, path: to } = await listening(t, 'hook', (request, response) => {
    response.end(request.headers.host);
  });
  server.on('connection', (socket) => connections.add(socket));
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  for (let i = 0; i < 20; i += 1) {
    const { text, socket } = await get(to, agent);
    assert.equal(text, 'localhost');
    assert.ok(isOurs(socket));
  }
  assert.equal(connections.size, 1);
  const own = new Agent({ socketPath: to });
  t.after(() => own.destroy());
  const response = await new Promise<http.IncomingMessage>((resolve) => {
    http.get('http://name.example/', { agent: own }, resolve);
  });
  assert.equal((await collected(response)).toString(), 'name.example');
  assert.ok(isOurs(response.socket));
});

test('Agent tells of a path where nobody listens', async (t) => {
  const to = path.join(folder(t), 'nobody');
  await assert.rejects(get(to, new Agent()), { code: 'ENOENT', syscall: 'connect', address: to });
});

bothWays('undici and fetch come through, request by request and in parallel', async (t, way) => {
  const { path: to } = await listening(t, way, (request, response) => {
    void collected(request).then((bytes) =>
      response.end(`${request.url} ${bytes.length} ${isOurs(request.socket)}`),
    );
  });
  const dispatcher = new UndiciAgent({
    connect: way === 'hook' ? connector(to) : { socketPath: to },
    connections: 4,
    pipelining: 2,
  });
  t.after(() => dispatcher.destroy());
  const body = Buffer.alloc(300_000, 'x');
  const answers = await Promise.all(
    Array.from({ length: 50 }, async (_, i) => {
      const { body: answer } = await undiciRequest(`http://service/${i}`, {
        dispatcher,
        method: 'POST',
        body,
      });
      return answer.text();
    }),
  );
  assert.deepEqual(
    answers,
    Array.from({ length: 50 }, (_, i) => `/${i} 300000 true`),
  );
  const fetched = await undiciFetch('http://service/fetched', { dispatcher });
  assert.equal(await fetched.text(), '/fetched 0 true');
  // Node's own fetch takes the same dispatchers.
  const own = await fetch('http://service/global', { dispatcher } as unknown as RequestInit).then(
    (response) => response.text(),
    (error: unknown) => error,
  );
  assert.equal(own, '/global 0 true');
});

test('connector() hands on errors, and refuses https', async (t) => {
  const nobody = path.join(folder(t), 'nobody');
  const connect = connector({ path: nobody });
  const failure = (protocol: string): Promise<unknown> =>
    new Promise((resolve) =>
      connect({ protocol, hostname: 'x', port: '' }, (...result) => resolve(result[0])),
    );
  assert.equal(((await failure('http:')) as NodeJS.ErrnoException).code, 'ENOENT');
  assert.equal(((await failure('https:')) as NodeJS.ErrnoException).code, 'ERR_INVALID_PROTOCOL');
});

bothWays('node:http2: 100 streams of one session, with bodies both ways', async (t, way) => {
  const to = path.join(placeFor(t).by[way], 's');
  const server = http2.createServer();
  server.on('stream', (stream) => {
    stream.respond({ ':status': 200 });
    stream.pipe(stream);
  });
  if (way === 'hook') serve(server, to);
  else server.listen(to);
  await happens(server, 'listening');
  const session = http2.connect('http://localhost', {
    createConnection: () => (way === 'hook' ? net.connect(to) : nodeNet.connect(to)),
  });
  const body = Buffer.alloc(50_000, 'h2');
  const echoed = await Promise.all(
    Array.from({ length: 100 }, async () => {
      const stream = session.request({ ':method': 'POST' });
      stream.end(body);
      return collected(stream);
    }),
  );
  for (const bytes of echoed) assert.ok(bytes.equals(body));
  session.close();
  await happens(session, 'close');
  await new Promise<void>((resolve) => server.close(() => resolve()));
});
