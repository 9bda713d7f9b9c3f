/** `authorize` of an unmodified http.Server, and the caller's credentials on each request. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { test, type TestContext } from 'node:test';
import type { Socket } from 'afunix';
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
