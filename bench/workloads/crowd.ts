import { chmodSync } from 'node:fs';
import net from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { Latency } from '../latency.js';
import { takeSample } from '../sample.js';
import { measureSteady, steadyCommands } from './steady.js';
import { endpointOf, type Role, type RoleContext, type Workload } from './workload.js';

/** What one user would like to have open. */
const CROWD = 5_000;
/** Somebody who is not root, and no user of this machine's own. */
const NOBODY = 65_534;
/** Connects of the crowd in a row. */
const AT_ONCE = 64;
/** Whoever was refused comes again after this long. */
const AGAIN_MS = 1_000;
const PAUSE_MS = 1;
const HELLO = Buffer.from('h');

/** The kernel records the effective user at connect(2), and net's is made before its connect() returns. */
function asNobody<T>(act: () => T): T {
  process.seteuid?.(NOBODY);
  try {
    return act();
  } finally {
    process.seteuid?.(0);
  }
}

function pathOf(endpoint: ReturnType<typeof endpointOf>): string {
  if ('path' in endpoint) return endpoint.path;
  throw new Error('users are known on Unix sockets only');
}

/** Greets whoever is let in. */
async function server(context: RoleContext): Promise<Role> {
  const endpoint = await context.contender.listen(context.socketPath, (connection) => {
    // The crowd comes and goes as it likes.
    connection.on('error', () => undefined);
    connection.write(HELLO);
    connection.resume();
  });
  // Everybody may try.
  chmodSync(dirname(pathOf(endpoint)), 0o711);
  chmodSync(pathOf(endpoint), 0o666);
  return { endpoint, commands: steadyCommands({ sample: takeSample }) };
}

async function client(context: RoleContext): Promise<Role> {
  const { contender, settings } = context;
  const endpoint = endpointOf(context);
  const path = pathOf(endpoint);
  const latency = new Latency();
  const crowd = new Set<net.Socket>();
  let running = false;
  let served = 0;
  let onIdle: (() => void) | undefined;

  function join(): void {
    const connection = asNobody(() => net.connect(path));
    crowd.add(connection);
    connection.on('error', () => undefined);
    connection.on('close', () => {
      crowd.delete(connection);
      if (running) setTimeout(join, AGAIN_MS).unref();
    });
    connection.resume();
  }

  async function gather(): Promise<void> {
    for (let i = 0; i < settings.connections; i++) {
      if (i % AT_ONCE === 0) await sleep(PAUSE_MS);
      join();
    }
  }

  /** From connect() to the server's first byte, however many attempts that takes. */
  function visit(startedAt = Latency.now()): void {
    const connection = contender.connect(endpoint);
    let full = false;
    let greeted = false;
    connection.on('data', () => {
      if (greeted) return;
      greeted = true;
      latency.record(startedAt);
      served++;
      connection.end();
    });
    connection.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EAGAIN') full = true;
      else context.fail(error);
    });
    connection.on('close', () => {
      if (full) setTimeout(visit, PAUSE_MS, startedAt);
      else if (!greeted) context.fail(new Error('the other user was not let in'));
      else if (running) setTimeout(visit, PAUSE_MS);
      else onIdle?.();
    });
  }

  return {
    commands: steadyCommands({
      start: async () => {
        running = true;
        await gather();
        visit();
      },
      sample: () => takeSample(served),
      resetLatency: () => latency.reset(),
      latency: () => latency.summary(),
      stop: async () => {
        const idle = new Promise<void>((resolve) => (onIdle = resolve));
        running = false;
        await idle;
        for (const connection of crowd) connection.destroy();
      },
    }),
  };
}

/** How long one user waits to be served while another has, or tries to have, thousands of connections. */
export const crowd: Workload = {
  id: 'crowd',
  description: `one user's connects while another has ${CROWD.toLocaleString('en')} connections, or tries to`,
  family: 'crowd',
  point: {},
  onRequest: true,
  needs: () =>
    process.geteuid?.() === 0 ? undefined : 'it takes root to connect as two different users',
  rows: [
    {
      id: 'crowd',
      title: "another user's connect, p99",
      headline: { metric: 'latency.p99', unit: 'nanoseconds', better: 'lower' },
      compared: true,
    },
  ],
  contenders: ['net-unix', 'afunix', 'afunix-limits'],
  connections: CROWD,
  secondsNeeded: ({ seconds }) => seconds + 5,
  server,
  client,
  measure: measureSteady,
};
