import { createServer } from 'node:http';
import type { Duplex } from 'node:stream';

import { launchHttpClient } from '../contenders/cpp.js';
import type { HttpContender, JavaScriptContender } from '../contenders/contender.js';
import { Latency } from '../latency.js';
import { openConnections } from '../open-connections.js';
import { takeSample } from '../sample.js';
import { HttpResponseReader } from './http-response.js';
import { measureSteady, steadyCommands } from './steady.js';
import {
  endpointOf,
  type Role,
  type RoleContext,
  type Row,
  type Settings,
  type Workload,
} from './workload.js';

const CONNECTIONS = 50;
const VERIFIED_RESPONSES = 20;
/** The same as in bench/native/http.cc. */
const BODY = 'Hello over a socket.\n';
const REQUEST = Buffer.from('GET / HTTP/1.1\r\nhost: bench\r\n\r\n');

async function server(context: RoleContext): Promise<Role> {
  const httpServer = createServer((_request, response) => {
    response.setHeader('content-type', 'text/plain');
    response.end(BODY);
  });
  httpServer.on('clientError', context.fail);
  const endpoint = await httpOf(context.contender).listen(httpServer, context.socketPath);
  return { endpoint, commands: steadyCommands({ sample: takeSample }) };
}

async function client(context: RoleContext): Promise<Role> {
  const { contender, settings } = context;
  const endpoint = endpointOf(context);
  const latency = new Latency();
  let responses = 0;
  let bytes = 0;
  let remaining = 0; // Requests that may still be sent.
  let outstanding = 0;
  let onIdle: (() => void) | undefined;

  /** Keeps one request outstanding on a connection while there are any left to send. */
  function drive(connection: Duplex): () => void {
    let startedAt = 0; // Of the outstanding request; 0 when there is none.
    function request(): void {
      remaining--;
      outstanding++;
      startedAt = Latency.now();
      connection.write(REQUEST);
    }
    const reader = new HttpResponseReader((status, body) => {
      if (startedAt === 0) throw new Error('a response came that nobody asked for');
      if (status !== 200 || body.toString('latin1') !== BODY)
        throw new Error(`wrong response, status ${status}`);
      latency.record(startedAt);
      startedAt = 0;
      responses++;
      outstanding--;
      if (remaining > 0) request();
      else if (outstanding === 0) onIdle?.();
    });
    connection.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      reader.push(chunk);
    });
    connection.on('error', context.fail);
    connection.on('close', () => context.fail(new Error('the server closed a connection')));
    return request;
  }

  const connections = await openConnections(settings.connections, () =>
    httpOf(contender).connect(endpoint),
  );
  const requests = connections.map(drive);

  function start(limit: number): void {
    remaining = limit;
    for (const request of requests) request();
  }
  function idle(): Promise<void> {
    return new Promise((resolve) => (onIdle = resolve));
  }

  return {
    commands: steadyCommands({
      verify: () => {
        start(VERIFIED_RESPONSES * requests.length);
        return idle();
      },
      start: () => start(Infinity),
      sample: () => takeSample(responses, bytes),
      resetLatency: () => latency.reset(),
      latency: () => latency.summary(),
      stop: () => {
        remaining = 0;
        return idle();
      },
    }),
  };
}

function httpOf({ id, http }: JavaScriptContender): HttpContender {
  if (!http) throw new Error(`${id} does not run under node:http`);
  return http;
}

/** Why the program that is the client cannot be had. */
function missingClient(): string | undefined {
  try {
    launchHttpClient();
    return undefined;
  } catch (error) {
    return `its client is a program: ${error instanceof Error ? error.message : String(error)}`;
  }
}

const steady = {
  connections: CONNECTIONS,
  secondsNeeded: ({ seconds }: Settings) => seconds,
  server,
  measure: measureSteady,
};

function rowOf(id: string, title: string): Row {
  return {
    id,
    title: `${title}, ${CONNECTIONS} connections`,
    headline: { metric: 'rate', unit: 'requests/s', better: 'higher' },
    compared: true,
  };
}

/** An unmodified `http.Server`; the client is a program, the same for every server. */
export const http: Workload = {
  ...steady,
  id: 'http',
  description: `node:http server, keep-alive, ${CONNECTIONS} connections, one request outstanding on each`,
  family: 'http',
  point: {},
  needs: missingClient,
  rows: [rowOf('http', 'node:http')],
  contenders: ['net-tcp', 'net-unix', 'afunix', 'afunix-epoll', 'afunix-register'],
  load: { pattern: 'http', messageSize: BODY.length },
  clientProgram: launchHttpClient,
};

/** Both ends are the contender's. */
export const httpBothEnds: Workload = {
  ...steady,
  id: 'http-both-ends',
  description: `the same with a client in JavaScript, over sockets like the server's`,
  family: 'http-both-ends',
  point: {},
  onRequest: true,
  rows: [rowOf('http-both-ends', 'node:http, both ends')],
  contenders: ['net-tcp', 'net-unix', 'afunix', 'afunix-epoll', 'afunix-register'],
  client,
};
