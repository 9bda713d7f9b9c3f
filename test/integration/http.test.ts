/** `node:http` over afunix: its client over our sockets, its server over our listener, each with `net` at the other end too. */
import assert from 'node:assert/strict';
import http from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { test, type TestContext } from 'node:test';
import net from 'afunix';
import { serveHttp } from './http-over-afunix';
import {
  abstractName,
  address,
  bytes,
  collected,
  generator,
  happens,
  hashOf,
  sha256,
} from './support';

const BODY_SIZE = 20 * 1024 * 1024;

/** Every connection of this agent is an afunix socket; how many it made can be asked. */
class Agent extends http.Agent {
  made = 0;

  constructor(
    private readonly to: string,
    options: http.AgentOptions,
  ) {
    super(options);
  }

  override createConnection(): Duplex {
    this.made += 1;
    return net.connect(this.to);
  }
}

function agentFor(t: TestContext, to: string, options: http.AgentOptions = {}): Agent {
  const agent = new Agent(to, { keepAlive: true, ...options });
  t.after(() => agent.destroy());
  return agent;
}

async function answer(
  options: http.RequestOptions,
  body?: string | Uint8Array,
): Promise<{ response: http.IncomingMessage; body: Buffer }> {
  const request = http.request(options).end(body);
  const [response] = (await happens(request, 'response')) as [http.IncomingMessage];
  return { response, body: await collected(response) };
}

/** Answers with what it was sent, as it comes. */
const echo: http.RequestListener = (request, response) => {
  response.setHeader('x-method', request.method ?? '');
  pipeline(request, response).catch(() => response.destroy());
};

const over: readonly [string, (t: TestContext) => string][] = [
  ['a pathname', address],
  ['an abstract name', abstractName],
];

for (const [what, addressFor] of over) {
  test(`bodies of 20 MB go both ways over ${what}`, { timeout: 60_000 }, async (t) => {
    const path = addressFor(t);
    const data = bytes(BODY_SIZE);
    const received: string[] = [];
    await serveHttp(t, { path: path }, (request, response) => {
      if (request.method === 'GET') response.end(data);
      else
        void hashOf(request).then((hash) => {
          received.push(hash);
          response.end(hash);
        });
    });
    const createConnection = (): Socket => net.connect(path);
    const download = http.request({ createConnection }).end();
    const [response] = (await happens(download, 'response')) as [http.IncomingMessage];
    assert.equal(await hashOf(response), sha256(data));
    const upload = await answer({ method: 'PUT', createConnection }, data);
    assert.equal(upload.body.toString(), sha256(data));
    assert.deepEqual(received, [sha256(data)]);
  });
}

test(
  'a body that comes in many pieces, waiting for drain, is echoed whole',
  { timeout: 60_000 },
  async (t) => {
    const path = address(t);
    await serveHttp(t, { path }, echo);
    const request = http.request({ method: 'POST', createConnection: () => net.connect(path) });
    const data = bytes(4 * 1024 * 1024);
    const random = generator(3);
    const sending = (async () => {
      for (let offset = 0; offset < data.length;) {
        const length = 1 + random(50_000);
        if (!request.write(data.subarray(offset, offset + length))) await happens(request, 'drain');
        offset += length;
      }
      request.end();
    })();
    const [response] = (await happens(request, 'response')) as [http.IncomingMessage];
    const [hash] = await Promise.all([hashOf(response), sending]);
    assert.equal(hash, sha256(data));
  },
);

test(
  'a keep-alive agent makes 500 requests in turn over one connection',
  { timeout: 60_000 },
  async (t) => {
    const path = address(t);
    const server = await serveHttp(t, { path, keepAliveTimeout: 0 }, echo);
    const agent = agentFor(t, path);
    for (let i = 0; i < 500; i += 1) {
      const { body } = await answer({ agent, method: 'POST' }, `request ${i}`);
      assert.equal(body.toString(), `request ${i}`);
    }
    assert.equal(agent.made, 1);
    assert.equal(server.connections.length, 1);
  },
);

test('500 requests at once over four connections', { timeout: 60_000 }, async (t) => {
  const path = address(t);
  const server = await serveHttp(t, { path, keepAliveTimeout: 0 }, echo);
  const agent = agentFor(t, path, { maxSockets: 4 });
  const random = generator(11);
  await Promise.all(
    Array.from({ length: 500 }, async (_, i) => {
      const data = bytes(random(30_000), i + 1);
      const { body } = await answer({ agent, method: 'POST' }, data);
      assert.ok(body.equals(data), `request ${i}: ${data.length} bytes`);
    }),
  );
  assert.equal(agent.made, 4);
  assert.equal(server.connections.length, 4);
});

test('100 connections at once, a request on each', { timeout: 60_000 }, async (t) => {
  const path = address(t);
  const server = await serveHttp(t, { path }, echo);
  await Promise.all(
    Array.from({ length: 100 }, async (_, i) => {
      const data = bytes(10_000, i + 1);
      const { body } = await answer(
        { method: 'POST', createConnection: () => net.connect(path) },
        data,
      );
      assert.ok(body.equals(data));
    }),
  );
  assert.equal(server.connections.length, 100);
});

test('a kept connection that the server closed is not used again', async (t) => {
  const path = address(t);
  const server = await serveHttp(t, { path, keepAliveTimeout: 0 }, echo);
  const agent = agentFor(t, path);
  await answer({ agent, method: 'POST' }, 'one');
  const [kept] = Object.values(agent.freeSockets).flatMap((sockets) => sockets ?? []);
  assert.ok(kept !== undefined);
  const gone = happens(kept, 'close');
  server.http.closeIdleConnections();
  await gone;
  const { body } = await answer({ agent, method: 'POST' }, 'two');
  assert.equal(body.toString(), 'two');
  assert.equal(agent.made, 2);
});

test("net's own client reaches the server", async (t) => {
  const path = address(t);
  await serveHttp(t, { path }, echo);
  const { body } = await answer({ method: 'POST', socketPath: path }, 'from net');
  assert.equal(body.toString(), 'from net');
});

test("our client reaches node:http's own listener", { timeout: 60_000 }, async (t) => {
  const path = address(t);
  const server = http.createServer(echo).listen(path);
  t.after(() => server.close());
  await happens(server, 'listening');
  const agent = agentFor(t, path);
  t.after(() => agent.destroy());
  const data = bytes(BODY_SIZE, 5);
  const { body } = await answer({ agent, method: 'POST' }, data);
  assert.equal(sha256(body), sha256(data));
  agent.destroy();
});

test('200 pipelined requests are answered in order', async (t) => {
  const path = address(t);
  await serveHttp(t, { path }, (request, response) => {
    // The later a request, the sooner its answer is ready.
    let turns = 200 - Number(request.url?.slice(1));
    const wait = (): void => {
      turns -= 1;
      if (turns > 0) setImmediate(wait);
      else response.end(`${request.url} `);
    };
    wait();
  });
  const socket = net.connect(path);
  const urls = Array.from({ length: 200 }, (_, i) => `/${i}`);
  const last = 'GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
  socket.write(urls.map((url) => `GET ${url} HTTP/1.1\r\nHost: x\r\n\r\n`).join('') + last);
  const text = (await collected(socket)).toString();
  const answered = [...text.matchAll(/^(\/\w+) /gm)].map(([, url]) => url);
  assert.deepEqual(answered, [...urls, '/last']);
});

test('chunked both ways, with trailers', async (t) => {
  const path = address(t);
  const seen: unknown[] = [];
  await serveHttp(t, { path }, (request, response) => {
    response.writeHead(200, { trailer: 'x-hash' });
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      response.write(chunk);
    });
    request.on('end', () => {
      seen.push(request.headers['transfer-encoding'], request.trailers['x-count']);
      response.addTrailers({ 'x-hash': sha256(Buffer.concat(chunks)) });
      response.end();
    });
  });
  const request = http.request({
    method: 'POST',
    headers: { trailer: 'x-count' },
    createConnection: () => net.connect(path),
  });
  const pieces = Array.from({ length: 300 }, (_, i) => bytes(i * 7, i + 1));
  for (const piece of pieces) request.write(piece);
  request.addTrailers({ 'x-count': '300' });
  request.end();
  const [response] = (await happens(request, 'response')) as [http.IncomingMessage];
  const body = await collected(response);
  assert.ok(body.equals(Buffer.concat(pieces)));
  assert.equal(response.headers['transfer-encoding'], 'chunked');
  assert.equal(response.trailers['x-hash'], sha256(body));
  assert.deepEqual(seen, ['chunked', '300']);
});

test('an upgrade hands the socket over, with what came behind the head', async (t) => {
  const path = address(t);
  const server = await serveHttp(t, { path }, echo);
  server.http.on('upgrade', (_request: http.IncomingMessage, socket: Socket, head: Buffer) => {
    assert.ok(socket instanceof net.Socket);
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nfirst,',
    );
    socket.write(head);
    socket.pipe(socket);
  });
  const request = http.request({
    headers: { connection: 'Upgrade', upgrade: 'echo' },
    createConnection: () => net.connect(path),
  });
  request.end();
  const [response, socket, head] = (await happens(request, 'upgrade')) as [
    http.IncomingMessage,
    Socket,
    Buffer,
  ];
  assert.equal(response.statusCode, 101);
  const data = bytes(1024 * 1024);
  socket.end(data);
  const rest = await collected(socket);
  assert.ok(Buffer.concat([head, rest]).equals(Buffer.concat([Buffer.from('first,'), data])));
});

test('CONNECT makes a tunnel', async (t) => {
  const path = address(t);
  const server = await serveHttp(t, { path }, echo);
  server.http.on('connect', (_request: http.IncomingMessage, socket: Socket) => {
    socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
    socket.pipe(socket);
  });
  const request = http.request({
    method: 'CONNECT',
    path: 'elsewhere:1',
    createConnection: () => net.connect(path),
  });
  request.end();
  const [, socket] = (await happens(request, 'connect')) as [http.IncomingMessage, Socket];
  socket.end('through the tunnel');
  assert.equal((await collected(socket)).toString(), 'through the tunnel');
});

test('100-continue: the body waits for the word of the server', async (t) => {
  const path = address(t);
  const order: string[] = [];
  const server = await serveHttp(t, { path }, echo);
  server.http.on(
    'checkContinue',
    (request: http.IncomingMessage, response: http.ServerResponse) => {
      order.push('server: go on');
      response.writeContinue();
      echo(request, response);
    },
  );
  const request = http.request({
    method: 'POST',
    headers: { expect: '100-continue' },
    createConnection: () => net.connect(path),
  });
  request.flushHeaders();
  await happens(request, 'continue');
  order.push('client: body');
  request.end('the body');
  const [response] = (await happens(request, 'response')) as [http.IncomingMessage];
  assert.equal((await collected(response)).toString(), 'the body');
  assert.deepEqual(order, ['server: go on', 'client: body']);
});

test('a client that goes away during its upload is told to the handler', async (t) => {
  const path = address(t);
  let arrived: (request: http.IncomingMessage) => void = () => {};
  const arriving = new Promise<http.IncomingMessage>((resolve) => (arrived = resolve));
  await serveHttp(t, { path }, (request) => {
    request.on('error', () => {});
    request.once('data', () => arrived(request));
  });
  const request = http.request({
    method: 'POST',
    headers: { 'content-length': '1000000' },
    createConnection: () => net.connect(path),
  });
  request.on('error', () => {});
  request.write('the beginning');
  const incoming = await arriving;
  const told = new Promise<void>((resolve) => incoming.once('close', () => resolve()));
  request.destroy();
  await told;
  assert.equal(incoming.complete, false);
});

test('time-outs for headers run once the HTTP server has been told of listening', async (t) => {
  const path = address(t);
  await serveHttp(t, { path, headersTimeout: 20, connectionsCheckingInterval: 10 }, echo);
  const socket = net.connect(path);
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n');
  const text = (await collected(socket)).toString();
  assert.match(text, /^HTTP\/1\.1 408 /);
});

test('closing lets a request under way finish, and idle connections go', async (t) => {
  const path = address(t);
  let begun: (response: http.ServerResponse) => void = () => {};
  const slow = new Promise<http.ServerResponse>((resolve) => (begun = resolve));
  const server = await serveHttp(t, { path, keepAliveTimeout: 0 }, (request, response) => {
    if (request.url === '/slow') begun(response);
    else response.end('quick');
  });
  const agent = agentFor(t, path);
  const idle = await answer({ agent, path: '/quick' });
  assert.equal(idle.body.toString(), 'quick');
  const request = http.request({ path: '/slow', createConnection: () => net.connect(path) }).end();
  const answering = happens(request, 'response') as Promise<[http.IncomingMessage]>;
  const response = await slow;
  const done = server.close();
  response.end('slow but complete');
  const [answered] = await answering;
  assert.equal((await collected(answered)).toString(), 'slow but complete');
  await done;
  const [error] = (await happens(net.connect(path), 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ENOENT');
});
