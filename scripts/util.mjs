// What the scripts share.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
export const inCI = Boolean(process.env.CI) && process.env.CI !== 'false';
export const jobs = Math.max(1, os.availableParallelism());

export function fail(message) {
  console.error(message);
  process.exit(1);
}

// Runs a program to its end; ends this process with its failure.
export function run(command, args, options = {}) {
  const { status, signal, error } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    ...options,
  });
  if (error) fail(`${command}: ${error.message}`);
  if (signal) fail(`${command} was killed by ${signal}`);
  if (status !== 0) process.exit(status);
}

// Whether a program is there and answers.
export function works(command, args = ['--version']) {
  const { status } = spawnSync(command, args, { stdio: 'ignore' });
  return status === 0;
}

// Files below a folder of the repository, as paths relative to its root, sorted.
export function filesUnder(folder) {
  const top = path.join(root, folder);
  if (!fs.existsSync(top)) return [];
  return fs
    .readdirSync(top, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(root, path.join(entry.parentPath ?? entry.path, entry.name)))
    .sort();
}

// Where the running Node's own headers are, if they came with it: building with them needs no download.
function bundledHeaders() {
  const prefix = path.resolve(path.dirname(process.execPath), '..');
  try {
    const header = fs.readFileSync(path.join(prefix, 'include/node/node_version.h'), 'utf8');
    const part = (name) => new RegExp(`#define NODE_${name}_VERSION (\\d+)`).exec(header)?.[1];
    const version = `${part('MAJOR')}.${part('MINOR')}.${part('PATCH')}`;
    return version === process.versions.node ? prefix : undefined;
  } catch {
    return undefined;
  }
}

// The environment for node-gyp, and for prebuildify, which calls it.
export function gypEnvironment() {
  const env = { ...process.env, npm_config_jobs: String(jobs) };
  const headers = env.npm_config_nodedir ?? bundledHeaders();
  if (headers) env.npm_config_nodedir = headers;
  return env;
}

// Runs node-gyp in `folder`, after saying plainly what is missing for it.
export function nodeGyp(folder, args) {
  const { npm_config_python, NODE_GYP_FORCE_PYTHON, CXX } = process.env;
  const missing = [
    {
      what: 'Python 3 (node-gyp is written in it)',
      any: [NODE_GYP_FORCE_PYTHON, npm_config_python, 'python3', 'python'],
    },
    { what: 'make', any: ['make', 'gmake'] },
    {
      what: 'a C++20 compiler (GCC 12 or later, or Clang 16 or later)',
      any: [CXX, 'c++', 'g++', 'clang++'],
    },
  ].filter(({ any }) => !any.some((command) => command && works(command)));
  if (missing.length > 0) {
    const list = missing.map(({ what }) => `  - ${what}`).join('\n');
    fail(`The addon cannot be built here. Missing:\n${list}`);
  }
  const gyp = path.join(root, 'node_modules/node-gyp/bin/node-gyp.js');
  if (!fs.existsSync(gyp)) fail('node-gyp is not installed: run `npm ci` first');
  run(process.execPath, [gyp, ...args], { cwd: folder, env: gypEnvironment() });
}
