/** What afunix sets out to reach: a ratio against another contender in the same run. */
export interface Target {
  row: string;
  contender: string;
  against: string;
  /** At least this many times as good. */
  atLeast: number;
  /** Compared by this percentile of the latency instead of by the row's headline. */
  latency?: 'p50' | 'p99';
}

/** One that is no comparison: a latency that is not to be longer than this. */
export interface Limit {
  row: string;
  contender: string;
  latency: 'p50' | 'p99';
  /** Seconds. */
  atMost: number;
}

export const limits: readonly Limit[] = [
  { row: 'crowd', contender: 'afunix-limits', latency: 'p99', atMost: 0.05 },
];

/** Against `node:net` on a Unix socket. */
const AGAINST_NET: readonly [row: string, contender: string, atLeast: number][] = [
  ['echo-1', 'afunix', 1.1],
  ['echo-1', 'afunix-busy-poll', 7],
  ['echo-100', 'afunix', 4],
  ['echo-100', 'afunix-epoll', 2.2],
  ['echo-1000', 'afunix', 4],
  ['echo-1000', 'afunix-epoll', 2],
  ['one-way-128-b', 'afunix', 10],
  ['one-way-4-kib', 'afunix', 2.5],
  ['one-way-64-kib', 'afunix', 1.25],
  ['one-way-64-kib', 'afunix-onread', 1.6],
  ['one-way-1-mib', 'afunix', 1.25],
  ['one-way-1-mib', 'afunix-onread', 1.6],
  ['connect-close', 'afunix', 2],
  ['idle-memory', 'afunix', 1 / 0.7],
  ['http', 'afunix', 1.7],
];

/** What echo over many connections has to be ahead of. */
const OTHERS = ['bun', 'go', 'cpp-epoll'];

/** Messages with boundaries, and the system calls themselves. */
const SEQPACKET: readonly [row: string, contender: string, against: string, atLeast: number][] = [
  ['messages-128-b', 'afunix-seqpacket-batched', 'cpp-seqpacket', 1],
  ['messages-128-b', 'afunix-seqpacket-batched', 'net-unix', 3],
  ['messages-128-b', 'afunix-seqpacket', 'node-unix-socket', 2],
  ['messages-4-kib', 'afunix-seqpacket', 'node-unix-socket', 2],
  ['echo-1', 'afunix-seqpacket', 'afunix', 1],
  ['echo-1', 'afunix-raw-spin', 'cpp-spin', 1 / 1.5],
  ...['echo-1', 'echo-100', 'echo-1000'].map((row): [string, string, string, number] => [
    row,
    'afunix-seqpacket',
    'node-unix-socket',
    2,
  ]),
];

/** Programs and libraries that are not changed, and what stands in front of them. */
const UNCHANGED: readonly [row: string, contender: string, against: string, atLeast: number][] = [
  ['http', 'afunix-register', 'net-unix', 1.5],
  ['nginx-http', 'nginx-afunix', 'nginx-net-unix', 1],
  ['nginx-redis-shaped', 'nginx-stream-afunix', 'nginx-stream-net-unix', 1],
  // Many connections with little to say: there the socket is what costs.
  ['ioredis-50', 'afunix-register', 'net-unix', 1.2],
  ...['ioredis-pipeline', 'ioredis-64-kib', 'pg-pipeline', 'pg-10', 'pg-rows'].map(
    (row): [string, string, string, number] => [row, 'afunix-register', 'net-unix', 1],
  ),
];

export const targets: readonly Target[] = [
  ...AGAINST_NET.map(([row, contender, atLeast]) => ({
    row,
    contender,
    against: 'net-unix',
    atLeast,
  })),
  ...['echo-100', 'echo-1000'].flatMap((row) =>
    OTHERS.map((against) => ({ row, contender: 'afunix', against, atLeast: 1 })),
  ),
  ...UNCHANGED.map(([row, contender, against, atLeast]) => ({ row, contender, against, atLeast })),
  ...SEQPACKET.map(([row, contender, against, atLeast]) => ({ row, contender, against, atLeast })),
  { row: 'echo-1000', contender: 'afunix', against: 'net-unix', atLeast: 3, latency: 'p99' },
  { row: 'echo-100', contender: 'afunix', against: 'net-tcp', atLeast: 5 },
  { row: 'echo-100', contender: 'afunix', against: 'net-tcp', atLeast: 5, latency: 'p50' },
  { row: 'echo-100', contender: 'afunix', against: 'net-tcp', atLeast: 5, latency: 'p99' },
  {
    row: 'echo-1',
    contender: 'afunix-busy-poll',
    against: 'cpp-spin',
    atLeast: 0.5,
    latency: 'p50',
  },
];
