import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import * as path from 'node:path';

import { packageRoot } from './places.js';

interface Build {
  /** The name of the program below `.build/bench/programs`. */
  output: string;
  /** Folders; a newer file in one of them makes the program out of date. */
  dependsOn: readonly string[];
  command(output: string): readonly string[];
  environment?: NodeJS.ProcessEnv;
  /** What to say when the compiler is not there. */
  without: string;
}

/** Outcomes of this run: paths, and reasons why there is none. */
const outcomes = new Map<string, string | Error>();

/** Builds a program unless it is there and up to date; where it is. Throws when it cannot. */
export function buildOnce(build: Build): string {
  const known = outcomes.get(build.output);
  const outcome = known ?? attempt(build);
  outcomes.set(build.output, outcome);
  if (outcome instanceof Error) throw outcome;
  return outcome;
}

function attempt({ output, dependsOn, command, environment, without }: Build): string | Error {
  const folder = path.join(packageRoot, '.build/bench/programs');
  // Another compiler or other options make another program.
  const recipe = createHash('sha256').update(command('').join('\n')).digest('hex').slice(0, 12);
  const program = path.join(folder, `${output}-${recipe}`);
  if (modified(program) > Math.max(...dependsOn.map(newestIn))) return program;
  mkdirSync(folder, { recursive: true });
  // Two runs may build at the same time, and one of them must not start what is half written.
  const unfinished = `${program}.${process.pid}`;
  const [file, ...args] = command(unfinished);
  const { status, error, stderr } = spawnSync(file, args, {
    encoding: 'utf8',
    env: { ...process.env, ...environment },
  });
  if (error && 'code' in error && error.code === 'ENOENT') return new Error(without);
  if (error) return error;
  if (status !== 0) {
    rmSync(unfinished, { force: true });
    return new Error(`${file} could not build it: ${firstError(stderr)}`);
  }
  renameSync(unfinished, program);
  return program;
}

function firstError(text: string): string {
  const lines = text.split('\n').filter(Boolean);
  return lines.find((line) => line.includes('error')) ?? lines[0] ?? 'it does not say why';
}

function newestIn(folder: string): number {
  const files = readdirSync(folder).map((file) => modified(path.join(folder, file)));
  return Math.max(modified(folder), ...files);
}

function modified(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
