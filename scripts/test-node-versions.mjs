// Runs the compiled suite, with the addon built for the running Node, under newer Nodes: one binary
// for all of them is what Node-API promises. `node scripts/test-node-versions.mjs [22 24 26] [part of a path ...]`
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fail, root, run } from './util.mjs';

const given = process.argv.slice(2);
const versions = given.filter((argument) => /^\d+$/.test(argument));
const filters = given.filter((argument) => !versions.includes(argument));
if (versions.length === 0) versions.push('22', '24', '26');
if (!['x64', 'arm64'].includes(process.arch))
  fail(`No Node binaries for ${process.arch} are on npm`);

const failed = [];
for (const version of versions) {
  const name = `node-linux-${process.arch}`;
  const prefix = path.join(root, '.cache', `node-${version}`);
  const binary = path.join(prefix, 'node_modules', name, 'bin/node');
  if (!fs.existsSync(binary)) {
    fs.mkdirSync(prefix, { recursive: true });
    run('npm', [
      'install',
      '--no-save',
      '--no-audit',
      '--no-fund',
      '--prefix',
      prefix,
      `${name}@${version}`,
    ]);
  }
  console.log(`\nNode ${version}`);
  run(binary, ['--version']);
  // The package test builds and installs with npm's own Node: once is enough.
  const suite = ['scripts/test.mjs', '--node', binary, '--without', 'test/package/', ...filters];
  const { status } = spawnSync(process.execPath, suite, { cwd: root, stdio: 'inherit' });
  if (status !== 0) failed.push(version);
}
if (failed.length > 0) fail(`The suite failed under Node ${failed.join(', ')}`);
