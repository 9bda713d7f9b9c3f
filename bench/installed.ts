import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import * as path from 'node:path';

import { packageRoot } from './places.js';

/** Packages that only the benchmark can use, and only if somebody has put them there. */
const FOLDER = '.cache/bench';
const modules = path.join(packageRoot, FOLDER, 'node_modules');

/** Where programs were found in this run. */
const found = new Map<string, string>();

function notInstalled(name: string): Error {
  return new Error(`${name} is not installed (npm install --prefix ${FOLDER} ${name})`);
}

/**
 * A program from the npm package of its name, or on the PATH. The binaries are in packages per
 * platform, of which npm installs those that fit; the `bin` of the package itself is there only if
 * its install script was allowed to run.
 */
export function findProgram(name: string, scope: string, binary: string): string {
  const known = found.get(name);
  if (known !== undefined) return known;
  const platforms = entriesOf(path.join(modules, scope));
  const candidates = [
    ...platforms.map((platform) => path.join(modules, scope, platform, binary)),
    path.join(modules, '.bin', name),
    name,
  ];
  const file = candidates.find(works);
  if (file === undefined) throw notInstalled(name);
  found.set(name, file);
  return file;
}

/** Loads a package for Node. */
export function requirePackage(name: string): unknown {
  const requireThere = createRequire(path.join(modules, 'none.js'));
  try {
    return requireThere(name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') throw notInstalled(name);
    throw error;
  }
}

function works(file: string): boolean {
  return spawnSync(file, ['--version'], { stdio: 'ignore' }).status === 0;
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
