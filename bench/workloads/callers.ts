import { client, CONCURRENCY, server } from './connect-close.js';
import { measureSteady } from './steady.js';
import type { Workload } from './workload.js';

/** What it costs a server to care who connects: to look, to let in by a policy, to refuse. Compare the server's CPU. */
export const callers: Workload = {
  id: 'callers',
  description: `as connect-close; the server looks at who connects, admits by a policy, or refuses`,
  family: 'callers',
  point: {},
  onRequest: true,
  rows: [
    {
      id: 'callers',
      title: 'callers',
      headline: { metric: 'rate', unit: 'connections/s', better: 'higher' },
      compared: true,
    },
  ],
  contenders: ['afunix', 'afunix-looks', 'afunix-admits', 'afunix-refuses'],
  connections: CONCURRENCY,
  secondsNeeded: ({ seconds }) => seconds,
  server,
  client,
  measure: measureSteady,
};
