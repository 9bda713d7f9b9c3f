/** `authorize` of an unmodified http.Server, and the caller's credentials on each request. */
import assert from 'node:assert/strict';
import http from 'node:http';
import http2 from 'node:http2';
import { test, type TestContext } from 'node:test';
import net, { type Socket } from 'afunix';
import {
  type Authorize,
  type PeerCredentials,
  type Refusal,
  sameUser,
  uid,
} from 'afunix/credentials';
import { serve } from 'afunix/http';
import { happens } from '../helpers/sockets';
import { sharedPath } from './support';

const us = process.geteuid?.() ?? -1;

async function site(t: TestContext, authorize: Authorize): Promise<[http.Server, string]> {
  const path = sharedPath(t);
  const server = http.createServer((request, response) => {
    response.end(`uid ${(request.socket as Socket).peerCredentials?.uid}`);
  });
  serve(server, { path, authorize });
  await happens(server, 'listening');
  t.after(() => server.close());
  return [server, path];
}

test('a request knows its caller', async (t) => {
  const [, socketPath] = await site(t, sameUser());
  const [response] = (await happens(http.get({ socketPath, agent: false }), 'response')) as [
    http.IncomingMessage,
  ];
  let body = '';
  for await (const chunk of response) body += String(chunk);
  assert.equal(body, `uid ${us}`);
});

test('whoever is refused makes no request', async (t) => {
  const [server, socketPath] = await site(t, uid(us + 1));
  server.on('request', () => assert.fail('a request'));
  const refused = happens(server, 'refused');
  const [error] = (await happens(http.get({ socketPath, agent: false }), 'error')) as [
    NodeJS.ErrnoException,
  ];
  assert.match(String(error.code), /^(ECONNRESET|EPIPE)$/);
  const [peer, refusal] = (await refused) as [PeerCredentials, Refusal];
  assert.equal(peer.uid, us);
  assert.equal(refusal.code, 'policy');
});

test('a port cannot be guarded, and is not opened', () => {
  const server = http.createServer();
  assert.throws(() => serve(server, { port: 0, authorize: sameUser() }), {
    code: 'ERR_AFUNIX_UNGUARDED',
  });
  assert.equal(server.listening, false);
});

test('a session of http2 is connected once its server has been admitted, and not before', async (t) => {
  const path = sharedPath(t);
  const server = http2.createServer();
  serve(server, path);
  await happens(server, 'listening');
  t.after(() => server.close());
  const answers: ((answer: boolean) => void)[] = [];
  const authorize = (): Promise<boolean> => new Promise((resolve) => answers.push(resolve));
  for (const answer of [true, false]) {
    const came = happens(server, 'session');
    let socket: Socket | undefined;
    const session = http2.connect('http://localhost', {
      createConnection: () => (socket = net.connect({ path, authorize })),
    });
    const seen: unknown[] = [];
    session.on('connect', (...args: unknown[]) => seen.push(args[0] === session));
    session.on('error', ({ code }: NodeJS.ErrnoException) => seen.push(code));
    await came;
    while (answers.length === 0) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([seen, socket?.connecting], [[], true]);
    answers.shift()?.(answer);
    await happens(session, answer ? 'connect' : 'close');
    assert.deepEqual(seen, [answer ? true : 'ERR_AFUNIX_REFUSED']);
    const closed = session.destroyed ? null : happens(session, 'close');
    session.close();
    await closed;
  }
});

test('a session of http2 whose socket reaches nobody is never connected', async (t) => {
  const path = sharedPath(t);
  const session = http2.connect('http://localhost', { createConnection: () => net.connect(path) });
  session.on('connect', () => assert.fail('connected'));
  const [error] = (await happens(session, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ENOENT');
});

test('whoever is refused has no session with an http2 server', async (t) => {
  const path = sharedPath(t);
  const server = http2.createServer();
  server.on('session', () => assert.fail('a session'));
  serve(server, { path, authorize: uid(us + 1) });
  await happens(server, 'listening');
  t.after(() => server.close());
  const refused = happens(server, 'refused');
  const session = http2.connect('http://localhost', { createConnection: () => net.connect(path) });
  session.on('error', () => undefined);
  await Promise.all([refused, happens(session, 'close')]);
});
