import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import * as path from 'node:path';

import type { CellResult } from './cell.js';
import type { Placement } from './cpu-placement.js';
import type { Environment, MachineLoad } from './environment.js';
import type { Method } from './options.js';
import { resultsFolder } from './places.js';
import { UsageError } from './usage.js';
import type { Point, Settings } from './workloads/workload.js';

/** One run of one contender on one workload: numbers, or why there are none. */
export type Cell = {
  round: number;
  workload: string;
  contender: string;
  settings: Settings;
  /** Looked at closely, and not timed. */
  inspection?: boolean;
} & (CellResult | { error: string });

/** What was run, so that it can be gone on with and read without the program that made it. */
export interface RunRequest extends Method {
  workloads: { id: string; family: string; point: Point }[];
  contenders: readonly string[];
}

/** Everything a run found out, as it is kept. */
export interface Results {
  /** Of this form. */
  format: typeof FORMAT;
  started: string;
  finished: string;
  /** False while it runs, and for ever if it was interrupted. */
  complete: boolean;
  seed: number;
  rounds: number;
  request: RunRequest;
  environment: Environment;
  placement: Placement;
  load: { before: MachineLoad; after: MachineLoad };
  /** What each contender says about itself. */
  contenders: Record<string, unknown>;
  /** What is not in the table, or is less than was asked for, and why. */
  notices: string[];
  cells: Cell[];
}

export const FORMAT = 2;

export function resultsFile(results: Results): string {
  const date = results.started.replace(/:/g, '').replace(/\.\d+Z$/, 'Z');
  return path.join(resultsFolder, `${date}-${results.environment.commit}.json`);
}

/**
 * Writes a file whole or not at all: what was there before stays until the new one is complete.
 * Devices and pipes are written to as they are.
 */
export function writeWhole(file: string, text: string): void {
  mkdirSync(path.dirname(path.resolve(file)), { recursive: true });
  if (existsSync(file) && !lstatSync(file).isFile()) return writeFileSync(file, text);
  const unfinished = `${file}.${process.pid}`;
  try {
    writeFileSync(unfinished, text);
    renameSync(unfinished, file);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  }
}

export function saveResults(results: Results, file: string): void {
  writeWhole(file, `${JSON.stringify(results, undefined, 1)}\n`);
}

export function loadResults(file: string): Results {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${(error as Error).message}`);
  }
  let results: Partial<Results>;
  try {
    results = JSON.parse(text) as Partial<Results>;
  } catch {
    throw new UsageError(`${file} is not JSON: is it a file that bench run wrote?`);
  }
  if (!Array.isArray(results.cells)) throw new UsageError(`${file} has no results of bench run`);
  if (results.format !== FORMAT) {
    throw new UsageError(
      `${file} was written in form ${String(results.format ?? 1)}, and this is form ${FORMAT}: measure again`,
    );
  }
  return results as Results;
}
