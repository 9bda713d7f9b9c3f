import { closeSync, openSync } from 'node:fs';

import type { DescriptorConnection } from '../contenders/contender.js';
import { Latency } from '../latency.js';
import { takeSample } from '../sample.js';
import { measureSteady, steadyCommands } from './steady.js';
import { endpointOf, type Role, type RoleContext, type Workload } from './workload.js';

/** Descriptors that are on their way at any moment. */
const IN_FLIGHT = 16;
const VERIFIED = 200;
const BYTE = Buffer.from('d');

function descriptorsOf({ contender }: RoleContext) {
  if (!contender.descriptors) throw new Error(`${contender.id} does not pass descriptors`);
  return contender.descriptors;
}

/** Closes what it gets, and answers each descriptor with a byte. */
async function server(context: RoleContext): Promise<Role> {
  let received = 0;
  const endpoint = await descriptorsOf(context).listen(context.socketPath, (connection) => {
    connection.on('descriptors', (descriptors: { close(): void }[]) => {
      for (const descriptor of descriptors) descriptor.close();
      received += descriptors.length;
      connection.write(Buffer.alloc(descriptors.length, BYTE));
    });
    connection.on('error', context.fail);
    connection.resume();
  });
  return { endpoint, commands: steadyCommands({ sample: () => takeSample(received) }) };
}

async function client(context: RoleContext): Promise<Role> {
  const connection = await connected(descriptorsOf(context).connect(endpointOf(context)));
  const file = openSync('/dev/null', 'r');
  const latency = new Latency();
  const sentAt: number[] = [];
  let answered = 0;
  let remaining = 0;
  let onIdle: (() => void) | undefined;

  function send(): void {
    remaining--;
    sentAt.push(Latency.now());
    connection.sendDescriptors([file], BYTE);
  }
  connection.on('error', context.fail);
  connection.on('data', (chunk: Buffer) => {
    for (let i = 0; i < chunk.length; i++) {
      const startedAt = sentAt.shift();
      if (startedAt === undefined) throw new Error('an answer came that nobody asked for');
      latency.record(startedAt);
      answered++;
      if (remaining > 0) send();
    }
    if (sentAt.length === 0) onIdle?.();
  });

  function start(limit: number): void {
    remaining = limit;
    for (let i = 0; i < IN_FLIGHT; i++) send();
  }
  const idle = (): Promise<void> => new Promise((resolve) => (onIdle = resolve));

  return {
    commands: steadyCommands({
      verify: () => {
        start(VERIFIED);
        return idle();
      },
      start: () => start(Infinity),
      sample: () => takeSample(answered, answered),
      resetLatency: () => latency.reset(),
      latency: () => latency.summary(),
      stop: async () => {
        remaining = 0;
        await idle();
        closeSync(file);
      },
    }),
  };
}

function connected(connection: DescriptorConnection): Promise<DescriptorConnection> {
  return new Promise((resolve, reject) => {
    connection.once('connect', () => resolve(connection));
    connection.once('error', reject);
  });
}

/** Open files that travel over a connection, each closed and answered by the other end. */
export const descriptorPassing: Workload = {
  id: 'descriptor-passing',
  description: `open files passed over one connection, ${IN_FLIGHT} at a time, each answered`,
  family: 'descriptor-passing',
  point: {},
  onRequest: true,
  rows: [
    {
      id: 'descriptor-passing',
      title: 'descriptors passed',
      headline: { metric: 'rate', unit: 'descriptors/s', better: 'higher' },
      compared: true,
    },
  ],
  contenders: ['afunix', 'afunix-epoll'],
  connections: 1,
  secondsNeeded: ({ seconds }) => seconds,
  server,
  client,
  measure: measureSteady,
};
