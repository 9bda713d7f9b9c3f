/** A peer that answers and leaves while a write to it waits: what it answered is told before the write's error. */
import assert from 'node:assert/strict';
import http from 'node:http';
import type { OnReadOpts, Socket, SocketConstructorOpts } from 'node:net';
import { bothFamilies, scenario, type Stage } from './scenario';
import { discard, happens, listen, receives } from '../helpers/sockets';

const LONG = 3_000_000;

/** A client with a write that waits, of a server that says `reply` and leaves once it has heard of the client. */
async function refused(
  stage: Stage,
  reply: Buffer,
  options: SocketConstructorOpts & { readonly onread?: OnReadOpts } = {},
): Promise<Socket> {
  const address = stage.address();
  await listen(stage, address, {}, (peer) => {
    peer.on('error', () => undefined);
    peer.once('readable', () => {
      peer.write(reply, () => peer.destroy());
    });
  });
  const client = new stage.net.Socket(options);
  discard(stage, client);
  stage.watch(client, 'client', ['end', 'error', 'close']);
  client.connect(address);
  client.write(Buffer.alloc(LONG), (error) => stage.trace('callback', error));
  return client;
}

function lastsUntilClosed(stage: Stage, client: Socket): Promise<unknown> {
  // The write that fails is an error, which is not this promise's.
  return new Promise((resolve) => client.once('close', resolve)).then(() => stage.settled());
}

scenario(
  "a server that says 'reply' and destroys: the reply, the end, then EPIPE, 60 of 60",
  async (stage) => {
    for (let i = 0; i < 60; i += 1) {
      const client = await refused(stage, Buffer.from('reply'));
      client.on('data', (chunk) => stage.trace('client', 'data', chunk));
      await lastsUntilClosed(stage, client);
      const error = {
        name: 'Error',
        code: 'EPIPE',
        errno: -32,
        syscall: 'write',
        message: 'write EPIPE',
      };
      // Newer versions of Node.js do not hear of the end in front of the error.
      const told = stage.lane('client').filter(([event]) => event !== 'end');
      assert.deepEqual(told.slice(-3), [
        ['data', { bytes: 'reply' }],
        ['error', error],
        ['close', true],
      ]);
    }
  },
  { over: bothFamilies },
);

scenario('a long reply is told as a whole before the error of the write', async (stage) => {
  const reply = Buffer.alloc(150_000, 'r');
  for (let i = 0; i < 10; i += 1) {
    const client = await refused(stage, reply);
    let received = 0;
    client.on('data', (chunk) => (received += chunk.length));
    await lastsUntilClosed(stage, client);
    stage.trace('received', received);
    assert.equal(received, reply.length);
  }
});

scenario('and so is one that goes into a buffer of the user', async (stage) => {
  const reply = Buffer.alloc(1000, 'r');
  for (let i = 0; i < 10; i += 1) {
    let received = 0;
    const client = await refused(stage, reply, {
      onread: {
        buffer: Buffer.alloc(64),
        callback(length: number) {
          received += length;
          return true;
        },
      },
    });
    await lastsUntilClosed(stage, client);
    stage.trace('received', received);
    assert.equal(received, reply.length);
  }
});

scenario("a reply that is read by 'readable' is there before the error", async (stage) => {
  const client = await refused(stage, Buffer.from('reply'));
  client.on('readable', () => {
    for (let chunk: unknown; (chunk = client.read()) !== null;) stage.trace('client', chunk);
  });
  await lastsUntilClosed(stage, client);
  assert.deepEqual(stage.lane('client')[0], [{ bytes: 'reply' }]);
});

scenario('a paused socket is told of the error, with what it holds', async (stage) => {
  const client = await refused(stage, Buffer.from('reply'));
  client.pause();
  client.on('error', () => stage.trace('client', 'holds', client.readableLength));
  await lastsUntilClosed(stage, client);
});

scenario('one that was read from before, and has a long write refused', async (stage) => {
  const address = stage.address();
  let peer: Socket | undefined;
  await listen(stage, address, {}, (accepted) => {
    peer = accepted;
    accepted.on('error', () => undefined);
  });
  const client = stage.net.connect(address);
  discard(stage, client);
  stage.watch(client, 'client', ['end', 'error', 'close']);
  await happens(client, 'connect');
  const first = receives(client, 20_000);
  while (peer === undefined) await stage.settled();
  peer.write(Buffer.alloc(20_000));
  await first;
  client.on('data', (chunk) => stage.trace('client', 'data', chunk));
  client.write(Buffer.alloc(LONG));
  await stage.settled();
  peer.write(Buffer.alloc(10_000));
  peer.destroy();
  await lastsUntilClosed(stage, client);
  assert.deepEqual(
    stage.lane('client').flatMap(([event]) => (event === 'end' ? [] : [event])),
    ['data', 'error', 'close'],
  );
});

scenario('and with no more to write than the kernel takes', async (stage) => {
  const address = stage.address();
  let peer: Socket | undefined;
  await listen(stage, address, { allowHalfOpen: true }, (accepted) => {
    peer = accepted;
    accepted.on('error', () => undefined);
  });
  const client = stage.net.connect(address);
  discard(stage, client);
  stage.watch(client, 'client', ['end', 'error', 'close']);
  await happens(client, 'connect');
  const first = receives(client, 20_000);
  while (peer === undefined) await stage.settled();
  peer.write(Buffer.alloc(20_000));
  await first;
  client.on('data', (chunk) => stage.trace('client', 'data', chunk));
  client.write('unread');
  await stage.settled();
  peer.write(Buffer.alloc(10_000));
  peer.destroy();
  await lastsUntilClosed(stage, client);
  assert.deepEqual(stage.lane('client')[0], ['data', { bytes: 10_000 }]);
});

scenario('HTTP 413 to a large POST arrives, 60 of 60', async (stage) => {
  const address = stage.path();
  const server = http.createServer((request, response) => {
    response.writeHead(413, { connection: 'close' });
    response.end('too large', () => request.socket.destroy());
  });
  const listener = stage.net.createServer((socket) => {
    discard(stage, socket);
    server.emit('connection', socket);
  });
  stage.defer(() => listener.close());
  listener.listen(address);
  await happens(listener, 'listening');
  for (let i = 0; i < 60; i += 1) {
    const status = await new Promise<unknown>((resolve) => {
      const request = http.request({
        method: 'POST',
        createConnection: () => stage.net.connect(address),
      });
      request.on('response', (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      request.on('error', (error) => resolve(Reflect.get(error, 'code')));
      request.end(Buffer.alloc(LONG));
    });
    stage.trace('status', status);
    assert.equal(status, 413);
  }
});
