// Puts the package afunix-bench together in .build/afunix-bench, from a build:
//
//   node scripts/bench-package.mjs && npm pack .build/afunix-bench
//
// It needs what the benchmark computes and draws with, which afunix itself must not need.
import fs from 'node:fs';
import path from 'node:path';
import { fail, root } from './util.mjs';

// The versions are those that the checkout is tested with.
const needed = ['benchmark', 'cli-table3', 'echarts', 'picocolors', 'simple-statistics'];

const built = path.join(root, '.build/bench');
const stage = path.join(root, '.build/afunix-bench');
if (!fs.existsSync(path.join(built, 'cli.js'))) fail('bench-package: run `npm run build` first');

const { version, license, engines, devDependencies } = JSON.parse(
  fs.readFileSync(path.join(root, 'package.json'), 'utf8'),
);
const manifest = {
  name: 'afunix-bench',
  version,
  description: 'afunix bench: measures Unix sockets, and what they are compared with',
  license,
  type: 'commonjs',
  bin: { 'afunix-bench': 'dist/bench/cli.js' },
  exports: { './cli': './dist/bench/cli.js', './package.json': './package.json' },
  files: ['dist', 'bench'],
  engines,
  dependencies: Object.fromEntries(needed.map((name) => [name, devDependencies[name]])),
  peerDependencies: { afunix: version },
};

fs.rmSync(stage, { recursive: true, force: true });
fs.mkdirSync(stage, { recursive: true });
fs.writeFileSync(path.join(stage, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
fs.copyFileSync(path.join(root, 'LICENSE'), path.join(stage, 'LICENSE'));
fs.copyFileSync(path.join(root, 'docs/benchmarking.md'), path.join(stage, 'README.md'));
for (const folder of ['native', 'go']) {
  fs.cpSync(path.join(root, 'bench', folder), path.join(stage, 'bench', folder), {
    recursive: true,
  });
}
fs.cpSync(built, path.join(stage, 'dist/bench'), {
  recursive: true,
  // The compiled programs are this machine's.
  filter: (source) => source !== path.join(built, 'programs'),
});
console.log(`bench-package: ${path.relative(root, stage)} ${version}`);
