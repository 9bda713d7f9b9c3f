/** The benchmark runs: both processes of a cell, in C++ as in JavaScript, and what it writes down. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';

interface Cell {
  workload: string;
  contender: string;
  metrics?: Record<string, number>;
  error?: string;
}
interface Run {
  code: number;
  output: string;
  results: {
    complete: boolean;
    notices: string[];
    contenders: Record<string, Record<string, unknown>>;
    cells: Cell[];
  };
}

const cli = path.resolve(__dirname, '../../bench/cli.js');
const folder = mkdtempSync(path.join(os.tmpdir(), 'benchmark-'));
after(() => rmSync(folder, { recursive: true }));

/** One short round. */
function bench(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Run> {
  const json = path.join(folder, 'results.json');
  const short = ['--quick', '--rounds', '1', '--seconds', '0.05', '--json', json];
  const env = { ...process.env, ...environment };
  return new Promise((resolve) => {
    execFile(process.execPath, [cli, ...short, ...args], { env }, (error, stdout, stderr) => {
      const results = JSON.parse(readFileSync(json, 'utf8')) as Run['results'];
      rmSync(json);
      resolve({ code: Number(error?.code ?? 0), output: stdout + stderr, results });
    });
  });
}

test('cells of C++ programs and of JavaScript have the same measurements', async () => {
  const { code, output, results } = await bench([
    ...['--filter', 'echo-1000', '--filter', 'one-way-128-b'],
    ...['--contender', 'net-unix', '--contender', 'cpp-epoll'],
  ]);
  assert.deepEqual(
    results.cells.flatMap(({ error }) => error ?? []),
    [],
  );
  assert.equal(code, 0, output);
  assert.equal(results.complete, true);
  assert.ok(results.contenders['cpp-epoll']?.['compiler']);
  const cells = new Map(
    results.cells.map(({ workload, contender, metrics }) => [`${workload} ${contender}`, metrics]),
  );
  for (const workload of ['echo-1000', 'one-way-128-b']) {
    const ours = cells.get(`${workload} cpp-epoll`);
    const others = cells.get(`${workload} net-unix`);
    assert.ok(ours && others, output);
    assert.deepEqual(named(ours), named(others));
    for (const [name, value] of Object.entries(ours)) assert.ok(value >= 0, `${name}: ${value}`);
    assert.ok(ours['rate'] > 0);
  }
  const {
    'latency.p50': p50,
    'latency.p99': p99,
    'latency.max': max,
  } = cells.get('echo-1000 cpp-epoll')!;
  assert.ok(0 < p50 && p50 <= p99 && p99 <= max);
});

/** In so short a time a process may use less CPU than the kernel counts in, and its share is unknown. */
function named(metrics: Record<string, number>): string[] {
  return Object.keys(metrics)
    .filter((name) => !name.endsWith('SystemShare'))
    .sort();
}

test('a contender that cannot run here is named with the reason', async () => {
  const { code, output, results } = await bench(
    ['--filter', 'echo-1000', '--contender', 'cpp-epoll', '--contender', 'cpp-uring'],
    { CXX: 'no-such-compiler -O3' },
  );
  assert.equal(code, 1, output);
  assert.deepEqual(results.cells, []);
  const notice = 'cpp-epoll, cpp-uring did not run: there is no C++ compiler here';
  assert.ok(
    results.notices.some((text) => text.startsWith(notice)),
    output,
  );
  assert.ok(output.includes(notice), output);
});

test('what takes longer runs only when it is asked for, and that is said', async () => {
  const { results } = await bench(['--filter', 'one-way-128-b']);
  const contenders = results.cells.map(({ contender }) => contender);
  assert.ok(contenders.includes('net-unix'));
  assert.ok(!contenders.includes('cpp-epoll'));
  assert.ok(results.notices.some((text) => /cpp-epoll.* with --all/.test(text)));
});
