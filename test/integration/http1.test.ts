/** What HTTP/1.1 can do, between unmodified `node:http` at both ends: by `afunix/http`, and by register; and with nginx in front. */
import assert from 'node:assert/strict';
import http, { type IncomingMessage, type RequestListener, type Server } from 'node:http';
import nodeNet, { type Socket } from 'node:net';
import path from 'node:path';
import type { TestContext } from 'node:test';
import net from 'afunix';
import { Agent, serve } from 'afunix/http';
import { startNginx } from './nginx';
import { giveToNobody } from './server-program';
import { bytes, collected, happens, sha256 } from './support';
import { bothWays, isOurs, placeFor, type Way } from './ways';

interface Site {
  readonly server: Server;
  readonly to: string;
  readonly agent: http.Agent;
}

async function site(t: TestContext, way: Way, handler: RequestListener): Promise<Site> {
  const to = path.join(placeFor(t).by[way], 's');
  const server = http.createServer(handler);
  if (way === 'hook') serve(server, to);
  else server.listen(to);
  await happens(server, 'listening');
  const options = { keepAlive: true, maxSockets: 1 };
  const agent = way === 'hook' ? new Agent(options) : new http.Agent(options);
  t.after(() => {
    agent.destroy();
    server.closeAllConnections();
    server.close();
  });
  return { server, to, agent };
}

const connectBy = (way: Way, to: string): Socket =>
  way === 'hook' ? net.connect(to) : nodeNet.connect(to);

const echo: RequestListener = (request, response) => {
  request.pipe(response);
};

async function responseTo(request: http.ClientRequest, event = 'response'): Promise<unknown[]> {
  const told = await happens(request, event);
  assert.ok(request.socket !== null && isOurs(request.socket));
  return told;
}

bothWays('keep-alive: 200 requests in turn over one connection', async (t, way) => {
  const { server, to, agent } = await site(t, way, (request, response) => {
    assert.ok(isOurs(request.socket));
    response.end(request.url);
  });
  let connections = 0;
  server.on('connection', () => (connections += 1));
  for (let i = 0; i < 200; i += 1) {
    const request = http.get({ agent, socketPath: to, path: `/${i}` });
    const [response] = (await responseTo(request)) as [IncomingMessage];
    assert.equal((await collected(response)).toString(), `/${i}`);
  }
  assert.equal(connections, 1);
});

bothWays('pipelining: 100 requests in one write are answered in order', async (t, way) => {
  const { to } = await site(t, way, (request, response) => {
    // The later a request, the sooner its answer is ready.
    let turns = 100 - Number(request.url?.slice(1));
    const wait = (): void => {
      turns -= 1;
      if (turns > 0) setImmediate(wait);
      else response.end(`${request.url} `);
    };
    wait();
  });
  const socket = connectBy(way, to);
  assert.ok(isOurs(socket));
  const urls = Array.from({ length: 100 }, (_, i) => `/${i}`);
  const last = 'GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
  socket.write(urls.map((url) => `GET ${url} HTTP/1.1\r\nHost: x\r\n\r\n`).join('') + last);
  const text = (await collected(socket)).toString();
  const answered = [...text.matchAll(/^(\/\w+) /gm)].map(([, url]) => url);
  assert.deepEqual(answered, [...urls, '/last']);
});

bothWays('chunked both ways, with trailers', async (t, way) => {
  const { to, agent } = await site(t, way, (request, response) => {
    response.writeHead(200, { trailer: 'x-count' });
    request.on('data', (chunk: Buffer) => response.write(chunk));
    request.on('end', () => {
      response.addTrailers({ 'x-count': String(request.trailers['x-count']) });
      response.end();
    });
  });
  const request = http.request({
    agent,
    socketPath: to,
    method: 'POST',
    headers: { trailer: 'x-count' },
  });
  const pieces = Array.from({ length: 200 }, (_, i) => bytes(i * 7, i + 1));
  for (const piece of pieces) request.write(piece);
  request.addTrailers({ 'x-count': '200' });
  request.end();
  const [response] = (await responseTo(request)) as [IncomingMessage];
  assert.equal(response.headers['transfer-encoding'], 'chunked');
  assert.ok((await collected(response)).equals(Buffer.concat(pieces)));
  assert.equal(response.trailers['x-count'], '200');
});

bothWays('100-continue: the body waits for the word of the server', async (t, way) => {
  const order: string[] = [];
  const { server, to, agent } = await site(t, way, echo);
  server.on('checkContinue', (request: IncomingMessage, response: http.ServerResponse) => {
    order.push('server: go on');
    response.writeContinue();
    request.pipe(response);
  });
  const headers = { expect: '100-continue' };
  const request = http.request({ agent, socketPath: to, method: 'POST', headers });
  request.flushHeaders();
  await responseTo(request, 'continue');
  order.push('client: body');
  request.end('the body');
  const [response] = (await responseTo(request)) as [IncomingMessage];
  assert.equal((await collected(response)).toString(), 'the body');
  assert.deepEqual(order, ['server: go on', 'client: body']);
});

bothWays('upgrade: the socket is handed over, with what came behind the head', async (t, way) => {
  const { server, to, agent } = await site(t, way, echo);
  server.on('upgrade', (_request: IncomingMessage, socket: Socket, head: Buffer) => {
    assert.ok(isOurs(socket));
    const switching = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade';
    socket.write(`${switching}\r\n\r\nfirst,`);
    socket.write(head);
    socket.pipe(socket);
  });
  const headers = { connection: 'Upgrade', upgrade: 'echo' };
  const request = http.request({ agent, socketPath: to, headers }).end();
  const [, socket, head] = (await happens(request, 'upgrade')) as [IncomingMessage, Socket, Buffer];
  assert.ok(isOurs(socket));
  const data = bytes(1024 * 1024);
  socket.end(data);
  const all = Buffer.concat([head, await collected(socket)]);
  assert.equal(sha256(all), sha256(Buffer.concat([Buffer.from('first,'), data])));
});

bothWays('CONNECT makes a tunnel', async (t, way) => {
  const { server, to, agent } = await site(t, way, echo);
  server.on('connect', (_request: IncomingMessage, socket: Socket) => {
    socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
    socket.pipe(socket);
  });
  const options = { agent, socketPath: to, method: 'CONNECT', path: 'elsewhere:1' };
  const request = http.request(options).end();
  const [, socket] = (await happens(request, 'connect')) as [IncomingMessage, Socket];
  socket.end('through the tunnel');
  assert.equal((await collected(socket)).toString(), 'through the tunnel');
});

bothWays(
  'a request over a socket that has ended already fails at once, as with net',
  async (t, way) => {
    const place = placeFor(t);
    const outcome = async (implementation: typeof nodeNet, name: string): Promise<unknown> => {
      const server = implementation.createServer((socket) => socket.end()).listen(name);
      t.after(() => server.close());
      const socket = implementation.connect(name).resume();
      await happens(socket, 'end');
      const request = http.get({ createConnection: () => socket });
      const [error] = (await happens(request, 'error')) as [NodeJS.ErrnoException];
      if (!socket.destroyed) await happens(socket, 'close');
      // A server that is given it does nothing with it either.
      http.createServer(() => assert.fail('no request')).emit('connection', socket);
      return [error.code, error.message, isOurs(socket)];
    };
    const theirs = await outcome(nodeNet, path.join(place.folder, 'net'));
    const implementation = way === 'hook' ? net : nodeNet;
    const ours = await outcome(implementation as typeof nodeNet, path.join(place.by[way], 'ours'));
    const [code, message] = theirs as string[];
    assert.deepEqual(theirs, [code, message, false]);
    assert.deepEqual(ours, [code, message, true]);
  },
);

bothWays('nginx in front (proxy_pass unix:), with bodies both ways', async (t, way) => {
  const place = placeFor(t);
  giveToNobody(place.folder);
  const server = http.createServer((request, response) => {
    void collected(request).then((body) =>
      response.end(`${request.url} ${sha256(body)} ${isOurs(request.socket)}`),
    );
  });
  const options = { path: path.join(place.by[way], 'back'), readableAll: true, writableAll: true };
  if (way === 'hook') serve(server, options);
  else server.listen(options);
  await happens(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const nginx = await startNginx(t, place.folder, path.join(place.folder, 'back'));
  if (nginx === null) return;
  const { front } = nginx;
  const post = async (i: number): Promise<void> => {
    const body = bytes(100_000 + i, i + 1);
    const request = http.request({ socketPath: front, path: `/${i}`, method: 'POST' }).end(body);
    const [response] = (await happens(request, 'response')) as [IncomingMessage];
    assert.equal((await collected(response)).toString(), `/${i} ${sha256(body)} true`);
  };
  await Promise.all(Array.from({ length: 50 }, (_, i) => post(i)));
});
