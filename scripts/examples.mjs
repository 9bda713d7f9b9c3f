// Runs every example to its end: an example shows a whole conversation and then stops.
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { fail, filesUnder, root } from './util.mjs';

const seconds = 30;
// What is in deploy/ is for a service manager or a proxy to run: test/integration/deploy.test.ts does.
const files = filesUnder('examples').filter(
  (file) => /\.(js|cjs|mjs)$/.test(file) && !file.startsWith('examples/deploy/'),
);
if (files.length === 0) fail('examples: there are none');

const failed = [];
for (const file of files) {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [file], {
    cwd: root,
    encoding: 'utf8',
    timeout: seconds * 1000,
    killSignal: 'SIGKILL',
  });
  if (status === 0) {
    console.log(`✔ ${file}`);
  } else {
    failed.push(file);
    console.log(`✖ ${file}: ${signal ? `not finished after ${seconds} s` : `exit code ${status}`}`);
    console.log(stdout + stderr);
  }
}
if (failed.length > 0) fail(`examples: ${failed.length} of ${files.length} failed`);
