/** Libraries that need no server but their own: over sockets of ours by their hooks, and by register. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import nodeNet, { type Socket } from 'node:net';
import path from 'node:path';
import tls, { type TLSSocket } from 'node:tls';
import type { TestContext } from 'node:test';
import {
  Client as GrpcClient,
  credentials,
  Server as GrpcServer,
  ServerCredentials,
} from '@grpc/grpc-js';
import express from 'express';
import fastify from 'fastify';
import * as rpc from 'vscode-jsonrpc/node';
import { WebSocket, WebSocketServer } from 'ws';
import net from 'afunix';
import { Agent, serve } from 'afunix/http';
import { certificate } from './certificate';
import { bytes, collected, happens, sha256 } from './support';
import { bothWays, isOurs, onOurs, placeFor, type Way } from './ways';

const connectBy = (way: Way, to: string): Socket =>
  way === 'hook' ? net.connect(to) : nodeNet.connect(to);

function addressFor(t: TestContext, way: Way): string {
  return path.join(placeFor(t).by[way], 's');
}

async function httpServer(
  t: TestContext,
  way: Way,
  to: string,
  server: http.Server,
): Promise<void> {
  if (way === 'hook') serve(server, to);
  else server.listen(to);
  await happens(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
}

async function get(way: Way, to: string, at = '/'): Promise<string> {
  const agent = way === 'hook' ? new Agent() : undefined;
  const request = http.get({ socketPath: to, path: at, agent });
  const [response] = (await happens(request, 'response')) as [http.IncomingMessage];
  assert.ok(isOurs(response.socket));
  return (await collected(response)).toString();
}

bothWays('express', async (t, way) => {
  const to = addressFor(t, way);
  const app = express();
  app.use(express.json());
  app.get(
    '/hello',
    (request, response) => void response.json({ path: request.path, ip: request.ip ?? null }),
  );
  if (way === 'hook') {
    await httpServer(t, way, to, http.createServer(app));
  } else {
    const server = app.listen(to);
    await happens(server, 'listening');
    t.after(() => server.close());
  }
  assert.deepEqual(JSON.parse(await onOurs(() => get(way, to, '/hello'))), {
    path: '/hello',
    ip: null,
  });
});

bothWays('fastify', async (t, way) => {
  const to = addressFor(t, way);
  let server: http.Server | undefined;
  const app = fastify({
    ...(way === 'hook'
      ? {
          serverFactory: (handler: http.RequestListener) => {
            server = http.createServer(handler);
            server.listen = ((options: object, callback: () => void) =>
              serve(server as http.Server, options, callback)) as typeof server.listen;
            return server;
          },
        }
      : {}),
  });
  app.get('/hello', (request) => ({ ours: isOurs(request.socket) }));
  assert.equal(await app.listen({ path: to }), to);
  const text = await get(way, to, '/hello');
  assert.deepEqual(JSON.parse(text), { ours: true });
  await app.close();
});

bothWays(
  'ws: text, binary, fragments of 5 MB, ping, and a close from either side',
  async (t, way) => {
    const to = addressFor(t, way);
    const server = http.createServer();
    const sockets = new WebSocketServer({ server });
    sockets.on('connection', (socket) => {
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    });
    await httpServer(t, way, to, server);
    const createConnection = (() => connectBy(way, to)) as typeof nodeNet.createConnection;
    const open = async (): Promise<WebSocket> => {
      const socket =
        way === 'hook'
          ? new WebSocket('ws://localhost/', { createConnection })
          : new WebSocket(`ws+unix:${to}:/`);
      await once(socket, 'open');
      return socket;
    };
    const socket = await onOurs(open);
    const answers: [data: Buffer, isBinary: boolean][] = [];
    const all = new Promise<void>((resolve) => {
      socket.on('message', (data: Buffer, isBinary: boolean) => {
        answers.push([data, isBinary]);
        if (answers.length === 102) resolve();
      });
    });
    const large = bytes(5_000_000);
    for (let i = 0; i < 100; i += 1) socket.send(`message ${i}`);
    socket.send(large.subarray(0, 2_000_000), { fin: false });
    socket.send(large.subarray(2_000_000), { fin: true });
    socket.send(Buffer.alloc(0));
    const ponged = once(socket, 'pong');
    socket.ping();
    await Promise.all([all, ponged]);
    assert.deepEqual(
      answers.slice(0, 100).map(([data]) => data.toString()),
      Array.from({ length: 100 }, (_, i) => `message ${i}`),
    );
    const [whole, isBinary] = answers[100] ?? [Buffer.alloc(0), false];
    assert.ok(isBinary && whole.equals(large));
    assert.equal(answers[101]?.[0].length, 0);
    const closed = once(socket, 'close');
    socket.close(4000, 'enough');
    assert.equal((await closed)[0], 4000);
    const second = await open();
    const told = once(second, 'close');
    for (const peer of sockets.clients) peer.close(4001);
    assert.equal((await told)[0], 4001);
    sockets.close();
  },
);

bothWays('vscode-jsonrpc: requests, notifications and cancellation', async (t, way) => {
  const to = addressFor(t, way);
  const server = (way === 'hook' ? net : nodeNet).createServer((socket) => {
    const connection = rpc.createMessageConnection(
      new rpc.SocketMessageReader(socket),
      new rpc.SocketMessageWriter(socket),
    );
    connection.onRequest('add', (a: number, b: number) => a + b);
    connection.onRequest(
      'wait',
      (token: rpc.CancellationToken) =>
        new Promise((resolve) => {
          token.onCancellationRequested(() => resolve('cancelled'));
          void connection.sendNotification('waiting');
        }),
    );
    connection.onNotification(
      'tell',
      (text: string) => void connection.sendNotification('told', text),
    );
    connection.listen();
  });
  server.listen(to);
  t.after(() => server.close());
  await happens(server, 'listening');
  const socket = connectBy(way, to);
  t.after(() => socket.destroy());
  const client = rpc.createMessageConnection(
    new rpc.SocketMessageReader(socket),
    new rpc.SocketMessageWriter(socket),
  );
  client.listen();
  const sums = await onOurs(() =>
    Promise.all(Array.from({ length: 500 }, (_, i) => client.sendRequest<number>('add', i, 1))),
  );
  assert.deepEqual(
    sums,
    Array.from({ length: 500 }, (_, i) => i + 1),
  );
  const long = 'λ'.repeat(300_000);
  const told = new Promise((resolve) => client.onNotification('told', resolve));
  await client.sendNotification('tell', long);
  assert.equal(await told, long);
  const source = new rpc.CancellationTokenSource();
  const waiting = new Promise<void>((resolve) => client.onNotification('waiting', resolve));
  const answer = client.sendRequest('wait', source.token);
  await waiting;
  source.cancel();
  assert.equal(await answer, 'cancelled');
  client.dispose();
});

const method = {
  path: '/echo.Echo/Say',
  requestStream: false,
  responseStream: false,
  requestSerialize: (value: Buffer) => value,
  requestDeserialize: (value: Buffer) => value,
  responseSerialize: (value: Buffer) => value,
  responseDeserialize: (value: Buffer) => value,
};

bothWays('@grpc/grpc-js: calls to a unix: target', async (t, way) => {
  const to = addressFor(t, way);
  const server = new GrpcServer({ 'grpc.max_receive_message_length': -1 });
  server.addService(
    { say: method },
    {
      say: (call: { request: Buffer }, done: (e: null, v: Buffer) => void) =>
        done(null, call.request),
    },
  );
  if (way === 'hook') {
    // Its server takes connections that somebody else has accepted; its client has no hook, so that is of net here.
    const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
    const listener = net.createServer((socket) => injector.injectConnection(socket));
    listener.listen(to);
    await happens(listener, 'listening');
    t.after(() => listener.close());
  } else {
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(`unix:${to}`, ServerCredentials.createInsecure(), (error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
  }
  const options = { 'grpc.max_receive_message_length': -1 };
  const client = new GrpcClient(`unix:${to}`, credentials.createInsecure(), options);
  const call = (request: Buffer): Promise<Buffer | undefined> =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        (error, value) => {
          if (error === null) resolve(value);
          else reject(error);
        },
      );
    });
  const requests = [
    ...Array.from({ length: 200 }, (_, i) => Buffer.from(`call ${i}`)),
    bytes(6_000_000),
  ];
  const answers = await onOurs(() => Promise.all(requests.map(call)));
  answers.forEach((answer, i) =>
    assert.ok(answer?.equals(requests[i] ?? Buffer.alloc(0)), `call ${i}`),
  );
  client.close();
  server.forceShutdown();
});

bothWays('node:tls over our sockets at both ends, 20 MB each way', async (t, way) => {
  const to = addressFor(t, way);
  const { key, cert } = certificate(t);
  const context = tls.createSecureContext({ key, cert });
  // Otherwise a socket ends when its peer does, under a TLS that has more to say.
  const implementation = (way === 'hook' ? net : nodeNet) as typeof nodeNet;
  const server = implementation.createServer({ allowHalfOpen: true }, (socket) => {
    const secure = new tls.TLSSocket(socket, { isServer: true, secureContext: context });
    secure.pipe(secure);
  });
  server.listen(to);
  t.after(() => server.close());
  await happens(server, 'listening');
  const raw = connectBy(way, to);
  assert.ok(isOurs(raw));
  await happens(raw, 'connect');
  // It is connected already, which node:tls has to notice.
  const secure: TLSSocket = tls.connect({ socket: raw, ca: cert, servername: 'localhost' });
  t.after(() => secure.destroy());
  await happens(secure, 'secureConnect');
  assert.equal(secure.authorized, true);
  const data = bytes(20_000_000);
  secure.end(data);
  const echoed = await collected(secure);
  assert.equal(sha256(echoed), sha256(data));
});
