/** TLS over sockets of ours: bodies of a middle length over keep-alive, and a second TLS inside the first. */
import assert from 'node:assert/strict';
import https from 'node:https';
import path from 'node:path';
import { test } from 'node:test';
import tls from 'node:tls';
import net from 'afunix';
import { certificate } from './certificate';
import { folder, happens } from './support';

test('https: 100 bodies of 17 to 36 KB come back whole over one connection', async (t) => {
  const to = path.join(folder(t), 's');
  const server = https.createServer(certificate(t), (request, response) => request.pipe(response));
  const failures: Error[] = [];
  let answered = 0;
  server.on('clientError', (error) => {
    // Who hangs up in the end is no failure.
    if (answered < 100) failures.push(error);
  });
  let connections = 0;
  const listener = net.createServer((socket) => {
    connections += 1;
    server.emit('connection', socket);
  });
  listener.listen(to);
  await happens(listener, 'listening');
  class Agent extends https.Agent {
    override createConnection(): tls.TLSSocket {
      return tls.connect({ socket: net.connect(to), rejectUnauthorized: false });
    }
  }
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => {
    agent.destroy();
    server.closeAllConnections();
    listener.close();
  });
  for (const size of [17_000, 20_000, 30_000, 36_000]) {
    const body = Buffer.alloc(size, 'b');
    for (let i = 0; i < 25; i += 1) {
      const echoed = await new Promise<Buffer>((resolve, reject) => {
        const request = https.request({ agent, method: 'POST' }, (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('end', () => resolve(Buffer.concat(chunks)));
        });
        request.on('error', reject);
        request.end(body);
      });
      answered += 1;
      assert.ok(echoed.equals(body), `${size} bytes, round ${i}`);
    }
  }
  assert.deepEqual(failures, []);
  assert.equal(connections, 1);
});

test('TLS inside TLS: 40,000 bytes and their end, 20 of 20', async (t) => {
  const place = folder(t);
  const identity = certificate(t);
  const inner = tls.createServer(identity, (socket) => socket.end(Buffer.alloc(40_000)));
  const behind = net.createServer((socket) => inner.emit('connection', socket));
  const outer = tls.createServer(identity, (socket) => {
    const onward = net.connect(path.join(place, 'inner'));
    socket.pipe(onward).pipe(socket);
  });
  const front = net.createServer((socket) => outer.emit('connection', socket));
  behind.listen(path.join(place, 'inner'));
  front.listen(path.join(place, 'outer'));
  await Promise.all([happens(behind, 'listening'), happens(front, 'listening')]);
  t.after(() => {
    front.close();
    behind.close();
  });
  for (let i = 0; i < 20; i += 1) {
    const first = tls.connect({
      socket: net.connect(path.join(place, 'outer')),
      rejectUnauthorized: false,
    });
    const second = tls.connect({ socket: first, rejectUnauthorized: false });
    let received = 0;
    second.on('data', (chunk: Buffer) => (received += chunk.length));
    await happens(second, 'close');
    assert.equal(received, 40_000);
  }
});
