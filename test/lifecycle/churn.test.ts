/** Fifty thousand connections come and go, closed by either side and in every way: nothing stays behind. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runLone } from '../helpers/lone-process';
import { freshPath, socketsNamed } from '../helpers/socket-paths';
import type { Socket } from 'node:net';

interface Result {
  readonly connections: number;
  readonly closes: Readonly<Record<string, number>>;
  readonly kinds: Readonly<Record<string, number>>;
  readonly accepted: number;
  readonly connected: number;
  readonly wrong: readonly string[];
  readonly stillConnected: number;
  readonly grown: Readonly<Record<string, number>>;
  readonly named: number;
}

const descriptors = require.resolve('../helpers/descriptors');
const socketPaths = require.resolve('../helpers/socket-paths');

test('50,000 connections leave nothing open', async (t) => {
  const address = freshPath(t);
  const parameters = { address, connections: 50_000, descriptors, socketPaths };
  const lines = await runLone(
    t,
    parameters,
    async ({ net, require, parameters, say }) => {
      const { address, connections } = parameters;
      const { takeCensus, grown } = require(
        parameters.descriptors,
      ) as typeof import('../helpers/descriptors');
      const { socketsNamed } = require(
        parameters.socketPaths,
      ) as typeof import('../helpers/socket-paths');

      // Reproducible, and different for each connection.
      let state = 12345;
      const random = (below: number): number => {
        state = (Math.imul(state, 1103515245) + 12345) >>> 0;
        return (state >>> 8) % below;
      };
      const closes: Record<string, number> = {};
      const kinds: Record<string, number> = {};
      const wrong: string[] = [];
      let open = 0;
      const watch = (socket: Socket, side: string): void => {
        let closed = false;
        open += 1;
        socket.on('error', (error: NodeJS.ErrnoException) => {
          if (!['ECONNRESET', 'EPIPE', 'ERR_STREAM_WRITE_AFTER_END'].includes(error.code ?? '')) {
            wrong.push(`${side}: ${error.message}`);
          }
        });
        socket.on('close', () => {
          if (closed) wrong.push(`${side}: closed twice`);
          closed = true;
          open -= 1;
          closes[side] = (closes[side] ?? 0) + 1;
        });
      };

      // The first byte of a message says how the server has to close.
      const serverWays: ((peer: Socket, chunk: Buffer) => void)[] = [
        (peer, chunk) => void peer.end(chunk),
        (peer, chunk) => {
          peer.write(chunk);
          peer.destroySoon();
        },
        (peer) => void peer.destroy(),
        (peer, chunk) => void peer.write(chunk, () => peer.destroy()),
        // The client closes.
        (peer, chunk) => void peer.write(chunk),
      ];
      const server = net.createServer((peer) => {
        watch(peer, 'server');
        peer.once('data', (chunk: Buffer) => serverWays[chunk[0] ?? 0]?.(peer, chunk));
      });
      await new Promise<void>((resolve) => server.listen(address, () => resolve()));

      const message = (way: number): Buffer => Buffer.alloc(1 + random(2000), way);
      const clientWays: Record<string, (client: Socket) => void> = {
        'waits for the server to end': (client) => {
          client.resume().write(message(random(2)));
        },
        'is reset by the server': (client) => {
          client.resume().write(message(2));
        },
        'checks the echo': (client) => {
          const wanted = message(3);
          let received = 0;
          client.on('data', (chunk: Buffer) => (received += chunk.length));
          client.on('end', () => {
            if (received !== wanted.length) wrong.push(`${received} of ${wanted.length} came back`);
          });
          client.write(wanted);
        },
        'ends after the echo': (client) => {
          client.once('data', () => client.end()).write(message(4));
        },
        'destroys after the echo': (client) => {
          client.once('data', () => client.destroy()).write(message(4));
        },
        'ends at once': (client) => void client.resume().end(message(4)),
        'destroys with its write not flushed': (client) => {
          client.on('connect', () => {
            client.write(message(4));
            client.destroy();
          });
        },
        'destroys in the same tick': (client) => void client.destroy(),
        'destroys when connected': (client) => void client.on('connect', () => client.destroy()),
        'leaves the echo unread': (client) => {
          client.pause().write(message(4), () => setImmediate(() => client.destroy()));
        },
      };
      const names = Object.keys(clientWays);
      const concurrency = 64;
      const churn = (count: number): Promise<void> =>
        new Promise((resolve) => {
          let begun = 0;
          let over = 0;
          const begin = (): void => {
            begun += 1;
            const name = names[random(names.length)] ?? '';
            kinds[name] = (kinds[name] ?? 0) + 1;
            const client = net.connect(address);
            watch(client, 'client');
            client.on('close', () => {
              over += 1;
              if (begun < count) begin();
              else if (over === count) resolve();
            });
            clientWays[name]?.(client);
          };
          for (let number = 0; number < concurrency; number += 1) begin();
        });
      const settle = async (): Promise<void> => {
        while (open > 0) await new Promise((resolve) => setImmediate(resolve));
      };

      await churn(1000);
      await settle();
      const before = takeCensus();
      await churn(connections - 1000);
      await settle();
      const after = grown(before, takeCensus());
      const named = socketsNamed(address);
      const stillConnected = await new Promise<number>((resolve) =>
        server.getConnections((_error, count) => resolve(count)),
      );
      const { accepted, connected } = net.stats();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      const result: Result = {
        connections,
        closes,
        kinds,
        accepted,
        connected,
        wrong: wrong.slice(0, 20),
        stillConnected,
        grown: after,
        named,
      };
      say(JSON.stringify(result));
    },
    { limit: 110_000 },
  );
  const seen = JSON.parse(lines.join('\n')) as Result;
  assert.deepEqual(seen.wrong, []);
  assert.equal(seen.closes['client'], seen.connections);
  // One that is destroyed in the same tick may or may not have been accepted before.
  const accepted = seen.closes['server'] ?? 0;
  const atOnce = seen.kinds['destroys in the same tick'] ?? 0;
  assert.ok(accepted >= seen.connections - atOnce && accepted <= seen.connections, `${accepted}`);
  assert.equal(seen.accepted, accepted);
  assert.equal(seen.connected, seen.connections);
  assert.equal(Object.keys(seen.kinds).length, 10);
  assert.deepEqual(seen.grown, {}, 'descriptors');
  assert.equal(seen.stillConnected, 0);
  assert.equal(seen.named, 1, 'only the listener has its name');
  assert.equal(socketsNamed(address), 0);
});
