import type { Connection } from '../contenders/contender.js';
import { Latency } from '../latency.js';
import { openConnections } from '../open-connections.js';
import { takeSample } from '../sample.js';
import { measureSteady, steadyCommands } from './steady.js';
import { endpointOf, type Role, type RoleContext, type Workload } from './workload.js';

const CONNECTIONS = 50;
const VERIFIED_ANSWERS = 20;

/** GET of a key, and a value of 64 bytes, as Redis's protocol has them. */
const REQUEST = Buffer.from('*2\r\n$3\r\nGET\r\n$8\r\nuser:123\r\n');
const ANSWER = Buffer.from(`$64\r\n${'v'.repeat(64)}\r\n`);

/** Calls `onWhole` for every repetition of `expected` in what comes, and throws on anything else. */
function repetitionsOf(expected: Buffer, onWhole: () => void): (chunk: Buffer) => void {
  let position = 0;
  return (chunk) => {
    for (let offset = 0; offset < chunk.length;) {
      const length = Math.min(expected.length - position, chunk.length - offset);
      const same = chunk.compare(expected, position, position + length, offset, offset + length);
      if (same !== 0) throw new Error('something else than a request or an answer came');
      offset += length;
      position = (position + length) % expected.length;
      if (position === 0) onWhole();
    }
  };
}

async function server(context: RoleContext): Promise<Role> {
  const endpoint = await context.contender.listen(context.socketPath, (connection) => {
    connection.on(
      'data',
      repetitionsOf(REQUEST, () => connection.write(ANSWER)),
    );
    connection.on('error', context.fail);
  });
  return { endpoint, commands: steadyCommands({ sample: takeSample }) };
}

async function client(context: RoleContext): Promise<Role> {
  const { contender, settings, fail } = context;
  const endpoint = endpointOf(context);
  const latency = new Latency();
  let answers = 0;
  let remaining = 0;
  let outstanding = 0;
  let onIdle: (() => void) | undefined;

  function drive(connection: Connection): () => void {
    let startedAt = 0;
    function request(): void {
      remaining--;
      outstanding++;
      startedAt = Latency.now();
      connection.write(REQUEST);
    }
    connection.on(
      'data',
      repetitionsOf(ANSWER, () => {
        latency.record(startedAt);
        answers++;
        outstanding--;
        if (remaining > 0) request();
        else if (outstanding === 0) onIdle?.();
      }),
    );
    connection.on('error', fail);
    connection.on('close', () => fail(new Error('the server closed a connection')));
    return request;
  }

  const connections = await openConnections(settings.connections, () =>
    contender.connect(endpoint),
  );
  const requests = connections.map(drive);
  function start(limit: number): void {
    remaining = limit;
    for (const request of requests) request();
  }
  const idle = (): Promise<void> => new Promise((resolve) => (onIdle = resolve));

  return {
    commands: steadyCommands({
      verify: () => {
        start(VERIFIED_ANSWERS * requests.length);
        return idle();
      },
      start: () => start(Infinity),
      sample: () => takeSample(answers, answers * ANSWER.length),
      resetLatency: () => latency.reset(),
      latency: () => latency.summary(),
      stop: () => {
        remaining = 0;
        return idle();
      },
    }),
  };
}

/** Small requests and answers in the form of Redis's protocol; every byte is compared. */
export const redisShaped: Workload = {
  id: 'redis-shaped',
  description: `GET of 64 bytes in Redis's protocol, ${CONNECTIONS} connections, one request outstanding on each`,
  family: 'redis-shaped',
  point: {},
  onRequest: true,
  rows: [
    {
      id: 'redis-shaped',
      title: `Redis-shaped, ${CONNECTIONS} connections`,
      headline: { metric: 'rate', unit: 'requests/s', better: 'higher' },
      compared: true,
    },
  ],
  contenders: ['net-tcp', 'net-unix', 'afunix', 'afunix-epoll'],
  connections: CONNECTIONS,
  secondsNeeded: ({ seconds }) => seconds,
  server,
  client,
  measure: measureSteady,
};
