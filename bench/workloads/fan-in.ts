import { once } from 'node:events';

import { openConnections } from '../open-connections.js';
import { checkPattern, patternAt } from '../pattern.js';
import { takeSample } from '../sample.js';
import { formatSize, slug } from '../units.js';
import { measureSteady, steadyCommands } from './steady.js';
import { spotChecks, writeSteadily } from './one-way.js';
import {
  endpointOf,
  type Metrics,
  type Role,
  type RoleContext,
  type Workload,
} from './workload.js';

const SIZE = 1_024;

/** Messages of every connection that are compared before the clock starts. */
const VERIFIED_MESSAGES = 16;

/** Reads from everybody who connects. */
async function receiver(context: RoleContext, size: number): Promise<Role> {
  const { contender, settings, socketPath, fail } = context;
  const verifiedBytes = VERIFIED_MESSAGES * size;
  let verified = 0;
  let received = 0;
  let ended = 0;
  const whenVerified = signal();
  const whenEnded = signal();
  const endpoint = await contender.listen(socketPath, (connection) => {
    let offset = 0;
    const check = spotChecks(size);
    connection.on('error', fail);
    connection.on('end', () => {
      if (++ended === settings.connections) whenEnded.resolve();
    });
    connection.on('data', (chunk: Buffer) => {
      if (offset >= verifiedBytes) {
        check(chunk, offset - verifiedBytes);
        offset += chunk.length;
        received += chunk.length;
        return;
      }
      checkPattern(chunk, offset);
      offset += chunk.length;
      if (offset === verifiedBytes && ++verified === settings.connections) whenVerified.resolve();
    });
  });
  return {
    endpoint,
    commands: steadyCommands({
      verify: () => whenVerified.promise,
      sample: () => takeSample(received / size, received),
      stop: async (written) => {
        await whenEnded.promise;
        if (received !== written)
          throw new Error(`${String(written)} bytes were written, ${received} received`);
      },
    }),
  };
}

function signal(): { promise: Promise<void>; resolve(): void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((done) => (resolve = done));
  return { promise, resolve };
}

/** Writes on every connection, minding each one's backpressure. */
async function sender(context: RoleContext, size: number): Promise<Role> {
  const { contender, settings, fail } = context;
  const endpoint = endpointOf(context);
  const connections = await openConnections(settings.connections, () =>
    contender.connect(endpoint),
  );
  for (const connection of connections) connection.on('error', fail);
  const loads = connections.map((connection) => writeSteadily(connection, size));
  return {
    commands: steadyCommands({
      verify: async () => {
        for (const connection of connections) {
          for (let i = 0; i < VERIFIED_MESSAGES; i++) {
            if (!connection.write(patternAt(i * size, size))) await once(connection, 'drain');
          }
        }
      },
      start: () => {
        for (const load of loads) load.start();
      },
      sample: takeSample,
      stop: async () => {
        const written = await Promise.all(loads.map((load) => load.stop()));
        return written.reduce((sum, bytes) => sum + bytes, 0);
      },
    }),
  };
}

/** Many connections write as fast as they may, one process reads them all. */
export function fanIn(connections: number, size = SIZE): Workload {
  const label = formatSize(size);
  const id = `fan-in-${connections}${size === SIZE ? '' : `-${slug(label)}`}`;
  return {
    id,
    description: `one-way streams of ${label} messages from ${connections} connections to one server`,
    family: 'fan-in',
    point: { connections, messageSize: size },
    onRequest: true,
    rows: [
      {
        id,
        title: `fan-in, ${label}, ${connections} connections`,
        headline: { metric: 'rate', unit: 'messages/s', better: 'higher' },
        compared: true,
      },
    ],
    contenders: ['net-tcp', 'net-unix', 'afunix', 'afunix-epoll'],
    connections,
    secondsNeeded: ({ seconds }) => seconds,
    server: (context) => receiver(context, size),
    client: (context) => sender(context, size),
    measure: async (pair, settings) => {
      // Rates are taken at the receiver, which here is the server.
      const swapped = { ...pair, server: pair.client, client: pair.server };
      return withServerAndClientSwapped(await measureSteady(swapped, settings));
    },
  };
}

function withServerAndClientSwapped(metrics: Metrics): Metrics {
  const { serverCpuPerOperation, clientCpuPerOperation, ...others } = metrics;
  return {
    ...others,
    serverCpuPerOperation: clientCpuPerOperation,
    clientCpuPerOperation: serverCpuPerOperation,
  };
}
