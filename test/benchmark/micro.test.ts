/** The pieces that run in one process, and what changed about them. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { folder } from './bench';

const cli = path.resolve(__dirname, '../../bench/micro/cli.js');

function micro(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [cli, ...args], (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    );
  });
}

test('a second run says of every case what it is, compared with the first', async () => {
  const file = path.join(folder, 'micro.json');
  const suite = ['--filter', 'slab-slicing', '--seconds', '0.05'];
  const first = await micro(...suite, '--json', file);
  assert.equal(first.code, 0, first.stderr);
  const second = await micro(...suite, '--against', file);
  assert.equal(second.code, 0, second.stderr);
  const cases = [...first.stdout.matchAll(/^│ \d+ .*? │/gm)].length;
  assert.ok(cases > 4, first.stdout);
  const verdicts = [...second.stdout.matchAll(/│ (better|worse|no difference) +│$/gm)].length;
  assert.equal(verdicts, cases, second.stdout);
});

test('a file of something else is refused', async () => {
  const { code, stderr } = await micro('--against', __filename);
  assert.equal(code, 2);
  assert.match(stderr, /micro\.test\.js cannot be read/);
});
