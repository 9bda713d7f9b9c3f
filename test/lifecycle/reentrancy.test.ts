/**
 * Whatever a callback does to its own socket, to others, or to the server, the library goes on: each
 * socket closes once, each exception is told once, and whoever was not concerned loses nothing.
 */
import assert from 'node:assert/strict';
import type { Server, Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { actions, type CellContext, places } from './reentrancy-cells';
import { runLone } from '../helpers/lone-process';
import { freshDirectory, socketsNamed } from '../helpers/socket-paths';

interface Seen {
  readonly action: string;
  readonly acted: number;
  /** Sockets, of those that took no part, that received all of what they should. */
  readonly complete: number;
  readonly told: readonly string[];
  readonly closes: readonly number[];
  readonly late: readonly string[];
}

const bystanders = 5;
const repetitions = 8;

/** All actions in one place, one after the other, some times over, in a process of their own. */
async function perform(t: TestContext, place: string): Promise<Seen[]> {
  const directory = freshDirectory(t);
  const sources = Object.entries(actions).map(([name, action]) => [name, `(${String(action)})`]);
  const parameters = {
    directory,
    place: `(${String(places[place])})`,
    sources,
    bystanders,
    repetitions,
  };
  const lines = await runLone(
    t,
    parameters,
    async ({ net, require, parameters, say }) => {
      const { runInThisContext } = require('node:vm') as typeof import('node:vm');
      const { directory, sources, bystanders, repetitions } = parameters;
      const place = runInThisContext(parameters.place) as (typeof places)[string];
      const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
      let addresses = 0;
      const fresh = (): string => `${directory}/${(addresses += 1)}`;
      const message = 'a message that is long enough to be told from others';

      const cell = async (name: string, act: (typeof actions)[string]): Promise<void> => {
        const told: string[] = [];
        const late: string[] = [];
        const closes = new Map<Socket, number>();
        const waits: Promise<unknown>[] = [];
        const onTold = (error: Error): void => {
          told.push(error.message);
          if (told.length > 1000) process.exit(3);
        };
        process.on('uncaughtException', onTold);
        process.on('unhandledRejection', onTold);
        const keep = (socket: Socket): Socket => {
          if (closes.has(socket)) return socket;
          closes.set(socket, 0);
          socket.on('error', () => undefined);
          // Before the place's own listener, which may throw.
          socket.prependListener('close', () => closes.set(socket, (closes.get(socket) ?? 0) + 1));
          for (const event of ['data', 'end', 'connect', 'drain', 'timeout']) {
            socket.on(event, () => {
              if (closes.get(socket) !== 0) late.push(event);
            });
          }
          return socket;
        };
        const address = fresh();
        let accepted = 0;
        const server: Server = net.createServer((peer) => {
          accepted += 1;
          keep(peer);
          // eslint-disable-next-line @typescript-eslint/no-meaningless-void-operator -- programs under test do such things
          peer.on('data', (chunk) => void (peer.writable && peer.write(chunk)));
        });
        server.listen(address);
        const received = new Map<Socket, string>();
        const others: Socket[] = [];
        for (let number = 0; number < bystanders; number += 1) {
          const other = keep(net.connect(address));
          others.push(other);
          received.set(other, '');
          other.on('data', (chunk) =>
            received.set(other, (received.get(other) ?? '') + String(chunk)),
          );
        }
        // From here on nobody can be lost with the server.
        while (accepted < bystanders || others.some(({ connecting }) => connecting)) await turn();

        const context: CellContext = {
          net,
          fresh,
          server,
          address,
          others,
          keep,
          until: (promise) => waits.push(promise),
        };
        let acted = 0;
        let victim: Socket | undefined;
        const reached = new Promise<void>((resolve) => {
          place(context, (socket) => {
            // Once, also where the event comes again.
            if (acted > 0) return;
            acted += 1;
            victim = keep(socket);
            resolve();
            act(socket, context);
          });
        });
        // In one tick with what the place has begun, so that they share its batch.
        for (const other of others) other.write(message);
        await reached;
        for (const other of others) if (other.writable) other.write(message);
        await Promise.all(waits);

        // Whoever wasn't concerned gets both messages back.
        const done = (other: Socket): boolean =>
          other.destroyed || received.get(other)?.replaceAll('!', '').length === 2 * message.length;
        while (!others.every(done)) await turn();
        const complete = others.filter(
          (other) => received.get(other)?.replaceAll('!', '') === message + message,
        );
        victim?.destroy();
        for (const other of others) other.destroy();
        const closed = new Promise<void>((resolve) => server.once('close', () => resolve()));
        server.close();
        for (let turns = 0; turns < 3; turns += 1) await turn();
        for (const socket of closes.keys()) socket.destroy();
        await closed;
        while ([...closes.values()].includes(0)) await turn();
        for (let turns = 0; turns < 3; turns += 1) await turn();
        process.off('uncaughtException', onTold);
        process.off('unhandledRejection', onTold);
        const seen: Seen = {
          action: name,
          acted,
          complete: complete.length,
          told,
          closes: [...closes.values()],
          late,
        };
        say(JSON.stringify(seen));
      };

      for (let repetition = 0; repetition < repetitions; repetition += 1) {
        for (const [name = '', source = ''] of sources) {
          await cell(name, runInThisContext(source) as (typeof actions)[string]);
        }
      }
    },
    { execArgv: ['--expose-gc'], limit: 100_000 },
  );
  assert.equal(socketsNamed(directory), 0);
  return lines.map((line) => JSON.parse(line) as Seen);
}

/** How many of those that took no part get everything. */
function expectedComplete(action: string): number {
  if (action === 'destroy another socket') return bystanders - 1;
  return action === 'destroy every socket' ? 0 : bystanders;
}

for (const place of Object.keys(places)) {
  test(`in ${place} everything may be done`, async (t) => {
    const cells = await perform(t, place);
    assert.equal(cells.length, repetitions * Object.keys(actions).length);
    for (const { action, acted, complete, told, closes, late } of cells) {
      const thrown = ['throw', 'reject'].includes(action) ? ['thrown on purpose'] : [];
      assert.deepEqual({ action, acted, told, late }, { action, acted: 1, told: thrown, late: [] });
      assert.equal(complete, expectedComplete(action), action);
      assert.deepEqual(
        closes,
        closes.map(() => 1),
        `closed more than once: ${action}`,
      );
    }
  });
}
