/** Runs programs that know nothing of afunix, with `afunix/register` loaded before them. */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { collected, folder, root } from './support';

export interface Outcome {
  readonly code: number | null;
  /** What it wrote, line by line, each a JSON value. */
  readonly told: readonly unknown[];
  readonly stderr: string;
}

export interface RunOptions {
  /** How it is loaded: before a CommonJS program, before an ES module, or not at all. */
  readonly by?: '--require' | '--import' | 'none';
  readonly environment?: Readonly<Record<string, string>>;
  /** The program is an ES module. */
  readonly esModule?: boolean;
  readonly nodeOptions?: readonly string[];
}

/** `tell(value)` writes one line; `place` is a fresh folder. */
const BEFORE_COMMONJS = `
const net = require('node:net'), http = require('node:http'), { once } = require('node:events');
const place = process.argv[2];
const tell = (value) => process.stdout.write(JSON.stringify(value) + '\\n');
`;
const BEFORE_MODULE = `
import net from 'node:net';
import http from 'node:http';
import { once } from 'node:events';
const place = process.argv[2];
const tell = (value) => process.stdout.write(JSON.stringify(value) + '\\n');
`;

/** What only sockets of ours have. */
export const IS_OURS = `const isOurs = (socket) => 'detach' in socket;\n`;

/** Runs `program` to its end, in a folder where no afunix can be found but by the way that is given. */
export async function runRegistered(
  t: TestContext,
  program: string,
  options: RunOptions = {},
): Promise<Outcome> {
  const { by = '--require', environment = {}, esModule = false, nodeOptions = [] } = options;
  const place = folder(t);
  const file = path.join(place, esModule ? 'program.mjs' : 'program.cjs');
  const before = esModule ? BEFORE_MODULE : BEFORE_COMMONJS;
  const body = esModule ? program : `(async () => {${program}\n})();`;
  writeFileSync(file, before + IS_OURS + body);
  const load = by === 'none' ? [] : [by, 'afunix/register'];
  const child = spawn(process.execPath, [...nodeOptions, ...load, file, place], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  });
  t.after(() => child.kill('SIGKILL'));
  const [stdout, stderr, code] = await Promise.all([
    collected(child.stdout),
    collected(child.stderr),
    new Promise<number | null>((resolve) => child.once('exit', resolve)),
  ]);
  const lines = stdout.toString().split('\n').slice(0, -1);
  return {
    code,
    told: lines.map((line) => JSON.parse(line) as unknown),
    stderr: stderr.toString(),
  };
}
