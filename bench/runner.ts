import { mkdtempSync, rmSync } from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';

import { runCell } from './cell.js';
import { contenderById } from './contenders/index.js';
import { choosePlacement } from './cpu-placement.js';
import { describeEnvironment, measureLoad } from './environment.js';
import type { Options } from './options.js';
import { planRounds, type PlannedCell } from './plan.js';
import { probeContenders } from './probe.js';
import type { Cell, Results } from './results.js';

/** More runnable tasks than this before the run disturb it. */
const BUSY_LOAD = 0.5;

export type Progress = (cell: Cell, done: number, total: number) => void;

/**
 * Runs every cell, the contenders of a workload one after another within each round and in an
 * order drawn anew, so that no contender always runs after the same other one. A cell that fails
 * is kept as failed; an abort keeps what there is.
 */
export async function runAll(
  options: Options,
  signal: AbortSignal,
  progress: Progress,
): Promise<Results> {
  const results: Results = {
    started: new Date().toISOString(),
    finished: '',
    complete: false,
    seed: options.seed,
    rounds: options.rounds,
    environment: describeEnvironment(),
    placement: choosePlacement(),
    load: { before: measureLoad(), after: measureLoad() },
    contenders: {},
    notices: [],
    cells: [],
  };
  if ('reason' in results.placement) {
    results.notices.push(`processes were not pinned to cores: ${results.placement.reason}`);
  }
  const busy = results.load.before.loadAverage[0] ?? 0;
  if (busy > BUSY_LOAD) {
    results.notices.push(
      `the machine was busy before the run (load average ${busy.toFixed(2)}): run it again`,
    );
  }
  const directory = mkdtempSync(path.join(os.tmpdir(), 'bench-'));
  try {
    const { usable, records, notices } = await probeContenders(options);
    results.contenders = records;
    results.notices.push(...notices);
    const plan = planRounds(options, usable, results.notices);
    for (const planned of plan) {
      if (signal.aborted) break;
      const cell = await run(planned, results, directory, signal);
      if (signal.aborted) break;
      results.cells.push(cell);
      progress(cell, results.cells.length, plan.length);
    }
    results.complete = results.cells.length === plan.length;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  if (!results.complete) {
    results.notices.push('the run was interrupted: these are the cells it got to');
  }
  results.load.after = measureLoad();
  results.finished = new Date().toISOString();
  return results;
}

async function run(
  { round, workload, contender, settings }: PlannedCell,
  { placement }: Results,
  directory: string,
  signal: AbortSignal,
): Promise<Cell> {
  const cell = { round, workload: workload.id, contender, settings };
  try {
    return {
      ...cell,
      ...(await runCell({
        workload,
        contender: contenderById(contender),
        settings,
        placement,
        directory,
        signal,
      })),
    };
  } catch (error) {
    return { ...cell, error: error instanceof Error ? error.message : String(error) };
  }
}
