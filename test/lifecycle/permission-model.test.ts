/** Node's permission model: what a program has to be allowed in order to use afunix. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { root } from '../integration/support';

const [major = 0] = process.versions.node.split('.').map(Number);
const MODEL = major < 22 ? '--experimental-permission' : '--permission';

const PROGRAM = `
const { createServer, features, socketpair } = require(${JSON.stringify(require.resolve('afunix'))});
const { addon } = features();
process.stdout.write(JSON.stringify([addon, process.env.LIBC]) + '\\n');
if (addon.available) {
  const [one, other] = socketpair();
  one.end('said');
  other.on('data', (data) => process.stdout.write(JSON.stringify(String(data)))).on('end', () => other.destroy());
}
`;

function run(...allowed: readonly string[]): { lines: unknown[]; stderr: string } {
  const { LIBC: _, ...env } = process.env;
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [MODEL, ...allowed, '--input-type=commonjs', '-e', PROGRAM],
    { cwd: root, encoding: 'utf8', env },
  );
  const lines = stdout.split('\n').filter((line) => line !== '');
  return { lines: lines.map((line) => JSON.parse(line) as unknown), stderr };
}

test('who may read its own folder and load addons needs no more', () => {
  const { lines, stderr } = run(`--allow-fs-read=${root}/*`, '--allow-addons');
  assert.deepEqual(lines, [[{ available: true }, null], 'said'], stderr);
});

test('features() says that addons have to be allowed', () => {
  const { lines, stderr } = run(`--allow-fs-read=${root}/*`);
  const [[addon]] = lines as [[{ available: boolean; reason: string }]];
  assert.equal(addon.available, false, stderr);
  assert.match(addon.reason, /: allow it by --allow-addons$/);
});

test('features() names the folder that has to be readable', () => {
  const { lines, stderr } = run(
    `--allow-fs-read=${root}/dist/*`,
    `--allow-fs-read=${root}/package.json`,
    `--allow-fs-read=${root}/node_modules/*`,
    '--allow-addons',
  );
  const [[addon]] = lines as [[{ available: boolean; reason: string }]];
  assert.equal(addon.available, false, stderr);
  assert.match(addon.reason, /: allow it by --allow-fs-read=\S+\/\*$/);
});
