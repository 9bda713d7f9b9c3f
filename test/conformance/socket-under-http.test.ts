/** node:http, node:http2 and node:tls over the socket. */
import assert from 'node:assert/strict';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import type { Server, Socket } from 'node:net';
import tls from 'node:tls';
import { bothFamilies, scenario, type Stage } from './scenario';
import { inChild } from '../helpers/child';
import {
  discard,
  happens,
  listen,
  listenerCounts,
  pattern,
  received,
  receives,
} from '../helpers/sockets';

/** A node:http server behind a server of the implementation, as `emit('connection')` allows. */
async function httpServer(
  stage: Stage,
  address: string,
  handler: http.RequestListener,
): Promise<http.Server> {
  const server = http.createServer(handler);
  await listen(
    stage,
    address,
    { allowHalfOpen: true },
    (peer) => void server.emit('connection', peer),
  );
  return server;
}

interface Answer {
  readonly status: number | undefined;
  readonly body: string;
}

function request(options: http.RequestOptions, body?: string | Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = http.request(options, (incoming) => {
      let text = '';
      incoming.setEncoding('utf8');
      incoming.on('data', (chunk: string) => (text += chunk));
      incoming.on('end', () => resolve({ status: incoming.statusCode, body: text }));
      incoming.on('error', reject);
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

scenario(
  'http: requests and answers go over a socket of createConnection',
  async (stage) => {
    const address = stage.address();
    await httpServer(stage, address, (incoming, outgoing) => {
      let length = 0;
      incoming.on('data', (chunk: Buffer) => (length += chunk.length));
      incoming.on('end', () => outgoing.end(`${incoming.method} ${incoming.url} ${length}`));
    });
    const createConnection = (): Socket => {
      const socket = stage.net.connect(address);
      discard(stage, socket);
      return socket;
    };
    const get = await request({ createConnection, path: '/get' });
    const post = await request(
      { createConnection, path: '/post', method: 'POST' },
      pattern(1_000_000),
    );
    stage.trace('answers', get, post);
    assert.deepEqual(get, { status: 200, body: 'GET /get 0' });
    assert.deepEqual(post, { status: 200, body: 'POST /post 1000000' });
  },
  { over: bothFamilies },
);

/** An agent that keeps its connections, made by the implementation. */
function keepingAgent(stage: Stage, address: string, made: Socket[]): http.Agent {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const connect = (): Socket => {
    const socket = stage.net.connect(address);
    discard(stage, socket);
    made.push(socket);
    return socket;
  };
  Reflect.set(agent, 'createConnection', connect);
  stage.defer(() => agent.destroy());
  return agent;
}

scenario(
  'http: a kept-alive socket is used again, and its listeners do not add up',
  async (stage) => {
    const address = stage.address();
    await httpServer(stage, address, (incoming, outgoing) => {
      incoming.resume();
      outgoing.end(incoming.url);
    });
    const made: Socket[] = [];
    const agent = keepingAgent(stage, address, made);
    const counts: unknown[] = [];
    for (let round = 0; round < 10; round += 1) {
      const answer = await request({ agent, path: `/${round}` });
      assert.equal(answer.body, `/${round}`);
      await stage.settled();
      const [socket] = made;
      assert.ok(socket !== undefined);
      counts.push(listenerCounts(socket));
    }
    assert.equal(made.length, 1, 'one connection for all');
    stage.trace('listeners', counts[0], counts[9]);
    assert.deepEqual(counts[9], counts[1]);
  },
);

scenario(
  "http: an idle kept-alive socket notices the peer's FIN at once, and is not used again",
  async (stage) => {
    const address = stage.address();
    const accepted: Socket[] = [];
    const server = await httpServer(stage, address, (incoming, outgoing) => {
      incoming.resume();
      outgoing.end('ok');
    });
    server.on('connection', (socket) => accepted.push(socket));
    const made: Socket[] = [];
    const agent = keepingAgent(stage, address, made);
    await request({ agent });
    const [socket] = made;
    const [peer] = accepted;
    assert.ok(socket !== undefined && peer !== undefined);
    const closed = happens(socket, 'close');
    peer.end();
    await closed;
    const second = await request({ agent });
    stage.trace('second', second, made.length);
    assert.equal(second.body, 'ok');
    assert.equal(made.length, 2);
  },
);

/**
 * Between a server socket and its native handle http puts 'pause' and 'resume' listeners, and it takes
 * them off again only where there is such a handle; all others are its own business with any socket.
 */
function countsAfterUpgrade(socket: Socket): Record<string, number> {
  const { pause, resume, ...counts } = listenerCounts(socket);
  assert.ok(pause !== undefined && pause <= 1 && pause === resume);
  return counts;
}

scenario(
  'http: an upgrade hands over the socket with exactly the listeners that net has',
  async (stage) => {
    const address = stage.address();
    const server = await httpServer(stage, address, () => assert.fail('not a plain request'));
    const upgraded = new Promise<Socket>((resolve) => {
      server.on('upgrade', (_incoming, socket, head) => {
        stage.trace('server', 'head', head.toString(), countsAfterUpgrade(socket as Socket));
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n',
        );
        socket.pipe(socket);
        resolve(socket as Socket);
      });
    });
    const outgoing = http.request({
      createConnection: () => {
        const socket = stage.net.connect(address);
        discard(stage, socket);
        return socket;
      },
      headers: { Connection: 'Upgrade', Upgrade: 'echo' },
    });
    const socket = await new Promise<Socket>((resolve) => {
      outgoing.on('upgrade', (_incoming, given, head) => {
        stage.trace('client', 'head', head.toString(), countsAfterUpgrade(given));
        resolve(given);
      });
      outgoing.end();
    });
    await upgraded;
    const echo = receives(socket, 7);
    socket.write('through');
    assert.equal((await echo).toString(), 'through');
  },
);

scenario('http: pipelined requests are answered in order', async (stage) => {
  const address = stage.address();
  await httpServer(stage, address, (incoming, outgoing) => {
    const delay = incoming.url === '/1' ? 5 : 0;
    setTimeout(() => outgoing.end(incoming.url), delay);
  });
  const client = stage.net.connect(address);
  discard(stage, client);
  const paths = ['/1', '/2', '/3', '/4'];
  client.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''));
  let text = '';
  await new Promise<void>((resolve) => {
    client.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes('/4')) resolve();
    });
  });
  const order = [...text.matchAll(/\r\n(\/\d)/g)].map(([, path]) => path);
  stage.trace('order', order);
  assert.deepEqual(order, paths);
});

scenario('http: setTimeout() of a request and of the server work', async (stage) => {
  const address = stage.address();
  const server = await httpServer(stage, address, () => undefined);
  const serverTimeout = new Promise<void>((resolve) => {
    server.setTimeout(30, (socket) => {
      stage.trace('server', 'timeout');
      socket.destroy();
      resolve();
    });
  });
  const outgoing = http.get({
    createConnection: () => {
      const socket = stage.net.connect(address);
      discard(stage, socket);
      return socket;
    },
  });
  const failed = new Promise<NodeJS.ErrnoException>((resolve) => outgoing.on('error', resolve));
  await serverTimeout;
  const error = await failed;
  stage.trace('client', error.code, error.message);
  assert.equal(error.code, 'ECONNRESET');
});

scenario(
  'http: bytesWritten and bytesRead of the socket under a request are live',
  async (stage) => {
    const address = stage.address();
    await httpServer(stage, address, (incoming, outgoing) => {
      incoming.resume();
      incoming.on('end', () => outgoing.end('x'.repeat(1000)));
    });
    const client = stage.net.connect(address);
    discard(stage, client);
    await request({ createConnection: () => client, method: 'POST' }, 'y'.repeat(5000));
    assert.ok(client.bytesWritten > 5000);
    assert.ok(client.bytesRead > 1000);
  },
);

scenario(
  'http: what a listener throws reaches the domain that the request was made in',
  async (stage) => {
    const outcome = await inChild(stage, stage.path(), ({ net, require, address, say }) => {
      const domain = require('node:domain') as typeof import('node:domain');
      const { createServer, get } = require('node:http') as typeof import('node:http');
      const server = createServer((_incoming, outgoing) => outgoing.end('ok'));
      const listener = net.createServer((peer) => void server.emit('connection', peer));
      process.on('uncaughtException', (error) => say(`outside: ${error.message}`));
      listener.listen(address, () => {
        const inside = domain.create();
        inside.on('error', (error: Error) => {
          say(`inside: ${error.message}`);
          listener.close();
        });
        inside.run(() => {
          get({ createConnection: () => net.connect(address) }, (incoming) => {
            incoming.resume();
            incoming.on('end', () => {
              throw new Error('in the answer');
            });
          });
        });
      });
    });
    stage.trace('child', outcome.code, outcome.stdout);
    assert.equal(outcome.stdout, 'inside: in the answer\n');
    assert.equal(outcome.code, 0);
  },
);

scenario('http2: a session runs over the socket', async (stage) => {
  const address = stage.address();
  const server = http2.createServer((incoming, outgoing) => {
    let length = 0;
    incoming.on('data', (chunk: Buffer) => (length += chunk.length));
    incoming.on('end', () => outgoing.end(`${incoming.url} ${length}`));
  });
  await listen(
    stage,
    address,
    { allowHalfOpen: true },
    (peer) => void server.emit('connection', peer),
  );
  const session = http2.connect('http://localhost', {
    createConnection: () => {
      const socket = stage.net.connect(address);
      discard(stage, socket);
      return socket;
    },
  });
  stage.defer(() => session.destroy());
  const answers = await Promise.all(
    Array.from({ length: 10 }, async (_, number) => {
      const stream = session.request({ ':path': `/${number}`, ':method': 'POST' });
      stream.end(pattern(50_000));
      let text = '';
      for await (const chunk of stream) text += String(chunk);
      return text;
    }),
  );
  const closed = happens(session, 'close');
  session.close();
  await closed;
  stage.trace('answers', answers);
  assert.deepEqual(
    answers,
    Array.from({ length: 10 }, (_, number) => `/${number} 50000`),
  );
});

/** Both ends know a key: there is no certificate to be made. */
const key = Buffer.alloc(16, 7);
const shared = { ciphers: 'PSK+AES128:@SECLEVEL=0', maxVersion: 'TLSv1.2' } as const;
const ofServer = { ...shared, pskCallback: (): Buffer => key } as tls.TlsOptions;
const ofClient: tls.ConnectionOptions = {
  ...shared,
  pskCallback: () => ({ psk: key, identity: 'tester' }),
  checkServerIdentity: () => undefined,
};

scenario(
  'https: bodies of all lengths are echoed over connections that are kept',
  async (stage) => {
    const address = stage.address();
    const server = https.createServer(ofServer, (incoming, outgoing) => incoming.pipe(outgoing));
    server.on('clientError', (error) => stage.trace('server', error));
    await listen(
      stage,
      address,
      { allowHalfOpen: true },
      (peer) => void server.emit('connection', peer),
    );
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    stage.defer(() => agent.destroy());
    let connections = 0;
    Reflect.set(agent, 'createConnection', () => {
      connections += 1;
      const below = stage.net.connect(address);
      discard(stage, below);
      return tls.connect({ socket: below, ...ofClient });
    });
    for (let length = 14_000; length < 40_000; length += 1000) {
      const body = await new Promise<Buffer>((resolve, reject) => {
        const outgoing = https.request({ agent, method: 'POST' }, (incoming) => {
          const chunks: Buffer[] = [];
          incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
          incoming.on('end', () => resolve(Buffer.concat(chunks)));
        });
        outgoing.on('error', reject);
        outgoing.end(pattern(length));
      });
      assert.ok(body.equals(pattern(length)));
    }
    stage.trace('connections', connections);
  },
);

scenario('tls: an encrypted connection runs over the socket', async (stage) => {
  const address = stage.address();
  const server: Server = tls.createServer(ofServer, (socket) => socket.pipe(socket));
  await listen(
    stage,
    address,
    { allowHalfOpen: true },
    (peer) => void server.emit('connection', peer),
  );
  const below = stage.net.connect(address);
  discard(stage, below);
  const client = tls.connect({ socket: below, ...ofClient });
  stage.defer(() => client.destroy());
  client.on('error', (error) => stage.trace('client', error));
  await happens(client, 'secureConnect');
  const content = pattern(300_000);
  const text = received(client);
  client.end(content);
  assert.ok((await text).equals(content));
});
