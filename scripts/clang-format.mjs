// Formats the C++ sources; with --check only says which are not formatted.
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { fail, filesUnder, inCI, run } from './util.mjs';

// Versions lay out the same code differently, so one of them decides.
const major = '14';

function find() {
  return [`clang-format-${major}`, 'clang-format'].find((command) => {
    const { status, stdout } = spawnSync(command, ['--version'], { encoding: 'utf8' });
    return status === 0 && new RegExp(`version ${major}\\.`).test(stdout);
  });
}

const files = ['native', 'test/native', 'bench']
  .flatMap((folder) => filesUnder(folder))
  .filter((file) => /\.(c|cc|h)$/.test(file));
const command = find();

if (!command) {
  const message = `clang-format ${major} is not installed: ${files.length} C++ files not looked at`;
  if (inCI) fail(message);
  console.warn(message);
} else if (files.length > 0) {
  const how = process.argv.includes('--check') ? ['--dry-run', '-Werror'] : ['-i'];
  run(command, [...how, ...files]);
  console.log(`clang-format: ${files.length} files`);
}
