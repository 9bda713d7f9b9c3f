import { setTimeout as sleep } from 'node:timers/promises';

import type { Child } from '../child.js';
import { echoServer } from './echo-server.js';
import { idleClient } from './idle-client.js';
import type { Metrics, Pair, Role, Settings, Workload } from './workload.js';

const CONNECTIONS = 5_000;

/**
 * Opened before the first reading and left open: they pay for the code, the tables and the pages
 * that come with the first connections and not with every one.
 */
const OPEN_BEFORE = 1_000;

const COLLECTIONS = 4;
const BETWEEN_COLLECTIONS_MS = 30;

interface Memory {
  /** Resident bytes of the process. */
  resident: number;
  /** Bytes of live objects and of what hangs on them. */
  heap: number;
}

/** This process after everything collectable is gone. */
async function readMemory(): Promise<Memory> {
  for (let i = 0; i < COLLECTIONS; i++) {
    globalThis.gc?.();
    await sleep(BETWEEN_COLLECTIONS_MS);
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return { resident: rss, heap: heapUsed + external };
}

function withMemory(role: Role): Role {
  return { ...role, commands: { ...role.commands, readMemory } };
}

async function accepted(server: Child, expected: number, pause: Pair['pause']): Promise<void> {
  while ((await server.call<number>('accepted')) < expected) await pause(0.01);
}

async function measure({ server, client, pause }: Pair, settings: Settings): Promise<Metrics> {
  const read = (): Promise<[Memory, Memory]> =>
    Promise.all([server.call<Memory>('readMemory'), client.call<Memory>('readMemory')]);
  const connections = Math.ceil((settings.connections * CONNECTIONS) / (CONNECTIONS + OPEN_BEFORE));
  const openBefore = settings.connections - connections;

  const [serverEmpty] = await read();
  await client.call('connect', openBefore);
  await client.call('exchange');
  await accepted(server, openBefore, pause);
  const [serverBefore, clientBefore] = await read();
  await client.call('connect', connections);
  await accepted(server, settings.connections, pause);
  const [serverIdle, clientIdle] = await read();
  await client.call('exchange');
  const [serverUsed, clientUsed] = await read();

  const metrics: Metrics = {
    connections,
    openBefore,
    serverWithoutConnections: serverEmpty.resident,
  };
  const perConnection = (name: string, before: Memory, after: Memory): void => {
    metrics[name] = (after.resident - before.resident) / connections;
    metrics[`${name}.heap`] = (after.heap - before.heap) / connections;
  };
  perConnection('serverPerConnection', serverBefore, serverIdle);
  perConnection('clientPerConnection', clientBefore, clientIdle);
  perConnection('serverPerUsedConnection', serverBefore, serverUsed);
  perConnection('clientPerUsedConnection', clientBefore, clientUsed);
  return metrics;
}

/** What a connection costs in the server's resident memory while nothing happens on it. */
export const idleMemory: Workload = {
  id: 'idle-memory',
  description: `resident memory of the server per idle connection, ${CONNECTIONS.toLocaleString('en')} of them`,
  family: 'idle-memory',
  point: {},
  rows: [
    {
      id: 'idle-memory',
      title: 'memory per idle connection',
      headline: { metric: 'serverPerConnection', unit: 'bytes', better: 'lower' },
      compared: true,
    },
    {
      id: 'idle-memory-used',
      title: 'the same, after one message',
      headline: { metric: 'serverPerUsedConnection', unit: 'bytes', better: 'lower' },
      compared: true,
    },
    {
      id: 'idle-memory-process',
      title: 'server without connections',
      headline: { metric: 'serverWithoutConnections', unit: 'bytes', better: 'lower' },
      compared: true,
    },
  ],
  contenders: ['net-tcp', 'net-unix', 'afunix', 'afunix-epoll'],
  connections: CONNECTIONS + OPEN_BEFORE,
  // The young generation grows in steps of megabytes, which is more than the connections take.
  nodeOptions: ['--max-semi-space-size=1'],
  secondsNeeded: () => 4,
  server: async (context) => withMemory(await echoServer(context)),
  client: async (context) => withMemory(await idleClient(context)),
  measure,
};
