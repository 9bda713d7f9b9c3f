// Builds the binary that ships for this machine's platform, architecture and C library into
// prebuilds/. Uses and empties build/.
import { createRequire } from 'node:module';
import path from 'node:path';
import process from 'node:process';
import { gypEnvironment, root, run } from './util.mjs';

const require = createRequire(import.meta.url);
const prebuildify = path.join(path.dirname(require.resolve('prebuildify/package.json')), 'bin.js');

run(
  process.execPath,
  [
    prebuildify,
    '--napi',
    '--strip',
    // Node-API is stable for ever, uv.h only within a major version of libuv.
    '--tag-uv',
    '--tag-libc',
    `--target=${process.versions.node}`,
  ],
  { cwd: root, env: gypEnvironment() },
);
