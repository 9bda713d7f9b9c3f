import { measureCounted } from './counted.js';
import { echoClient } from './echo.js';
import { echoServer } from './echo-server.js';
import type { Workload } from './workload.js';

const CONNECTIONS = 1_000;
const REQUESTS = 100_000;
const SIZE = 128;

/** A fixed number of requests over many connections, few of which have one outstanding. */
export function requests(inFlight: number): Workload {
  const id = `requests-${inFlight}`;
  return {
    id,
    description: `100,000 requests of ${SIZE} B over 1,000 connections, ${inFlight} at a time`,
    family: 'requests',
    point: {},
    rows: [
      {
        id,
        title: `100,000 requests, ${inFlight} of 1,000 connections at a time`,
        headline: { metric: 'rate', unit: 'requests/s', better: 'higher' },
        compared: true,
      },
    ],
    contenders: ['net-tcp', 'net-unix', 'afunix', 'afunix-epoll'],
    connections: CONNECTIONS,
    secondsNeeded: () => 4,
    server: echoServer,
    client: (context) => echoClient(context, SIZE, inFlight),
    measure: (pair, settings) => measureCounted(pair, settings, REQUESTS),
  };
}
