/** The README's table comes from a run that is kept, and nobody has improved it by hand. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { bench, folder, short } from './bench';

const root = path.dirname(require.resolve('afunix/package.json'));

test("the README's table is that of the run in bench/results, or names the command it comes from", () => {
  if (!existsSync(path.join(root, 'bench/results/full.json'))) {
    const readme = readFileSync(path.join(root, 'README.md'), 'utf8');
    assert.match(readme, /<!-- bench:begin -->\s+One run of `npm run bench[^`]*`/);
    return;
  }
  const { status, stderr } = spawnSync(process.execPath, ['scripts/readme-table.mjs', '--check'], {
    cwd: root,
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
});

test('the table is made of medians and ratios of a run', async () => {
  const contenders = ['net-unix', 'net-tcp', 'afunix'].flatMap((id) => ['--contender', id]);
  const run = await bench(...short('readme.json'), '--workload', 'echo-1', ...contenders);
  assert.equal(run.code, 0, run.stdout + run.stderr);
  const { stdout } = await bench('report', path.join(folder, 'readme.json'), '--markdown');
  const number = '[\\d.]+ (?:[kM]/s|/s)|[\\d.]+/s';
  assert.match(
    stdout,
    new RegExp(
      `^\\| echo 128 B, 1 connection, round trips/s \\| (${number}) \\| (${number}) \\| (${number}) \\| [\\d.]+ \\|`,
      'm',
    ),
  );
});
