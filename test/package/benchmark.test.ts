/** `afunix bench` from packed tarballs: without the benchmark it says how to get it, with it it runs. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';

const root = path.dirname(require.resolve('afunix/package.json'));
const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'afunix-bench-pack-'));
const project = path.join(temporary, 'project');

function pack(folder: string): string {
  const output = execFileSync(
    'npm',
    ['pack', '--json', '--ignore-scripts', '--pack-destination', temporary, folder],
    { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const [{ filename }] = JSON.parse(output) as [{ filename: string }];
  return path.join(temporary, filename);
}

function install(...tarballs: string[]): void {
  const options = ['--ignore-scripts', '--omit=dev', '--prefer-offline', '--no-audit', '--no-fund'];
  execFileSync('npm', ['install', ...options, ...tarballs], { cwd: project, stdio: 'pipe' });
}

/** As `npx afunix` finds it. */
function afunix(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(path.join(project, 'node_modules/.bin/afunix'), args, {
    cwd: project,
    encoding: 'utf8',
    // The tarball made here carries no binary; how that is found is tested in pack.test.ts.
    env: { ...process.env, AFUNIX_ADDON: path.join(root, 'build/Release/afunix.node') },
  });
}

before(() => {
  fs.mkdirSync(project);
  fs.writeFileSync(path.join(project, 'package.json'), '{ "private": true }\n');
  install(pack(root));
});
after(() => fs.rmSync(temporary, { recursive: true, force: true }));

test('without its package, afunix bench says how to get it', () => {
  const { status, stderr } = afunix('bench', 'list');
  assert.equal(status, 1);
  assert.match(stderr, /npm install --save-dev afunix-bench/);
  const { dependencies } = JSON.parse(
    fs.readFileSync(path.join(project, 'node_modules/afunix/package.json'), 'utf8'),
  ) as { dependencies: Record<string, string> };
  assert.deepEqual(Object.keys(dependencies), ['node-gyp-build']);
});

test('a command that does not exist is a mistake, and help is not', () => {
  assert.equal(afunix('bensch').status, 2);
  assert.match(afunix('bensch').stderr, /no command 'bensch'[^]*bench {2}/);
  assert.equal(afunix().status, 2);
  assert.equal(afunix('--help').status, 0);
});

test('with its package it measures the afunix that is installed, and draws', () => {
  execFileSync(process.execPath, ['scripts/bench-package.mjs'], { cwd: root });
  install(pack(path.join(root, '.build/afunix-bench')));
  assert.match(afunix('bench', 'list').stdout, /echo-100/);
  const { status, stdout, stderr } = afunix(
    ...['bench', '--quick', '--rounds', '1', '--seconds', '0.05', '--workload', 'echo-1'],
    ...['--contender', 'afunix', '--contender', 'net-unix', '--contender', 'cpp-epoll'],
    ...['--json', 'results.json', '--html', 'report.html'],
  );
  assert.equal(status, 0, stdout + stderr);
  const results = JSON.parse(fs.readFileSync(path.join(project, 'results.json'), 'utf8')) as {
    contenders: Record<string, { engine?: string }>;
    environment: { commit: string };
  };
  assert.notEqual(results.contenders['afunix'].engine, 'net');
  assert.match(results.environment.commit, /^afunix-\d/);
  assert.match(fs.readFileSync(path.join(project, 'report.html'), 'utf8'), /<svg /);
});
