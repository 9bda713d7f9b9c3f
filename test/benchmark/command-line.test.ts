/** `bench` at the shell: what it says to mistakes, and what it keeps when things go wrong. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { bench, cli, folder, resultsIn, short } from './bench';

const mistakes: [what: string, args: string[], answer: RegExp][] = [
  ['a command', ['rum'], /no command is called 'rum'; did you mean 'run'\?/],
  [
    'an option',
    ['run', '--round', '2'],
    /no option is called '--round'; did you mean '--rounds'\?/,
  ],
  ['a workload', ['--filter', 'ehco-1'], /no workload is called 'ehco-1'; did you mean 'echo-1'\?/],
  [
    'a contender',
    ['--contender', 'afunx'],
    /no contender is called 'afunx'; did you mean 'afunix'\?/,
  ],
  ['a preset', ['--preset', 'novl'], /no preset is called 'novl'; did you mean 'novel'\?/],
  [
    'a place',
    ['--cores', 'diferent'],
    /no value of --cores is called 'diferent'; did you mean 'different'\?/,
  ],
  ['a number', ['--rounds', '1.5'], /--rounds takes a positive integer, not '1.5'/],
  [
    'a size',
    ['--filter', 'one-way-128', '--size', '4G'],
    /--size takes a positive integer, not '4G'/,
  ],
  ['a word too many', ['run', 'echo-1'], /'echo-1' is no option of run/],
  ['quick and full', ['--quick', '--full'], /--quick and --full exclude each other/],
  [
    'a contender that cannot do it',
    ['--filter', 'idle-memory', '--contender', 'cpp-epoll'],
    /cpp-epoll does not run idle-memory; it runs echo-1, /,
  ],
  [
    'a contender that a preset does not have',
    ['--preset', 'novel', '--contender', 'bun'],
    /novel does not run bun; it runs net-tcp, /,
  ],
  [
    'a size of what has none',
    ['--filter', 'idle-memory', '--size', '128'],
    /--size does not go with idle-memory/,
  ],
  [
    'a filter beside a preset',
    ['--preset', 'novel', '--filter', 'echo'],
    /--preset brings its own: --filter does not go with it/,
  ],
  [
    'other rounds for a run that is gone on with',
    ['--resume', 'a.json', '--rounds', '9'],
    /--resume brings its own: --rounds does not go with it/,
  ],
  ['no file to report', ['report'], /report takes one file/],
  ['one file to compare', ['compare', 'a.json'], /compare takes two files/],
  ['a file that is not there', ['report', 'no-such.json'], /no-such.json cannot be read: ENOENT/],
  ['a file of something else', ['report', path.join(__dirname, 'bench.js')], /is not JSON/],
];
for (const [what, args, answer] of mistakes) {
  test(`a mistake is named: ${what}`, async () => {
    const { code, stdout, stderr } = await bench(...args);
    assert.match(stderr, answer);
    assert.doesNotMatch(stderr, /\n +at /);
    assert.equal(stdout, '');
    assert.equal(code, 2);
  });
}

test('everything has a name in the list, and a help', async () => {
  const { code, stdout } = await bench('list');
  assert.equal(code, 0);
  for (const name of [
    'echo-100',
    'fan-in-10',
    'descriptor-passing',
    'afunix-epoll',
    'cpp-epoll',
    'novel',
  ]) {
    assert.match(stdout, new RegExp(`^  ${name} +\\S`, 'm'));
  }
  for (const command of ['run', 'list', 'compare', 'report']) {
    assert.match((await bench(command, '--help')).stdout, new RegExp(`bench \\[?${command}`));
  }
});

test("a size and a number of connections of one's own make workloads", async () => {
  const { code, stdout, stderr } = await bench(
    ...short('points.json'),
    ...[
      '--workload',
      'echo-1',
      '--size',
      '1K,100',
      '--connections',
      '3',
      '--contender',
      'net-unix',
    ],
  );
  assert.equal(code, 0, stdout + stderr);
  const names = resultsIn('points.json').cells.map(({ workload }) => workload);
  assert.deepEqual(names, ['echo-3-1-kib', 'echo-3-100-b']);
});

test('a full disk is said once, and the table is there all the same', async () => {
  const { code, stdout, stderr } = await bench(
    ...[...short('none.json'), '--json', '/dev/full', '--csv', path.join(folder, 'all.csv')],
    ...['--workload', 'echo-1', '--contender', 'net-unix', '--contender', 'net-tcp'],
  );
  const said = [...stderr.matchAll(/\/dev\/full cannot be written: ENOSPC/g)];
  assert.equal(said.length, 2, `once while it runs and once at the end: ${stderr}`);
  assert.match(stdout, /node:net, TCP/);
  assert.doesNotMatch(stdout, /Raw results/);
  assert.equal(code, 1);
  assert.match(readFileSync(path.join(folder, 'all.csv'), 'utf8'), /,1,echo-1,net-tcp,0,rate,\d/);
});

test('Ctrl-C keeps what there is, and --resume runs the rest in the same order', async () => {
  const file = path.join(folder, 'interrupted.json');
  const selection = ['--workload', 'echo-1', '--contender', 'net-unix', '--contender', 'net-tcp'];
  const child = spawn(
    process.execPath,
    [cli, ...short('interrupted.json'), '--rounds', '4', ...selection],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  // As the first cell is told of, it has been saved.
  await once(child.stderr, 'data');
  assert.ok(existsSync(file));
  child.kill('SIGINT');
  const [code] = (await once(child, 'close')) as [number];
  assert.equal(code, 1);
  assert.match(stdout, /the run was interrupted/);
  const before = resultsIn('interrupted.json');
  assert.equal(before.complete, false);
  assert.ok(before.cells.length >= 1 && before.cells.length < 8, `${before.cells.length}`);

  const resumed = await bench('run', '--resume', file);
  assert.equal(resumed.code, 0, resumed.stdout + resumed.stderr);
  const after = resultsIn('interrupted.json');
  assert.equal(after.complete, true);
  assert.equal(after.request.seed, before.request.seed);
  assert.deepEqual(after.cells.slice(0, before.cells.length), before.cells);
  const names = after.cells.map(({ round, contender }) => `${round} ${contender}`);
  assert.equal(new Set(names).size, 8);
  assert.ok(after.notices.some((text) => text.includes('resumed')));
  assert.ok(!after.notices.some((text) => text.includes('interrupted')));
  assert.deepEqual(
    readdirSync(folder).filter((name) => /interrupted\.json\./.test(name)),
    [],
  );

  const again = await bench('run', '--resume', file);
  assert.equal(again.code, 2);
  assert.match(again.stderr, /is complete/);
});

test('what was found out can be reported, drawn and compared afterwards', async () => {
  const run = (file: string) =>
    bench(
      ...[
        ...short(file),
        '--rounds',
        '3',
        '--inspect',
        '--workload',
        'echo-1',
        '--workload',
        'echo-10',
      ],
      ...['--contender', 'net-unix', '--contender', 'net-tcp'],
    );
  const first = await run('first.json');
  assert.equal(first.code, 0, first.stdout + first.stderr);
  const [before, after] = ['first.json', 'second.json'].map((file) => path.join(folder, file));
  writeFileSync(after, readFileSync(before));

  const html = path.join(folder, 'report.html');
  const svg = path.join(folder, 'svg');
  const report = await bench('report', before, '--html', html, '--svg', svg);
  assert.equal(report.code, 0, report.stderr);
  const page = readFileSync(html, 'utf8');
  assert.doesNotMatch(page, /<script|<link|src=|@import|url\((?!#)/);
  assert.match(page, /prefers-color-scheme: dark/);
  for (const chart of [
    'times-as-good',
    'scaling-by-connections-128-b',
    'latency-echo-10',
    'cost-echo-1',
  ]) {
    assert.match(page, new RegExp(`<figure id="${chart}">`));
    for (const name of [chart, `${chart}-dark`]) {
      assert.match(readFileSync(path.join(svg, `${name}.svg`), 'utf8'), /^<svg [^]*<\/svg>$/);
    }
  }
  assert.match(page, /mitigations|kernel/);

  const compared = await bench('compare', before, after);
  assert.equal(compared.code, 0, compared.stderr);
  assert.match(compared.stdout, /too few rounds/);
  assert.doesNotMatch(compared.stdout, /\d \(.*(better|worse)/);

  const inspected = resultsIn('first.json').cells.filter(({ inspection }) => inspection);
  assert.equal(inspected.length, 4);
  for (const { metrics } of inspected) {
    assert.ok(metrics!['serverHeapAllocatedPerOperation'] > 0);
    assert.equal(metrics!['rate'], undefined);
  }
});

test('results of an older form are refused, not misread', async () => {
  const file = path.join(folder, 'old.json');
  writeFileSync(file, '{ "cells": [] }');
  const { code, stderr } = await bench('report', file);
  assert.equal(code, 2);
  assert.match(stderr, /form 1, and this is form 2/);
});
