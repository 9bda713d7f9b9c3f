/** Clients of protocols over a guarded connection, and a server that another user put in the place of the expected one. */
import assert from 'node:assert/strict';
import http from 'node:http';
import http2 from 'node:http2';
import { test } from 'node:test';
import tls from 'node:tls';
import net from 'afunix';
import { type Authorize, sameUser } from 'afunix/credentials';
import { Agent, connector } from 'afunix/http';
import { Client, WebSocket } from 'undici';
import { runRegistered } from '../integration/registered';
import { NOTHING, startImpostor } from './impostor';
import { needs, withoutPython, withoutRoot } from './support';

const withImpostors = needs(withoutRoot(), withoutPython());

const refusals: Readonly<Record<string, Authorize>> = {
  'a policy': sameUser(),
  'a function that answers late': () =>
    new Promise((resolve) => setTimeout(() => resolve(false), 20)),
};

interface To {
  readonly path: string;
  readonly authorize: Authorize;
}

type Failed = (error: NodeJS.ErrnoException) => void;

/** Each sends a secret, and calls back with what it fails with. */
const clients: Readonly<Record<string, (to: To, failed: Failed) => void>> = {
  'http.request by Agent': ({ path, authorize }, failed) => {
    const headers = { authorization: 'a secret' };
    const request = http.request({
      agent: new Agent(),
      socketPath: path,
      authorize,
      headers,
    } as object);
    request.on('error', failed).end('a secret');
  },
  'http.request by Agent, which has it': ({ path, authorize }, failed) => {
    const agent = new Agent({ socketPath: path, authorize, keepAlive: true });
    http.request({ agent, method: 'POST' }).on('error', failed).end('a secret');
  },
  'an upgrade': ({ path, authorize }, failed) => {
    const headers = { connection: 'upgrade', upgrade: 'websocket' };
    http
      .request({ createConnection: () => net.connect({ path, authorize }), headers })
      .on('error', failed)
      .end();
  },
  undici: (to, failed) => {
    const client = new Client('http://localhost', { connect: connector(to) });
    client.request({ path: '/', method: 'POST', body: 'a secret' }).then(
      () => assert.fail('answered'),
      (error: unknown) => {
        failed(error as NodeJS.ErrnoException);
        client.destroy().catch(() => undefined);
      },
    );
  },
  'a WebSocket of undici': (to, failed) => {
    const client = new Client('http://localhost', { connect: connector(to) });
    const socket = new WebSocket('ws://localhost', { dispatcher: client });
    socket.addEventListener('open', () => assert.fail('open'));
    socket.addEventListener('error', () => {
      failed({ name: 'Error', message: '', code: 'ERR_AFUNIX_REFUSED' });
      client.destroy().catch(() => undefined);
    });
  },
  'tls.connect': (to, failed) => {
    const client = tls.connect({ socket: net.connect({ ...to, allowHalfOpen: true }) });
    client.on('secureConnect', () => assert.fail('connected')).on('error', failed);
    client.write('a secret');
  },
  'http2.connect': (to, failed) => {
    const session = http2.connect('http://localhost', { createConnection: () => net.connect(to) });
    session.on('connect', () => assert.fail('connected')).on('error', failed);
    session
      .request({ ':path': '/a-secret' })
      .on('error', () => undefined)
      .end('a secret');
  },
};

for (const [name, act] of Object.entries(clients)) {
  test(`an impostor gets nothing: ${name}`, withImpostors, async (t) => {
    const { path, loot } = await startImpostor(t, 'stream');
    for (const [by, authorize] of Object.entries(refusals)) {
      const error = await new Promise<NodeJS.ErrnoException>((resolve) =>
        act({ path, authorize }, resolve),
      );
      assert.equal(error.code, 'ERR_AFUNIX_REFUSED', by);
      assert.deepEqual(await loot(), NOTHING, by);
    }
  });
}

test('an impostor gets nothing: clients of net under register', withImpostors, async (t) => {
  const { path, loot } = await startImpostor(t, 'stream');
  const program = `
    const http2 = require('node:http2'), tls = require('node:tls'), https = require('node:https');
    const path = ${JSON.stringify(path)};
    const authorize = (peer) => peer.uid === process.getuid();
    class Special extends net.Socket {}
    const to = { path, authorize }, request = { socketPath: path, authorize };
    for (const act of [
      () => net.connect(to),
      () => new net.Socket({ authorize }).connect(path),
      () => http.request(request).end('a secret'),
      () => http.request({ socketPath: path, agent: new http.Agent({ authorize, keepAlive: true }) }).end('a secret'),
      () => http2.connect('http://localhost', to),
      () => tls.connect({ socket: net.connect(to) }),
      () => tls.connect(to),
      () => https.request(request).end(),
      () => new Special().connect(to),
    ]) {
      try {
        const client = act();
        const failed = new Promise((resolve) => client.on('error', ({ code }) => resolve(code)));
        if (client instanceof net.Socket) client.write('a secret');
        if (client.request) client.request({ ':path': '/' }).on('error', () => {}).end('a secret');
        tell(await failed);
      } catch ({ code }) {
        tell(code);
      }
    }
    process.exit();
  `;
  const { code, told, stderr } = await runRegistered(t, program);
  assert.deepEqual([code, stderr], [0, '']);
  const refused = Array<string>(6).fill('ERR_AFUNIX_REFUSED');
  assert.deepEqual(told, [...refused, ...Array<string>(3).fill('ERR_AFUNIX_UNGUARDED')]);
  for (const _ of refused) assert.deepEqual(await loot(), NOTHING);
});
