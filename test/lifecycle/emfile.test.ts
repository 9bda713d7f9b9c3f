/**
 * The descriptor table is full. A listener then tells of each connection that it had to drop, and neither
 * spins nor stays silent; clients learn their fate; and when there is room again everything goes on.
 */
import assert from 'node:assert/strict';
import net, { type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { type Afunix, assertQuiet, type LoneProcess, startLone } from '../helpers/lone-process';
import { freshPath } from '../helpers/socket-paths';
import { happens } from '../helpers/sockets';

const descriptors = 64;

interface Report {
  readonly connections: number;
  readonly drops: number;
  readonly codes: readonly string[];
}

interface CpuReport {
  /** Of one core, between 0 and 1. */
  readonly share: number;
}

/** A server with few descriptors, which answers to words on its stdin. */
function startServer(t: TestContext, address: string, filled: boolean): LoneProcess {
  return startLone(
    t,
    { address, filled },
    ({ net, require, parameters, say }) => {
      const fs = require('node:fs') as typeof import('node:fs');
      const { createInterface } = require('node:readline') as typeof import('node:readline');
      const peers = new Set<Socket>();
      const codes = new Set<string>();
      const filling: number[] = [];
      let connections = 0;
      let drops = 0;
      let asked: (() => void) | undefined;
      const server = net.createServer((peer) => {
        connections += 1;
        peers.add(peer);
        peer.on('error', () => undefined).on('close', () => peers.delete(peer));
        peer.on('data', (chunk) => void peer.write(chunk));
        asked?.();
      });
      server.on('drop', (error?: unknown) => {
        drops += 1;
        const { code, syscall, message } = error as NodeJS.ErrnoException;
        codes.add([error instanceof Error, code, syscall, message].join());
        asked?.();
      });
      const fill = (room: number): void => {
        try {
          for (;;) filling.push(fs.openSync('/dev/null', 'r'));
        } catch {
          for (const fd of filling.splice(0, room)) fs.closeSync(fd);
        }
      };
      const words: Record<string, (argument: number) => void> = {
        // Says how many there were as soon as they are this many.
        count(total) {
          asked = () => {
            if (connections + drops < total) return;
            asked = undefined;
            const report: Report = { connections, drops, codes: [...codes] };
            say(`count ${JSON.stringify(report)}`);
          };
          asked();
        },
        now() {
          const report: Report = { connections, drops, codes: [...codes] };
          say(`now ${JSON.stringify(report)}`);
        },
        cpu() {
          const before = process.cpuUsage();
          const began = performance.now();
          setTimeout(() => {
            const { user, system } = process.cpuUsage(before);
            const share = (user + system) / 1000 / (performance.now() - began);
            const report: CpuReport = { share };
            say(`cpu ${JSON.stringify(report)}`);
          }, 1000);
        },
        release() {
          for (const peer of peers) peer.destroy();
          for (const fd of filling.splice(0)) fs.closeSync(fd);
          setImmediate(() => setImmediate(() => say('released')));
        },
        fill(room) {
          fill(room);
          say('filled');
        },
        end() {
          for (const peer of peers) peer.destroy();
          server.close();
          input.close();
          process.stdin.destroy();
        },
      };
      const input = createInterface({ input: process.stdin });
      input.on('line', (line) => {
        const [word = '', argument] = line.split(' ');
        words[word]?.(Number(argument));
      });
      // The socket, and none for anything else.
      if (parameters.filled) {
        net.socketpair().forEach((socket) => socket.destroy());
        setImmediate(() => {
          setImmediate(() => {
            fill(1);
            server.listen(parameters.address, () => say('listening'));
          });
        });
      } else {
        server.listen(parameters.address, () => say('listening'));
      }
    },
    { descriptors },
  );
}

interface Client {
  readonly socket: Socket;
  /** Resolves with how it came to its end. */
  readonly over: Promise<string>;
}

function connectTo(t: TestContext, address: string): Client {
  const socket = net.connect(address);
  t.after(() => socket.destroy());
  let ended = false;
  let failure = '';
  socket.on('end', () => (ended = true));
  socket.on('error', (error: NodeJS.ErrnoException) => (failure = error.code ?? error.message));
  const over = happens(socket, 'close').then(() => failure || (ended ? 'ended' : 'closed'));
  return { socket, over };
}

async function ask<Answer>(server: LoneProcess, words: string): Promise<Answer> {
  const [word = ''] = words.split(' ');
  const answer = server.said(word);
  server.tell(words);
  return JSON.parse(await answer) as Answer;
}

async function echo(socket: Socket, text: string): Promise<void> {
  const answer = happens(socket, 'data');
  socket.write(text);
  assert.equal(String((await answer)[0]), text);
}

const dropped = 'true,EMFILE,accept,';

test('200 clients and 64 descriptors: each is served or dropped, and each drop is told', async (t) => {
  const address = freshPath(t);
  const server = startServer(t, address, false);
  await server.said('listening');
  const first = connectTo(t, address);
  await echo(first.socket, 'before');

  const clients = Array.from({ length: 200 }, () => connectTo(t, address));
  const { connections, drops, codes } = await ask<Report>(server, 'count 201');
  assert.equal(connections + drops, 201);
  assert.ok(connections > 20 && drops > 100, `${connections} and ${drops}`);
  assert.equal(codes.length, 1);
  assert.ok(codes[0]?.startsWith(dropped), codes[0]);

  // Those that were dropped know, and as many as were told of.
  let over = 0;
  await new Promise<void>((resolve) => {
    for (const client of clients) {
      client.socket.resume();
      void client.over.then(() => {
        if ((over += 1) === drops) resolve();
      });
    }
  });
  await echo(first.socket, 'at the limit');
  const served = clients.filter(({ socket }) => !socket.destroyed);
  assert.equal(served.length, connections - 1);
  for (const { socket } of served) await echo(socket, 'served');

  const { share } = await ask<CpuReport>(server, 'cpu');
  assert.ok(share < 0.1, `${share} of a core at the limit`);
  assert.deepEqual(await ask<Report>(server, 'now'), { connections, drops, codes });

  const released = server.said('released');
  server.tell('release');
  await released;
  const late = connectTo(t, address);
  await echo(late.socket, 'after');
  assert.equal((await ask<Report>(server, 'now')).drops, drops);
  server.tell('end');
  assertQuiet(await server.ended);
});

test('the table fills up and empties again and again: no drop is missed', async (t) => {
  const address = freshPath(t);
  const server = startServer(t, address, false);
  await server.said('listening');
  let expected = 0;
  for (let round = 0; round < 10; round += 1) {
    const filled = server.said('filled');
    server.tell('fill 2');
    await filled;
    const clients = Array.from({ length: 12 }, () => connectTo(t, address));
    expected += clients.length;
    const { drops } = await ask<Report>(server, `count ${expected}`);
    assert.equal(drops, 10 * (round + 1));
    const released = server.said('released');
    server.tell('release');
    await released;
    for (const { socket } of clients) socket.resume();
    await Promise.all(clients.map(({ over }) => over));
  }
  server.tell('end');
  assertQuiet(await server.ended);
});

test('a listener made when there is no room for a reserve: clients wait, and are served when there is room', async (t) => {
  const address = freshPath(t);
  const server = startServer(t, address, true);
  await server.said('listening');
  const clients = Array.from({ length: 5 }, () => connectTo(t, address));
  const answers = clients.map(({ socket }) => echo(socket, 'patience'));
  const { share } = await ask<CpuReport>(server, 'cpu');
  assert.ok(share < 0.1, `${share} of a core while they wait`);
  // Nobody was dropped, so nothing may say so.
  const { connections, drops } = await ask<Report>(server, 'now');
  assert.deepEqual({ connections, drops }, { connections: 0, drops: 0 });
  const released = server.said('released');
  server.tell('release');
  await released;
  await Promise.all(answers);

  // Now that there was room, there is a reserve as well.
  const filled = server.said('filled');
  server.tell('fill 0');
  await filled;
  const late = connectTo(t, address);
  late.socket.resume();
  assert.equal(await late.over, 'ended');
  assert.equal((await ask<Report>(server, 'now')).drops, 1);
  server.tell('end');
  assertQuiet(await server.ended);
});

interface FullTable {
  readonly net: Afunix;
  readonly address: string;
  say(line: unknown): void;
}

const attempts: Readonly<Record<string, (context: FullTable) => void>> = {
  'connect()': ({ net, address, say }) => {
    net
      .connect(address)
      .on('error', ({ code, syscall }: NodeJS.ErrnoException) => say(`error ${code} ${syscall}`))
      .on('close', () => say('close'));
    say('returned');
  },
  'listen()': ({ net, address, say }) => {
    net
      .createServer()
      .on('error', ({ code, syscall }: NodeJS.ErrnoException) => say(`error ${code} ${syscall}`))
      .listen(`${address}-of-another`);
    say('returned');
  },
};

for (const [name, attempt] of Object.entries(attempts)) {
  for (const used of [true, false]) {
    const when = used ? 'after the library has been used' : 'before the library has ever been used';
    test(`${name} with a full table, ${when}, is told by an event and works later`, async (t) => {
      const address = freshPath(t);
      const server = net.createServer((peer) => peer.end()).listen(address);
      t.after(() => server.close());
      const parameters = { address, used, attempt: `(${String(attempt)})` };
      const lone = startLone(
        t,
        parameters,
        ({ net, require, parameters, say }) => {
          const fs = require('node:fs') as typeof import('node:fs');
          const { runInThisContext } = require('node:vm') as typeof import('node:vm');
          const { address, used } = parameters;
          const attempt = runInThisContext(parameters.attempt) as (context: FullTable) => void;
          const begin = (): void => {
            const filling: number[] = [];
            try {
              for (;;) filling.push(fs.openSync('/dev/null', 'r'));
            } catch {
              // Full.
            }
            try {
              attempt({ net, address, say });
            } catch (error) {
              say(`thrown ${(error as Error).message}`);
            }
            setImmediate(() => {
              for (const fd of filling) fs.closeSync(fd);
              net
                .connect(address)
                .resume()
                .on('close', () => say('works'));
            });
          };
          if (used) net.connect(address).resume().on('close', begin);
          else begin();
        },
        { descriptors },
      );
      const ending = await lone.ended;
      assertQuiet(ending);
      const wanted = {
        'connect()': ['returned', 'error EMFILE connect', 'close', 'works'],
        'listen()': ['returned', 'error EMFILE listen', 'works'],
      };
      assert.deepEqual(ending.lines, wanted[name as keyof typeof wanted]);
    });
  }
}
