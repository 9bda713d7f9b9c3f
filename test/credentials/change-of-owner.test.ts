/** A listener or connection that changes its owner takes its rules along, or it cannot go. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { linkSync } from 'node:fs';
import http from 'node:http';
import nodeNet from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import net, { type Server, type Socket } from 'afunix';
import { type Refusal, type PeerCredentials, sameUser, uid } from 'afunix/credentials';
import { serve as serveHttp } from 'afunix/http';
import { RawSocket } from 'afunix/raw';
import seqpacket from 'afunix/seqpacket';
import { happens } from '../helpers/sockets';
import {
  connect,
  gone,
  needs,
  NOBODY,
  serve,
  sharedPath,
  startClient,
  withoutPython,
  withoutRoot,
} from './support';

const asSomebodyElse = needs(withoutRoot(), withoutPython());
const UNGUARDED = { code: 'ERR_AFUNIX_UNGUARDED' };

/** Through a message, as to another thread. */
function sent<T>(transferred: T): T {
  const { ...fields } = transferred;
  return structuredClone(fields);
}

/** Leaves the listener to whoever else has it; its path goes with `server`, another name stays. */
async function alone(server: Server, path: string): Promise<string> {
  const name = `${path}2`;
  linkSync(path, name);
  const closed = happens(server, 'close');
  server.close();
  await closed;
  return name;
}

async function listening(t: TestContext, server: Server): Promise<void> {
  t.after(() => server.close());
  await happens(server, 'listening');
}

describe('a server that is transferred', () => {
  test('is not received with less than it had: no limit stands for authorize', async (t) => {
    const { server } = await serve(t, 'stream', { authorize: sameUser() });
    const message = sent(net.transfer(server));
    assert.throws(() => net.receive(message), UNGUARDED);
    assert.throws(() => net.receive(message, { maxConnectionsPerUid: 100 }), UNGUARDED);
    assert.throws(() => net.receive(message, { authorizeTimeout: 1 }), UNGUARDED);
    // A message that somebody has put together by hand.
    for (const fields of [{}, { guarded: true }, { authorized: true }]) {
      const { ticket } = message;
      const made = { transferred: 'server', ticket, ...fields } as unknown as typeof message;
      assert.throws(() => net.receive(made), UNGUARDED);
    }
    assert.throws(() => net.receive(message, { authorize: null as never }), {
      code: 'ERR_INVALID_ARG_TYPE',
    });
    const received = net.receive(message, { authorize: uid(NOBODY + 1) });
    await listening(t, received);
  });

  test('lets no other user in where it is received', asSomebodyElse, async (t) => {
    const { server, path, sockets } = await serve(t, 'stream', { authorize: sameUser() });
    const received = net.receive(sent(net.transfer(server)), { authorize: sameUser() });
    await listening(t, received);
    const name = await alone(server, path);
    received.on('connection', () => assert.fail('admitted'));
    const refused = happens(received, 'refused');
    startClient(t, 'stream', name, { uid: NOBODY });
    const [peer] = (await refused) as [PeerCredentials];
    assert.equal(peer.uid, NOBODY);
    assert.deepEqual(sockets, []);
  });

  test('has its limits where it is received, unless others are given', async (t) => {
    for (const [given, most] of [
      [{}, 1],
      [{ maxConnectionsPerUid: 2 }, 2],
    ] as const) {
      const { server, path } = await serve(t, 'stream', { maxConnectionsPerUid: 1 });
      const received = net.receive(sent(net.transfer(server)), given);
      await listening(t, received);
      const name = await alone(server, path);
      for (let i = 0; i < most; i += 1) {
        const connected = happens(received, 'connection');
        connect(t, 'stream', name);
        const [socket] = (await connected) as [Socket];
        t.after(() => socket.destroy());
      }
      const refused = happens(received, 'refused');
      await gone(connect(t, 'stream', name));
      const [, refusal] = (await refused) as [PeerCredentials, Refusal];
      assert.equal(refusal.code, 'maxConnectionsPerUid');
    }
  });
});

describe('a server that is guarded', () => {
  const guardedSite = async (t: TestContext): Promise<[http.Server, string]> => {
    const path = sharedPath(t);
    const server = http.createServer((_, response) => response.end('secret'));
    serveHttp(server, { path, mode: 0o666, authorize: sameUser() });
    await happens(server, 'listening');
    t.after(() => server.close());
    return [server, path];
  };

  test('cannot be sent to another process, and goes on as it was', asSomebodyElse, async (t) => {
    const [server, path] = await guardedSite(t);
    const stdio = ['pipe', 'ignore', 'inherit', 'ipc'] as const;
    const child = spawn(process.execPath, ['-e', "process.on('message', () => 0)"], {
      stdio: [...stdio],
    });
    t.after(() => child.kill('SIGKILL'));
    assert.throws(() => child.send('take it', server), UNGUARDED);
    server.on('request', () => assert.fail('a request'));
    const refused = happens(server, 'refused');
    startClient(t, 'stream', path, { uid: NOBODY });
    const [peer] = (await refused) as [PeerCredentials];
    assert.equal(peer.uid, NOBODY);
  });

  test('has no handle that another server could listen on', async (t) => {
    const [server] = await guardedSite(t);
    const { server: ours } = await serve(t, 'stream', { authorize: sameUser() });
    for (const guarded of [server, ours] as unknown as nodeNet.ListenOptions[]) {
      for (const other of [http.createServer(), nodeNet.createServer(), net.createServer()]) {
        assert.throws(() => other.listen(guarded), {
          code: 'ERR_INVALID_ARG_VALUE',
        });
      }
    }
    assert.equal(server.listening, true);
    server.unref();
    server.ref();
  });
});

describe('authorize for a connection that exists already is an error, and the connection is left alone', () => {
  const options = { authorize: sameUser() };

  test('of stream sockets', (t) => {
    const [one, other] = net.socketpair();
    t.after(() => other.destroy());
    t.after(() => one.destroy());
    assert.throws(() => net.socketpair(options as object), UNGUARDED);
    assert.throws(() => one.toNetSocket(options as object), UNGUARDED);
    const { descriptor } = one.detach();
    for (const cast of ['toSocket', 'toNetSocket'] as const) {
      assert.throws(() => descriptor[cast](options as object), UNGUARDED);
    }
    assert.throws(() => net.Socket.from(descriptor, options as object), UNGUARDED);
    assert.throws(() => new net.Socket({ fd: descriptor.fd, ...options }), UNGUARDED);
    const again = descriptor.toSocket();
    t.after(() => again.destroy());
    const message = sent(net.transfer(again));
    assert.throws(() => net.receive(message, options as object), UNGUARDED);
    net.receive(message).destroy();
  });

  test('of message sockets', (t) => {
    assert.throws(() => seqpacket.socketpair(options as object), UNGUARDED);
    const [one, other] = RawSocket.socketpair('seqpacket');
    t.after(() => other.close());
    t.after(() => one.close());
    assert.throws(() => new seqpacket.Socket({ fd: one.fd, ...options }), UNGUARDED);
    assert.equal(one.closed, false);
  });
});

describe('authorize that a socket was made with', () => {
  for (const kind of ['stream', 'seqpacket'] as const) {
    test(`holds wherever it connects (${kind})`, async (t) => {
      const { path } = await serve(t, kind);
      const options = { authorize: () => false };
      const client = (kind === 'stream'
        ? new net.Socket(options as object).connect(path)
        : new seqpacket.Socket(options as object).connect(path)) as unknown as Socket;
      const [error] = (await happens(client, 'error')) as [NodeJS.ErrnoException];
      assert.equal(error.code, 'ERR_AFUNIX_REFUSED');
    });
  }

  test('cannot be held on a port', () => {
    const socket = new net.Socket({ authorize: sameUser() } as object);
    assert.throws(() => socket.connect(1), UNGUARDED);
  });
});
