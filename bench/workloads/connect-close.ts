import { Latency } from '../latency.js';
import { takeSample } from '../sample.js';
import { cyclesCommands } from './cycles.js';
import { measureSteady, steadyCommands } from './steady.js';
import { endpointOf, type Role, type RoleContext, type Workload } from './workload.js';

/** Connections that are being opened or closed at any moment. */
export const CONCURRENCY = 32;

export async function server(context: RoleContext): Promise<Role> {
  const endpoint = await context.contender.listen(context.socketPath, (connection) => {
    connection.on('error', context.fail);
    connection.resume(); // Reads the client's end, and closes for that reason.
  });
  return { endpoint, commands: steadyCommands({ sample: takeSample }) };
}

export async function client(context: RoleContext): Promise<Role> {
  const { contender, settings } = context;
  const endpoint = endpointOf(context);
  const latency = new Latency();

  /** Connects, says end, reads the server's end, and is over when it is closed. */
  function begin(_nth: number, over: () => void): void {
    const startedAt = Latency.now();
    const connection = contender.connect(endpoint);
    let ended = false;
    connection.on('connect', () => connection.end());
    connection.on('end', () => (ended = true));
    connection.on('error', context.fail);
    connection.on('close', () => {
      if (!ended) context.fail(new Error('a connection was closed without its end'));
      latency.record(startedAt);
      over();
    });
    connection.resume();
  }

  return {
    commands: cyclesCommands({ concurrency: settings.connections, latency, bytes: 0, begin }),
  };
}

/** How fast connections come and go: connect, accept, end in both directions, close. */
export const connectClose: Workload = {
  id: 'connect-close',
  description: `connect and close in an orderly way, ${CONCURRENCY} at a time`,
  family: 'connect-close',
  point: {},
  rows: [
    {
      id: 'connect-close',
      title: 'connect + close',
      headline: { metric: 'rate', unit: 'connections/s', better: 'higher' },
      compared: true,
    },
  ],
  contenders: ['net-tcp', 'net-unix', 'afunix', 'afunix-epoll'],
  connections: CONCURRENCY,
  secondsNeeded: ({ seconds }) => seconds,
  server,
  client,
  measure: measureSteady,
};
