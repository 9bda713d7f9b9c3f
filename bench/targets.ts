/** What afunix sets out to reach: a ratio against another contender in the same run. */
export interface Target {
  row: string;
  contender: string;
  against: string;
  /** At least this many times as good. */
  atLeast: number;
}

const AGAINST_NET: readonly [row: string, contender: string, atLeast: number][] = [
  ['echo-1', 'afunix', 1],
  ['echo-1', 'afunix-busy-poll', 5],
  ['echo-100', 'afunix', 2.2],
  ['echo-1000', 'afunix', 2],
  ['one-way-128-b', 'afunix', 5],
  ['one-way-4-kib', 'afunix', 2],
  ['one-way-64-kib', 'afunix', 1],
  ['one-way-64-kib', 'afunix-onread', 1.3],
  ['one-way-1-mib', 'afunix', 1],
  ['one-way-1-mib', 'afunix-onread', 1.3],
  ['connect-close', 'afunix', 1.3],
  ['idle-memory', 'afunix', 1],
  ['http', 'afunix', 1.3],
];

export const targets: readonly Target[] = AGAINST_NET.map(([row, contender, atLeast]) => ({
  row,
  contender,
  against: 'net-unix',
  atLeast,
}));
