import { Latency } from '../latency.js';
import { openConnections } from '../open-connections.js';
import { takeSample } from '../sample.js';
import { EchoConnection, MESSAGE_SIZE, type EchoTotals } from './echo-connection.js';
import { echoServer } from './echo-server.js';
import { measureSteady, steadyCommands } from './steady.js';
import { endpointOf, type Role, type RoleContext, type Workload } from './workload.js';

/** Messages checked before anything is timed, over all connections. */
const VERIFIED_MESSAGES = 1_000;

/** A prime, so that over time every connection and every position in a batch is timed. */
const TIMED_EVERY = 7;

async function echoClient(context: RoleContext): Promise<Role> {
  const { contender, settings } = context;
  const endpoint = endpointOf(context);
  let idle: (() => void) | undefined;
  const timedEvery = settings.connections === 1 ? 1 : TIMED_EVERY;
  const totals: EchoTotals = {
    roundTrips: 0,
    outstanding: 0,
    running: false,
    latency: new Latency(),
    timedEvery,
    untilTimed: timedEvery,
    onIdle: () => idle?.(),
  };
  const sockets = await openConnections(settings.connections, () => contender.connect(endpoint));
  const connections = sockets.map((socket) => new EchoConnection(socket, totals, context.fail));
  const verifiedEach = Math.ceil(VERIFIED_MESSAGES / connections.length);

  return {
    commands: steadyCommands({
      verify: async () => {
        await Promise.all(connections.map((connection, i) => connection.verify(i, verifiedEach)));
      },
      start: () => {
        totals.running = true;
        for (const connection of connections) connection.send();
      },
      sample: () => takeSample(totals.roundTrips, totals.roundTrips * MESSAGE_SIZE),
      resetLatency: () => totals.latency.reset(),
      latency: () => totals.latency.summary(),
      stop: () =>
        new Promise<void>((resolve) => {
          idle = resolve;
          totals.running = false;
        }),
    }),
  };
}

/** Request and answer: 128 bytes there and back, one message outstanding per connection. */
export function echo(connections: number): Workload {
  const id = `echo-${connections}`;
  return {
    id,
    description: `echo of ${MESSAGE_SIZE} B, ${plural(connections)}, one message outstanding on each`,
    rows: [
      {
        id,
        title: `echo ${MESSAGE_SIZE} B, ${plural(connections)}`,
        headline: { metric: 'rate', unit: 'round trips/s', better: 'higher' },
        compared: true,
      },
    ],
    contenders: [
      'net-tcp',
      'net-unix',
      'afunix',
      'afunix-epoll',
      ...(connections === 1 ? ['afunix-busy-poll'] : []),
      'node-unix-socket',
      'bun',
      'deno',
      'go',
      'cpp-epoll',
      'cpp-uring',
      ...(connections === 1 ? ['cpp-spin'] : []),
    ],
    connections,
    load: { pattern: 'echo', messageSize: MESSAGE_SIZE },
    secondsNeeded: ({ seconds }) => seconds,
    server: echoServer,
    client: echoClient,
    measure: measureSteady,
  };
}

function plural(connections: number): string {
  return `${connections.toLocaleString('en')} connection${connections === 1 ? '' : 's'}`;
}
