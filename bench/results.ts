import { mkdirSync, writeFileSync } from 'node:fs';
import * as path from 'node:path';

import type { CellResult } from './cell.js';
import type { Placement } from './cpu-placement.js';
import { packageRoot, type Environment, type MachineLoad } from './environment.js';
import type { Settings } from './workloads/workload.js';

/** One run of one contender on one workload: numbers, or why there are none. */
export type Cell = { round: number; workload: string; contender: string; settings: Settings } & (
  CellResult | { error: string }
);

/** Everything a run found out, as it is kept. */
export interface Results {
  started: string;
  finished: string;
  /** False when it was interrupted. */
  complete: boolean;
  seed: number;
  rounds: number;
  environment: Environment;
  placement: Placement;
  load: { before: MachineLoad; after: MachineLoad };
  /** What each contender says about itself. */
  contenders: Record<string, unknown>;
  /** What is not in the table, or is less than was asked for, and why. */
  notices: string[];
  cells: Cell[];
}

export function saveResults(results: Results, file: string | undefined): string {
  const date = results.started.replace(/:/g, '').replace(/\.\d+Z$/, 'Z');
  const target =
    file ??
    path.join(packageRoot, 'bench', 'results', `${date}-${results.environment.commit}.json`);
  mkdirSync(path.dirname(path.resolve(target)), { recursive: true });
  writeFileSync(target, `${JSON.stringify(results, undefined, 1)}\n`);
  return path.relative(process.cwd(), target);
}
