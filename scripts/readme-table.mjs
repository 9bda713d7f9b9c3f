// Writes the README's table from the run that is kept in bench/results.
//
//   node scripts/readme-table.mjs [--check]
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fail, root } from './util.mjs';

const file = 'bench/results/full.json';
const readme = path.join(root, 'README.md');
const marks = /(<!-- bench:begin -->\n)[\s\S]*?(\n<!-- bench:end -->)/;

const { status, stdout, stderr } = spawnSync(
  process.execPath,
  ['.build/bench/cli.js', 'report', file, '--markdown'],
  { cwd: root, encoding: 'utf8' },
);
if (status !== 0) fail(`readme-table: ${stderr}`);
const before = fs.readFileSync(readme, 'utf8');
if (!marks.test(before)) fail('readme-table: README.md has no place for the table');
const after = before.replace(marks, (_, begin, end) => `${begin}\n${stdout.trim()}\n${end}`);
if (!process.argv.includes('--check')) fs.writeFileSync(readme, after);
else if (after !== before) fail(`readme-table: README.md does not have the table of ${file}`);
