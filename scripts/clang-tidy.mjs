// Runs clang-tidy over the addon's sources, the C++ tests and the benchmark's, or over the files named.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import process from 'node:process';
import { fail, filesUnder, inCI, jobs, root, works } from './util.mjs';

// The headers the last build used, wherever node-gyp found them.
function nodeHeaders() {
  const config = path.join(root, 'build/config.gypi');
  if (!fs.existsSync(config)) fail('clang-tidy: run `npm run build:native` first');
  const { variables } = JSON.parse(fs.readFileSync(config, 'utf8').replace(/^#.*$/gm, ''));
  return path.join(variables.nodedir, 'include/node');
}

function flags() {
  const require = createRequire(import.meta.url);
  return [
    '-std=c++20',
    '-fno-exceptions',
    `-I${path.join(root, 'native')}`,
    `-I${path.join(root, 'test/native')}`,
    `-isystem${path.resolve(root, require('node-addon-api').include_dir)}`,
    `-isystem${nodeHeaders()}`,
    '-DNAPI_VERSION=8',
    '-DNODE_ADDON_API_DISABLE_CPP_EXCEPTIONS',
    '-DNODE_ADDON_API_DISABLE_DEPRECATED',
    '-DNODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
  ];
}

function tidy(file, compilerFlags) {
  return new Promise((resolve) => {
    const child = spawn('clang-tidy', ['--quiet', file, '--', ...compilerFlags], { cwd: root });
    let output = '';
    const collect = (chunk) => (output += chunk);
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.on('error', (error) => resolve({ file, ok: false, output: error.message }));
    child.on('close', (code) => resolve({ file, ok: code === 0, output }));
  });
}

const named = process.argv.slice(2);
const files = (
  named.length > 0 ? named : ['native', 'test/native', 'bench/native'].flatMap(filesUnder)
).filter((file) => file.endsWith('.cc'));

if (!works('clang-tidy')) {
  const message = `clang-tidy is not installed: ${files.length} C++ files not looked at`;
  if (inCI) fail(message);
  console.warn(message);
} else {
  const compilerFlags = flags();
  const queue = [...files];
  const failed = [];
  const worker = async () => {
    for (let file = queue.shift(); file; file = queue.shift()) {
      const result = await tidy(file, compilerFlags);
      if (result.ok) continue;
      failed.push(file);
      console.error(`${file}\n${result.output.replace(/^\d+ warnings? generated\.\n/gm, '')}`);
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  if (failed.length > 0) fail(`clang-tidy: ${failed.length} of ${files.length} files to mend`);
  console.log(`clang-tidy: ${files.length} files in order`);
}
