/** Transports with faults of a known size: the instrument finds what was put in. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bench, moduleOf, resultsIn, short, type Cell } from './bench';

const { DELAY_MS, LOST_OF, PAUSE_MS, PAUSED_EVERY_MS } = moduleOf(
  'contenders/known-faults.js',
) as Record<'DELAY_MS' | 'LOST_OF' | 'PAUSE_MS' | 'PAUSED_EVERY_MS', number>;

async function measure(
  file: string,
  ...args: string[]
): Promise<{ cells: Cell[]; output: string }> {
  const { stdout, stderr } = await bench('run', ...short(file), ...args);
  return { cells: resultsIn(file).cells, output: stdout + stderr };
}

const openLoop = ['--workload', 'open-loop-5000-1', '--rate', '500'];

test('a delay is measured, and no more than a little more', async () => {
  const { cells, output } = await measure(
    'delay.json',
    ...openLoop,
    '--seconds',
    '0.4',
    '--contender',
    'selftest-delay',
  );
  const p50 = cells[0]?.metrics?.['latency.p50'];
  assert.ok(p50 !== undefined, output);
  // A timer may fire a millisecond early by another clock; a busy machine wakes it late.
  assert.ok(p50 >= (DELAY_MS - 1) * 1e6, `${p50} ns`);
  assert.ok(p50 < 3 * DELAY_MS * 1e6, `${p50} ns`);
});

test('losses are counted to the message', async () => {
  const { cells, output } = await measure('loss.json', ...openLoop, '--contender', 'selftest-loss');
  const { lostShare, sent } = cells[0]?.metrics ?? {};
  assert.ok(lostShare !== undefined && sent > LOST_OF, output);
  assert.equal(Math.round(lostShare * sent), Math.floor(sent / LOST_OF));
});

test('what was due during a pause counts as late, and a closed loop hardly sees it', async () => {
  const pause = ['--seconds', '1', '--contender', 'selftest-pause'];
  const open = await measure('pause.json', ...openLoop, ...pause);
  const closed = await measure('pause.json', '--workload', 'echo-1', ...pause);
  const p90 = ({ cells, output }: typeof open): number => {
    const value = cells[0]?.metrics?.['latency.p90'];
    assert.ok(value !== undefined, output);
    return value;
  };
  // What falls into a pause waits for its end: from all of it down to nothing, evenly.
  const paused = PAUSE_MS / (PAUSE_MS + PAUSED_EVERY_MS);
  const expected = PAUSE_MS * (1 - 0.1 / paused);
  assert.ok(p90(open) > 0.8 * expected * 1e6, `${p90(open)} ns`);
  assert.ok(p90(closed) < p90(open) / 2, `${p90(closed)} ns`);
});

test('a peer that stalls is reported, and the run goes on', async () => {
  const { cells, output } = await measure(
    'stall.json',
    ...['--workload', 'echo-1', '--seconds', '0.3', '--patience', '6'],
    ...['--contender', 'selftest-stall', '--contender', 'net-unix'],
  );
  const errors = new Map(cells.map(({ contender, error }) => [contender, error]));
  assert.equal(errors.get('net-unix'), undefined, output);
  assert.match(
    errors.get('selftest-stall')!,
    /^nothing was received|^no result after .* waiting for/,
  );
  assert.match(output, /echo-1, selftest-stall, round 1 failed: /);
});

test('lost messages fail the cell of a transport that should lose none', async () => {
  const { cells } = await measure(
    'stalled-open-loop.json',
    ...[...openLoop, '--rate', '20000', '--contender', 'selftest-stall', '--patience', '8'],
  );
  assert.match(cells[0].error!, /of \d+ messages were lost|^nothing was received/);
});

test('system calls are counted right: a program that makes three per round trip', async () => {
  const { cells, output } = await measure(
    'calls.json',
    ...['--workload', 'echo-1', '--seconds', '1', '--contender', 'cpp-epoll', '--inspect'],
  );
  const { metrics } = cells.find(({ inspection }) => inspection) ?? {};
  assert.ok(metrics, output);
  const calls = metrics['serverSyscallsPerOperation'];
  // Where perf may not count, that is said, and no number is made up.
  if (calls === undefined) assert.match(output, /system calls were not counted: perf /);
  else assert.ok(calls > 2.4 && calls < 3.6, `${calls} per round trip`);
});

test(
  'the same thing twice is no difference in at least 38 of 40 runs',
  {
    skip: process.env['AFUNIX_LONG'] === '1' ? false : 'takes six minutes: AFUNIX_LONG=1',
  },
  async () => {
    let same = 0;
    for (let run = 0; run < 40; run++) {
      const { stdout } = await bench(
        'run',
        ...short('twins.json'),
        ...['--rounds', '5', '--seconds', '0.2', '--workload', 'echo-100'],
        ...['--contender', 'net-unix', '--contender', 'selftest-twin'],
      );
      if (/self-test: node:net again.*no difference/.test(stdout)) same++;
    }
    assert.ok(same >= 38, `${same} of 40`);
  },
);
