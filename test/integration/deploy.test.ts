/** The configuration files of examples/deploy, each run by its program in front of a service of ours. */
import assert from 'node:assert/strict';
import http from 'node:http';
import type { Socket } from 'node:net';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { serve } from 'afunix/http';
import { frontNames, startFront, type Front } from './deployed';
import { giveToNobody } from './server-program';
import { bytes, collected, happens, sha256 } from './support';
import { bothWays, isOurs, onOurs, placeFor, type Way } from './ways';

/** Longer than any proxy keeps an idle connection, as docs/deploy.md asks for. */
const KEEP_ALIVE = 75_000;

interface Service {
  readonly http: http.Server;
  readonly connections: Socket[];
  close(): Promise<void>;
}

/** Answers with what it got; echoes WebSocket messages. */
async function startService(t: TestContext, way: Way, to: string): Promise<Service> {
  const server = http.createServer({ keepAliveTimeout: KEEP_ALIVE }, (request, response) => {
    void collected(request).then((body) => {
      const forwarded = String(request.headers['x-forwarded-for']);
      response.end(
        `${request.url} ${sha256(body)} ${isOurs(request.socket)} ${request.headers.host} ${forwarded}`,
      );
    });
  });
  const connections: Socket[] = [];
  server.on('connection', (socket: Socket) => connections.push(socket));
  const sockets = new WebSocketServer({ server, path: '/socket' });
  sockets.on('connection', (socket) => {
    socket.on('message', (message, binary) => socket.send(message, { binary }));
  });
  const options = { path: to, readableAll: true, writableAll: true };
  if (way === 'hook') serve(server, options);
  else server.listen(options);
  await happens(server, 'listening');
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= new Promise((resolve) => server.close(() => resolve()));
    for (const socket of sockets.clients) socket.terminate();
    server.closeAllConnections();
    return closing;
  };
  t.after(close);
  return { http: server, connections, close };
}

interface Site {
  readonly front: Front;
  readonly service: Service;
  startAgain(): Promise<Service>;
}

async function siteOf(t: TestContext, name: string, way: Way): Promise<Site | null> {
  const place = placeFor(t);
  giveToNobody(place.folder);
  const startAgain = (): Promise<Service> =>
    startService(t, way, path.join(place.by[way], 'http.sock'));
  const service = await startAgain();
  const front = await startFront(t, name, place.folder, path.join(place.folder, 'http.sock'));
  return front && { front, service, startAgain };
}

interface Answer {
  readonly status: number | undefined;
  readonly text: string;
}

async function ask(
  { port }: Front,
  options: http.RequestOptions,
  body?: Uint8Array,
): Promise<Answer> {
  const request = http.request({ host: '127.0.0.1', port, method: 'POST', ...options }).end(body);
  const [response] = (await happens(request, 'response')) as [http.IncomingMessage];
  return { status: response.statusCode, text: (await collected(response)).toString() };
}

for (const name of frontNames) {
  bothWays(`${name}: requests at the same time, each with its own answer`, async (t, way) => {
    const site = await siteOf(t, name, way);
    if (site === null) return;
    const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
    t.after(() => agent.destroy());
    const host = `127.0.0.1:${site.front.port}`;
    const post = async (i: number): Promise<void> => {
      const body = bytes(i % 10 === 0 ? 1_000_000 : 5_000 + i, i + 1);
      const { status, text } = await ask(site.front, { agent, path: `/${i}` }, body);
      assert.equal(text, `/${i} ${sha256(body)} true ${host} 127.0.0.1`);
      assert.equal(status, 200);
    };
    await onOurs(() => Promise.all(Array.from({ length: 100 }, (_, i) => post(i))));
  });

  bothWays(`${name}: requests in turn use a connection again`, async (t, way) => {
    const site = await siteOf(t, name, way);
    if (site === null) return;
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    for (let i = 0; i < 50; i += 1) {
      const { status } = await ask(site.front, { agent, path: `/${i}` }, bytes(10));
      assert.equal(status, 200);
    }
    assert.equal(site.service.connections.length, 1);
  });

  bothWays(`${name}: a WebSocket, whose messages come back as they were`, async (t, way) => {
    const site = await siteOf(t, name, way);
    if (site === null) return;
    const socket = new WebSocket(`ws://127.0.0.1:${site.front.port}/socket`);
    t.after(() => socket.terminate());
    await happens(socket, 'open');
    for (const size of [1, 1_000, 200_000]) {
      const message = bytes(size, size);
      socket.send(message);
      const [answer, binary] = (await happens(socket, 'message')) as [Buffer, boolean];
      assert.ok(answer.equals(message) && binary);
    }
    const closed = happens(socket, 'close');
    socket.close(1000);
    assert.equal((await closed)[0], 1000);
    // And those that ask for nothing are served beside it.
    assert.equal((await ask(site.front, { path: '/' })).status, 200);
  });

  bothWays(`${name}: the service goes away and comes back, three times`, async (t, way) => {
    const site = await siteOf(t, name, way);
    if (site === null) return;
    let { service } = site;
    const agent = new http.Agent({ keepAlive: true });
    t.after(() => agent.destroy());
    for (let round = 0; round < 3; round += 1) {
      const path = `/${round}`;
      assert.equal((await ask(site.front, { agent, path })).status, 200);
      await service.close();
      assert.equal((await ask(site.front, { agent, path })).status, site.front.whileAway);
      service = await site.startAgain();
      assert.equal((await ask(site.front, { agent, path })).status, 200);
    }
  });
}
