/** Pools of HTTP connections: one that `authorize` has admitted says nothing about what another `authorize` would have said. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { test, type TestContext } from 'node:test';
import { type Authorize, sameUser } from 'afunix/credentials';
import { Agent, connector, serve } from 'afunix/http';
import { Client } from 'undici';
import { runRegistered } from '../integration/registered';
import { happens } from '../helpers/sockets';
import { sharedPath } from './support';

const no = (): boolean => false;

/** What becomes of one request, and the number of the connection that it came by. */
async function get(options: http.RequestOptions & { authorize?: Authorize }): Promise<string> {
  const request = http.get(options);
  return new Promise((resolve) => {
    request.on('error', (error: NodeJS.ErrnoException) => resolve(String(error.code)));
    request.on('response', (response) => {
      let body = '';
      response.on('data', (chunk) => (body += String(chunk)));
      response.on('end', () => resolve(body));
    });
  });
}

async function site(t: TestContext): Promise<string> {
  const socketPath = sharedPath(t);
  const connections: unknown[] = [];
  const server = http.createServer(({ socket }, response) => {
    if (!connections.includes(socket)) connections.push(socket);
    response.end(`connection ${connections.indexOf(socket)}`);
  });
  serve(server, socketPath);
  await happens(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return socketPath;
}

test("Agent: a request's own authorize is asked, although there is a connection in the pool", async (t) => {
  const socketPath = await site(t);
  const agent = new Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  const to = { socketPath, agent };
  assert.equal(await get(to), 'connection 0');
  assert.equal(await get({ ...to, authorize: no }), 'ERR_AFUNIX_REFUSED');
  const ours = sameUser();
  assert.equal(await get({ ...to, authorize: ours }), 'connection 1');
  assert.equal(await get({ ...to, authorize: ours }), 'connection 1', 'the same one said yes');
  assert.equal(await get({ ...to, authorize: sameUser() }), 'connection 2', 'not the same one');
  assert.equal(await get(to), 'connection 0');
});

test('Agent: what it was made with and what a request asks for both count', async (t) => {
  const socketPath = await site(t);
  const asked: string[] = [];
  const yes =
    (who: string): Authorize =>
    () =>
      Boolean(asked.push(who));
  const agent = new Agent({ keepAlive: true, authorize: yes('agent') });
  t.after(() => agent.destroy());
  const to = { socketPath, agent };
  assert.equal(await get(to), 'connection 0');
  assert.equal(await get({ ...to, authorize: yes('request') }), 'connection 1');
  assert.deepEqual(asked, ['agent', 'agent', 'request']);
  assert.equal(await get({ ...to, authorize: no }), 'ERR_AFUNIX_REFUSED');
  const strict = new Agent(Object.create({ authorize: no, keepAlive: true }) as object);
  t.after(() => strict.destroy());
  assert.equal(await get({ socketPath, agent: strict }), 'ERR_AFUNIX_REFUSED');
  const ours = { socketPath, agent: strict, authorize: sameUser() };
  assert.equal(await get(ours), 'ERR_AFUNIX_REFUSED');
});

test('Agent: requests that wait for a connection get none that another authorize has admitted', async (t) => {
  const socketPath = await site(t);
  const agent = new Agent({ keepAlive: true, maxTotalSockets: 1 });
  t.after(() => agent.destroy());
  const to = { socketPath, agent };
  const all = [get(to), get({ ...to, authorize: no }), get(to), get({ ...to, authorize: no })];
  const [first, refused, second, again] = await Promise.all(all);
  assert.deepEqual([first, second], ['connection 0', 'connection 0']);
  assert.deepEqual([refused, again], ['ERR_AFUNIX_REFUSED', 'ERR_AFUNIX_REFUSED']);
});

test('undici: the authorize of connector() is asked for each connection of its dispatcher', async (t) => {
  const path = await site(t);
  for (const [authorize, status] of [
    [sameUser(), 200],
    [no, 'ERR_AFUNIX_REFUSED'],
  ] as const) {
    const client = new Client('http://localhost', { connect: connector({ path, authorize }) });
    t.after(() => client.destroy());
    const became = await client.request({ path: '/', method: 'GET' }).then(
      async ({ statusCode, body }) => {
        await body.dump();
        return statusCode;
      },
      (error: unknown) => (error as NodeJS.ErrnoException).code,
    );
    assert.equal(became, status);
  }
});

test('http.Agent under register: as Agent; two that differ are an error', async (t) => {
  const program = `
    const server = http.createServer((request, response) => response.end('hello')).listen(place + '/s');
    await once(server, 'listening');
    const ask = (options) => new Promise((resolve) => {
      try {
        http.get({ socketPath: place + '/s', ...options }, (response) => {
          const { statusCode, socket } = response, same = socket === last;
          last = socket;
          response.resume().on('end', () => resolve([statusCode, same]));
        }).on('error', ({ code }) => resolve(code));
      } catch ({ code }) { resolve(code); }
    });
    let last;
    const agent = new http.Agent({ keepAlive: true });
    const no = () => false, yes = () => true;
    tell(await ask({ agent }));
    tell(await ask({ agent }));
    tell(await ask({ agent, authorize: no }));
    tell(await ask({ agent, authorize: yes }));
    tell(await ask({ agent, authorize: yes }));
    tell(await ask({ agent, authorize: null }));
    const strict = new http.Agent({ keepAlive: true, authorize: no });
    tell(await ask({ agent: strict }));
    tell(await ask({ agent: strict, authorize: no }));
    tell(await ask({ agent: strict, authorize: yes }));
    agent.destroy();
    server.close();
  `;
  const { code, told, stderr } = await runRegistered(t, program);
  assert.deepEqual([code, stderr], [0, '']);
  const refused = 'ERR_AFUNIX_REFUSED';
  assert.deepEqual(told, [
    [200, false],
    [200, true],
    refused,
    [200, false],
    [200, true],
    'ERR_INVALID_ARG_TYPE',
    refused,
    refused,
    'ERR_AFUNIX_UNGUARDED',
  ]);
});
