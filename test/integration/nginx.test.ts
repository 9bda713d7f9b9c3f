/** nginx in front of an unmodified `node:http` server whose connections come from afunix. */
import assert from 'node:assert/strict';
import http from 'node:http';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { serveHttp, type HttpEnd, type HttpWay } from './http-over-afunix';
import { type Nginx, startNginx } from './nginx';
import { giveToNobody } from './server-program';
import { bytes, collected, generator, happens, hashOf, sha256 } from './support';
import { isOurs, placeFor } from './ways';

const BODY_SIZE = 10 * 1024 * 1024;
const TIMEOUT = 60_000;

/** Upstream connections stay open for as long as a test takes. */
const KEEP_ALIVE = 600_000;

const download = bytes(BODY_SIZE, 21);

/** GET gives 10 MB, PUT is answered with the hash of its body, POST with the body itself. */
const handler: http.RequestListener = (request, response) => {
  if (request.method === 'GET') {
    response.end(download);
  } else if (request.method === 'PUT') {
    hashOf(request).then(
      (hash) => response.end(hash),
      () => response.destroy(),
    );
  } else {
    // Only when all of it is there: nginx does not send and receive at the same time.
    collected(request).then(
      (body) => {
        response.setHeader('x-transfer-encoding', request.headers['transfer-encoding'] ?? 'none');
        response.end(body);
      },
      () => response.destroy(),
    );
  }
};

interface Site {
  readonly prefix: string;
  /** For nginx. */
  readonly back: string;
  readonly server: HttpEnd;
  readonly nginx: Nginx;
  /** The server once more, after its end. */
  serveAgain(): Promise<HttpEnd>;
}

const httpWays: readonly HttpWay[] = ['connection', 'serve', 'register'];

/** The same with connections that the HTTP server gets in each way. */
function behindNginx(name: string, run: (site: Site, t: TestContext) => Promise<void>): void {
  for (const way of httpWays) {
    test(`${name}, by ${way}`, { timeout: TIMEOUT }, async (t) => {
      const place = placeFor(t);
      giveToNobody(place.folder);
      const listening = path.join(place.by[way === 'register' ? 'register' : 'hook'], 'back.sock');
      const serveAgain = (): Promise<HttpEnd> => serve(t, listening, way);
      const server = await serveAgain();
      const back = path.join(place.folder, 'back.sock');
      const nginx = await startNginx(t, place.folder, back);
      if (nginx === null) return;
      await run({ prefix: place.folder, back, server, nginx, serveAgain }, t);
      assert.ok(server.connections.length > 0 && server.connections.every(isOurs));
    });
  }
}

function serve(t: TestContext, listening: string, way: HttpWay): Promise<HttpEnd> {
  return serveHttp(t, { path: listening, way, keepAliveTimeout: KEEP_ALIVE }, handler);
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

async function ask(
  { front }: Nginx,
  options: http.RequestOptions,
  body?: string | Uint8Array,
): Promise<Answer> {
  const request = http.request({ socketPath: front, ...options }).end(body);
  const [response] = (await happens(request, 'response')) as [http.IncomingMessage];
  return {
    status: response.statusCode,
    headers: response.headers,
    body: await collected(response),
  };
}

const ways: readonly [string, string][] = [
  ['/', 'kept connections'],
  ['/once/', 'a connection per request'],
  ['/direct/', 'nothing buffered by nginx'],
];

for (const [url, what] of ways) {
  behindNginx(`10 MB down and 10 MB up: ${what}`, async ({ nginx }) => {
    const down = await ask(nginx, { path: url });
    assert.equal(down.status, 200);
    assert.equal(sha256(down.body), sha256(download));
    const upload = bytes(BODY_SIZE, 22);
    const up = await ask(nginx, { path: url, method: 'PUT' }, upload);
    assert.equal(up.body.toString(), sha256(upload));
    const both = await ask(nginx, { path: url, method: 'POST' }, upload);
    assert.equal(sha256(both.body), sha256(upload));
  });
}

behindNginx('1,000 requests, 50 at a time, all with bodies of their own', async ({ nginx }, t) => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 50 });
  t.after(() => agent.destroy());
  const random = generator(5);
  await Promise.all(
    Array.from({ length: 1000 }, async (_, i) => {
      const url = ways[i % ways.length]?.[0] ?? '/';
      const data = bytes(random(40_000), i + 1);
      const { status, body } = await ask(nginx, { agent, path: url, method: 'POST' }, data);
      assert.equal(status, 200);
      assert.ok(body.equals(data), `request ${i}: ${data.length} bytes sent, ${body.length} back`);
    }),
  );
});

behindNginx('16 downloads and 16 uploads of 10 MB at the same time', async ({ nginx }) => {
  const upload = bytes(BODY_SIZE, 23);
  const hash = sha256(upload);
  await Promise.all(
    Array.from({ length: 32 }, async (_, i) => {
      if (i % 2 === 0) {
        const { body } = await ask(nginx, { path: '/direct/' });
        assert.ok(body.equals(download));
      } else {
        const { body } = await ask(nginx, { path: '/direct/', method: 'PUT' }, upload);
        assert.equal(body.toString(), hash);
      }
    }),
  );
});

behindNginx('200 requests in turn go over one upstream connection', async ({ nginx, server }) => {
  for (let i = 0; i < 200; i += 1) {
    const { body } = await ask(nginx, { method: 'POST' }, `request ${i}`);
    assert.equal(body.toString(), `request ${i}`);
  }
  assert.equal(server.connections.length, 1);
  for (let i = 0; i < 5; i += 1) await ask(nginx, { path: '/once/', method: 'POST' }, 'x');
  assert.equal(server.connections.length, 6);
});

behindNginx('chunked bodies stay chunked on the way to the server', async ({ nginx }) => {
  const request = http.request({ socketPath: nginx.front, path: '/direct/', method: 'POST' });
  const pieces = Array.from({ length: 500 }, (_, i) => bytes((i * 37) % 9000, i + 1));
  const sending = (async () => {
    for (const piece of pieces) {
      if (!request.write(piece)) await happens(request, 'drain');
    }
    request.end();
  })();
  const [response] = (await happens(request, 'response')) as [http.IncomingMessage];
  const [body] = await Promise.all([collected(response), sending]);
  assert.ok(body.equals(Buffer.concat(pieces)));
  assert.equal(response.headers['x-transfer-encoding'], 'chunked');
});

behindNginx(
  'while the server is away nginx says 502, and afterwards all is well',
  async ({ nginx, server, serveAgain }) => {
    for (let round = 0; round < 3; round += 1) {
      const current = round === 0 ? server : await serveAgain();
      const { status, body } = await ask(nginx, { method: 'POST' }, `round ${round}`);
      assert.equal(status, 200);
      assert.equal(body.toString(), `round ${round}`);
      await current.close();
      assert.equal((await ask(nginx, { method: 'POST' }, 'nobody there')).status, 502);
    }
  },
);

behindNginx(
  'a client that goes away during its download leaves nothing behind',
  async ({ nginx, server }) => {
    const request = http.request({ socketPath: nginx.front, path: '/direct/' }).end();
    const [response] = (await happens(request, 'response')) as [http.IncomingMessage];
    await happens(response, 'data');
    const [upstream] = server.connections;
    assert.ok(upstream !== undefined);
    const gone = new Promise((resolve) => upstream.once('close', resolve));
    upstream.on('error', () => {});
    response.on('error', () => {}).destroy();
    await gone;
    assert.equal(
      (await ask(nginx, { method: 'POST' }, 'still there')).body.toString(),
      'still there',
    );
  },
);

behindNginx(
  'nginx is killed during an upload, and another one takes its place',
  async ({ nginx, server, prefix, back }, t) => {
    const request = http.request({
      socketPath: nginx.front,
      path: '/direct/',
      method: 'PUT',
      headers: { 'content-length': BODY_SIZE },
    });
    request.on('error', () => {});
    const arriving = new Promise<http.IncomingMessage>((resolve) => {
      server.http.once('request', resolve);
    });
    request.write(bytes(1000));
    const incoming = await arriving;
    const aborted = new Promise((resolve) => incoming.once('close', resolve));
    await nginx.stop('SIGKILL');
    await aborted;
    assert.equal(incoming.complete, false);
    const other = await startNginx(t, prefix, back);
    assert.ok(other !== null);
    assert.equal((await ask(other, { method: 'POST' }, 'again')).body.toString(), 'again');
  },
);

behindNginx(
  'nginx ends gracefully: a request under way is answered first',
  async ({ nginx, server }) => {
    let begun: (response: http.ServerResponse) => void = () => {};
    const beginning = new Promise<http.ServerResponse>((resolve) => (begun = resolve));
    server.http.removeAllListeners('request');
    server.http.on('request', (_request, response) => begun(response));
    const answer = ask(nginx, { path: '/' });
    const response = await beginning;
    const stopped = nginx.stop('SIGQUIT');
    await nginx.logged('gracefully shutting down');
    response.end('late but complete');
    assert.equal((await answer).body.toString(), 'late but complete');
    await stopped;
  },
);
