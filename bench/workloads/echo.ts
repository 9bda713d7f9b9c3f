import { Latency } from '../latency.js';
import { openConnections } from '../open-connections.js';
import { patternAt } from '../pattern.js';
import { takeSample } from '../sample.js';
import { EchoConnection, type EchoTotals } from './echo-connection.js';
import { echoServer } from './echo-server.js';
import { measureSteady, steadyCommands } from './steady.js';
import { formatSize, slug } from '../units.js';
import { endpointOf, type Role, type RoleContext, type Workload } from './workload.js';

/** Messages checked before anything is timed, over all connections. */
const VERIFIED_MESSAGES = 1_000;

/** A prime, so that over time every connection and every position in a batch is timed. */
const TIMED_EVERY = 7;

/** `inFlight` messages at a time over all connections, or one on each. */
export async function echoClient(
  context: RoleContext,
  messageSize: number,
  inFlight = Infinity,
): Promise<Role> {
  const { contender, settings } = context;
  const endpoint = endpointOf(context);
  let idle: (() => void) | undefined;
  const timedEvery = settings.connections === 1 ? 1 : TIMED_EVERY;
  const totals: EchoTotals = {
    roundTrips: 0,
    outstanding: 0,
    remaining: 0,
    latency: new Latency(),
    message: patternAt(0, messageSize),
    timedEvery,
    untilTimed: timedEvery,
    onIdle: () => idle?.(),
  };
  const sockets = await openConnections(settings.connections, () => contender.connect(endpoint));
  const connections = sockets.map((socket) => new EchoConnection(socket, totals, context.fail));
  if (inFlight < connections.length) totals.next = inTurn(connections);
  const verifiedEach = Math.ceil(VERIFIED_MESSAGES / connections.length);

  function start(limit: number): void {
    totals.remaining = limit;
    for (const connection of connections.slice(0, Math.min(inFlight, limit))) connection.send();
  }
  function whenIdle(): Promise<void> {
    return new Promise((resolve) => {
      idle = resolve;
      if (totals.outstanding === 0) resolve();
    });
  }

  return {
    commands: {
      ...steadyCommands({
        verify: async () => {
          await Promise.all(connections.map((connection, i) => connection.verify(i, verifiedEach)));
        },
        start: () => start(Infinity),
        sample: () => takeSample(totals.roundTrips, totals.roundTrips * messageSize),
        resetLatency: () => totals.latency.reset(),
        latency: () => totals.latency.summary(),
        stop: () => {
          totals.remaining = 0;
          return whenIdle();
        },
      }),
      /** So many round trips, from the first message to the last answer. */
      complete: (count) => {
        start(count as number);
        return whenIdle();
      },
    },
  };
}

/** Gives each connection its turn, and passes over those that still wait for an answer. */
function inTurn(connections: readonly EchoConnection[]): () => EchoConnection {
  let last = 0;
  return () => {
    do last = (last + 1) % connections.length;
    while (connections[last].busy);
    return connections[last];
  };
}

export const ECHO_SIZE = 128;

/** Request and answer: a message there and back, one outstanding per connection. */
export function echo(connections: number, messageSize = ECHO_SIZE): Workload {
  const size = formatSize(messageSize);
  const id = `echo-${connections}${messageSize === ECHO_SIZE ? '' : `-${slug(size)}`}`;
  return {
    id,
    description: `echo of ${size}, ${plural(connections)}, one message outstanding on each`,
    family: 'echo',
    point: { messageSize, connections },
    rows: [
      {
        id,
        title: `echo ${size}, ${plural(connections)}`,
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
      'afunix-seqpacket',
      'node-unix-socket',
      'bun',
      'deno',
      'go',
      'cpp-epoll',
      'cpp-uring',
      ...(connections === 1 ? ['afunix-raw-spin', 'cpp-spin'] : []),
      'selftest-twin',
      'selftest-pause',
      'selftest-stall',
    ],
    connections,
    load: { pattern: 'echo', messageSize },
    secondsNeeded: ({ seconds }) => seconds,
    server: echoServer,
    client: (context) => echoClient(context, messageSize),
    measure: measureSteady,
  };
}

function plural(connections: number): string {
  return `${connections.toLocaleString('en')} connection${connections === 1 ? '' : 's'}`;
}
