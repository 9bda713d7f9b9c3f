/** Node's permission model: `features()` says what the addon lacks, and with that it works. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';

const root = realpathSync(dirname(require.resolve('afunix/package.json')));
const [major = 0] = process.versions.node.split('.').map(Number);
const flag = major < 22 ? '--experimental-permission' : '--permission';

interface Addon {
  readonly available: boolean;
  readonly reason?: string;
}

/** `features().addon` of a program that may load addons and read these. */
function addonWith(readable: readonly string[]): Addon {
  const program = `console.log(JSON.stringify(require(${JSON.stringify(root)}).features().addon))`;
  const reads = readable.map((path) => `--allow-fs-read=${path}`);
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [flag, '--allow-addons', ...reads, '-e', program],
    { encoding: 'utf8', cwd: root },
  );
  assert.notEqual(stdout, '', stderr);
  return JSON.parse(stdout) as Addon;
}

test('what a reason says to allow is all that the addon needs', () => {
  const readable = [root];
  let addon = addonWith(readable);
  // Each is asked for by itself; a handful is more than there are.
  for (let round = 0; round < 8 && !addon.available; round += 1) {
    const [, named] = /: allow it by --allow-fs-read=(\/\S+)$/.exec(addon.reason ?? '') ?? [];
    assert.ok(named !== undefined, `no path in '${addon.reason ?? ''}'`);
    assert.ok(!readable.includes(named), `${named} is allowed`);
    readable.push(named);
    addon = addonWith(readable);
  }
  assert.deepEqual(addon, { available: true });
});
