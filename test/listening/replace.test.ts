/** Restarts without a refused connection: stale: 'replace'. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { test, type TestContext } from 'node:test';
import net from 'afunix';
import { constants, RawSocket } from 'afunix/raw';
import { type LoneProcess, startLone } from '../helpers/lone-process';
import { freshPath } from '../helpers/socket-paths';
import { closed, kinds, listening } from './support';

const long = process.env['AFUNIX_LONG'] === '1';
const RESTARTS = long ? 100 : 12;

/** Greets with its number, until it is told to stop. */
function startGeneration(t: TestContext, path: string, number: number): LoneProcess {
  return startLone(t, { path, number }, ({ net, parameters: { path, number }, say }) => {
    const server = net.createServer((socket) => {
      socket.on('error', (error) => say(`error ${String(error)}`));
      socket.end(`generation ${number}`);
    });
    server.listen({ path, stale: 'replace' }, () => say('listening'));
    process.stdin.once('data', () => {
      process.stdin.destroy();
      server.close(() => say('closed'));
    });
  });
}

test(`${RESTARTS} restarts under clients that hammer: nobody is refused, reset or left waiting`, async (t) => {
  const path = freshPath(t);
  let current = startGeneration(t, path, 0);
  await current.said('listening');
  const seen = new Set<string>();
  const wrong: string[] = [];
  let connections = 0;
  let stopped = false;
  const hammer = async (): Promise<void> => {
    while (!stopped) {
      await new Promise<void>((resolve) => {
        let text = '';
        const socket = net.connect(path);
        socket.on('data', (chunk) => (text += String(chunk)));
        socket.on('error', (error) => wrong.push(String(error)));
        socket.on('close', () => {
          connections += 1;
          if (/^generation \d+$/.test(text)) seen.add(text);
          else wrong.push(`'${text}'`);
          resolve();
        });
      });
    }
  };
  const clients = Array.from({ length: 8 }, hammer);
  for (let number = 1; number <= RESTARTS; number += 1) {
    const next = startGeneration(t, path, number);
    await next.said('listening');
    current.tell('stop');
    await current.said('closed');
    assert.equal((await current.ended).code, 0);
    current = next;
  }
  stopped = true;
  await Promise.all(clients);
  assert.deepEqual(wrong, []);
  assert.equal(seen.has(`generation ${RESTARTS}`), true);
  assert.ok(
    seen.size > RESTARTS / 2,
    `${seen.size} generations were seen in ${connections} connections`,
  );
  assert.deepEqual(readdirSync(dirname(path)), ['s']);
  current.tell('stop');
  await current.ended;
  assert.deepEqual(readdirSync(dirname(path)), []);
});

for (const [kind, make] of Object.entries(kinds)) {
  test(`${kind}: who waits in the backlog when its server closes is served first`, async (t) => {
    const path = freshPath(t);
    const server = await listening(t, { path, stale: 'replace', backlog: 500 }, make);
    let served = 0;
    const events: string[] = [];
    server.on('connection', () => (served += 1));
    server.on('close', () => events.push(`close after ${served}`));
    // All of them before the server has a turn.
    const clients = Array.from({ length: 300 }, () => {
      const socket = RawSocket.socket(kind as 'stream' | 'seqpacket');
      socket.connect(path);
      return socket;
    });
    const done = closed(server);
    assert.equal(server.listening, false);
    assert.equal(existsSync(path), false);
    assert.equal(served, 0);
    const late = RawSocket.socket(kind as 'stream' | 'seqpacket');
    assert.throws(() => late.connect(path), { code: 'ENOENT' });
    late.close();
    const buffer = Buffer.alloc(10);
    const texts = new Set<string>();
    for (const client of clients) {
      await client.poll(constants.POLLIN);
      texts.add(buffer.toString('utf8', 0, client.recv(buffer) ?? 0));
      client.close();
    }
    await done;
    assert.deepEqual([...texts], ['hello']);
    assert.deepEqual(events, ['close after 300']);
  });
}

test('without it, close() is as in net: who waits is reset', async (t) => {
  const path = freshPath(t);
  const server = await listening(t, { path, stale: 'probe' });
  const client = RawSocket.socket('stream');
  client.connect(path);
  await closed(server);
  assert.throws(() => client.recv(Buffer.alloc(10)), { code: 'ECONNRESET' });
  client.close();
});

test('a server that finishes can listen again at once, and closes when both are done', async (t) => {
  const path = freshPath(t);
  const server = await listening(t, { path, stale: 'replace' });
  const clients = [0, 1].map(() => {
    const socket = RawSocket.socket('stream');
    socket.connect(path);
    return socket;
  });
  let closes = 0;
  server.on('close', () => (closes += 1));
  server.close();
  server.listen({ path, stale: 'replace' });
  await new Promise((resolve) => server.once('listening', resolve));
  for (const client of clients) {
    await client.poll(constants.POLLIN);
    assert.equal(client.recv(Buffer.alloc(10)), 5);
    client.close();
  }
  assert.equal(closes, 0);
  await closed(server);
  assert.equal(closes, 1);
  assert.equal(existsSync(path), false);
});

test('maxConnections holds for those who waited as well', async (t) => {
  const path = freshPath(t);
  const server = net.createServer((socket) => socket.resume().on('error', () => undefined));
  server.maxConnections = 1;
  let drops = 0;
  server.on('drop', () => (drops += 1));
  server.listen({ path, stale: 'replace' });
  const clients = [0, 1, 2].map(() => {
    const socket = RawSocket.socket('stream');
    socket.connect(path);
    return socket;
  });
  const done = closed(server);
  for (const client of clients.slice(1)) {
    await client.poll(constants.POLLIN);
    assert.equal(client.recv(Buffer.alloc(1)), 0);
  }
  assert.equal(drops, 2);
  for (const client of clients) client.close();
  await done;
});
