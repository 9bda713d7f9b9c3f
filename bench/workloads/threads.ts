import { createHash } from 'node:crypto';
import { once } from 'node:events';
import * as path from 'node:path';
import { Worker } from 'node:worker_threads';

import type { Connection } from '../contenders/contender.js';
import { Latency } from '../latency.js';
import { checkPattern, patternAt } from '../pattern.js';
import { takeSample } from '../sample.js';
import { cyclesCommands } from './cycles.js';
import { measureSteady, steadyCommands } from './steady.js';
import { endpointOf, type Role, type RoleContext, type Workload } from './workload.js';

/** Requests that are under way at any moment, each with a connection of its own. */
const CONCURRENCY = 32;
const MESSAGE = 128;
/** What a request costs the server beside its socket: 256 KiB are hashed, a quarter of a millisecond or so. */
const WORK = Buffer.alloc(256 * 1024);

/** What each thread of the server does with a connection. */
export function answer(connection: Connection, fail: (error: unknown) => void): void {
  connection.on('error', fail);
  let received = Buffer.alloc(0);
  connection.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    if (received.length < MESSAGE) return;
    createHash('sha256').update(WORK).digest();
    connection.write(received);
    connection.end();
  });
}

async function server(context: RoleContext, count: number): Promise<Role> {
  const { contender, socketPath, fail } = context;
  const serve = (connection: Connection): void => answer(connection, fail);
  const commands = steadyCommands({ sample: takeSample });
  if (count === 1) return { endpoint: await contender.listen(socketPath, serve), commands };
  if (!contender.threads) throw new Error(`${contender.id} has no listener for several threads`);
  const { endpoint, share } = await contender.threads.listen(socketPath, serve);
  for (let i = 1; i < count; i++) {
    const workerData = { contender: contender.id, shared: share() };
    const worker = new Worker(path.join(__dirname, 'serving-thread.js'), { workerData });
    worker.on('error', fail);
    await once(worker, 'message');
  }
  return { endpoint, commands };
}

async function client(context: RoleContext): Promise<Role> {
  const { contender, settings } = context;
  const endpoint = endpointOf(context);
  const latency = new Latency();

  /** Connects, asks what nobody else asks, compares every byte of the answer, and is over when it is closed. */
  function begin(nth: number, over: () => void): void {
    const startedAt = Latency.now();
    const connection = contender.connect(endpoint);
    const offset = nth * MESSAGE;
    let received = Buffer.alloc(0);
    connection.on('data', (chunk: Buffer) => (received = Buffer.concat([received, chunk])));
    connection.on('error', context.fail);
    connection.on('close', () => {
      if (received.length !== MESSAGE) context.fail(new Error('an answer is not whole'));
      checkPattern(received, offset);
      latency.record(startedAt);
      over();
    });
    connection.write(patternAt(offset, MESSAGE));
  }

  return {
    commands: cyclesCommands({ concurrency: settings.connections, latency, bytes: MESSAGE, begin }),
  };
}

/** Round trips that cost the server some computing, on a path that so many of its threads serve. */
export function threads(count: 1 | 2): Workload {
  const title = count === 1 ? '1 thread' : `${count} threads`;
  return {
    id: `threads-${count}`,
    description: `${CONCURRENCY} requests at a time, each with a connection of its own and some computing; ${title} at the server`,
    family: `threads-${count}`,
    point: {},
    onRequest: true,
    cores: 'any',
    rows: [
      {
        id: `threads-${count}`,
        title: `with computing, ${title}`,
        headline: { metric: 'rate', unit: 'round trips/s', better: 'higher' },
        compared: count === 1,
      },
    ],
    contenders: count === 1 ? ['net-unix', 'afunix', 'afunix-epoll'] : ['afunix', 'afunix-epoll'],
    connections: CONCURRENCY,
    secondsNeeded: ({ seconds }) => seconds,
    server: (context) => server(context, count),
    client,
    measure: measureSteady,
  };
}
