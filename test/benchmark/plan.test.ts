/** What is going to run, and how what did not is told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { moduleOf, type Cell } from './bench';

interface Planned {
  workload: { id: string };
  settings: { connections: number };
}

const { parseOptions } = moduleOf('options.js') as {
  parseOptions(args: string[]): { mostConnections: number };
};
const { planRounds } = moduleOf('plan.js') as {
  planRounds(options: object, usable: Set<string>, notices: string[]): Planned[];
};
const { failuresOf } = moduleOf('cells.js') as {
  failuresOf(results: { cells: Partial<Cell>[] }): string[];
};

/** What a run that opens at most 50 connections would do. */
function planned(...args: string[]): { connections: number[]; notices: string[] } {
  const notices: string[] = [];
  const options = { ...parseOptions([...args, '--rounds', '1']), mostConnections: 50 };
  const plan = planRounds(options, new Set(['net-unix']), notices);
  return { connections: plan.map(({ settings }) => settings.connections), notices };
}

test('a quick run opens fewer connections and says so, but as many as a name or somebody says', () => {
  assert.equal(parseOptions(['--quick']).mostConnections, 2_000);
  assert.ok(parseOptions([]).mostConnections > 1e6);
  assert.deepEqual(planned('--workload', 'idle-memory'), {
    connections: [50],
    notices: ['idle-memory ran with 50 connections instead of 6000: a quick run opens no more'],
  });
  assert.deepEqual(planned('--workload', 'echo-100'), { connections: [100], notices: [] });
  const asked = planned('--workload', 'echo-1', '--connections', '1,200');
  assert.deepEqual(asked, { connections: [1, 200], notices: [] });
});

test('what failed is told once, with all its rounds and the first reason', () => {
  const failed = { workload: 'echo-1', contender: 'go', error: 'no such file\n  at somewhere' };
  const cells = [
    { ...failed, round: 1 },
    { ...failed, round: 2, contender: 'bun' },
    { ...failed, round: 3, error: 'another' },
    { ...failed, round: 0, inspection: true },
    { workload: 'echo-1', contender: 'net-unix', round: 1, metrics: {} },
  ];
  assert.deepEqual(failuresOf({ cells }), [
    'echo-1, go, rounds 1, 3 and inspection failed: no such file',
    'echo-1, bun, round 2 failed: no such file',
  ]);
  const inspection = [{ ...failed, round: 0, inspection: true }];
  assert.deepEqual(failuresOf({ cells: inspection }), [
    'echo-1, go, inspection failed: no such file',
  ]);
});
