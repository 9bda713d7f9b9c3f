import { mkdtempSync, rmSync } from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { performance } from 'node:perf_hooks';

import { runCell } from './cell.js';
import { contenderById } from './contenders/index.js';
import { choosePlacement } from './cpu-placement.js';
import { describeEnvironment, measureLoad, type Environment } from './environment.js';
import { prepareInspection, type Inspection } from './inspection.js';
import { describeNoise } from './noise.js';
import type { Options } from './options.js';
import { planRounds, secondsFor, type PlannedCell } from './plan.js';
import { probeContenders } from './probe.js';
import { FORMAT, type Cell, type Results } from './results.js';

/** What the runner tells while it runs. */
export interface Observer {
  /** A cell is done; `secondsLeft` is a guess from the plan and from how long cells took so far. */
  progress(cell: Cell, done: number, total: number, secondsLeft: number): void;
  /** The results have grown: the moment to save them. Nothing is being measured. */
  save(results: Results): void;
}

/**
 * Runs every cell, the contenders of a workload one after another within each round and in an
 * order drawn anew, so that no contender always runs after the same other one. A cell that fails
 * is kept as failed; an abort keeps what there is. Given earlier results of the same plan, runs what
 * is missing there.
 */
export async function runAll(
  options: Options,
  signal: AbortSignal,
  observer: Observer,
  earlier?: Results,
): Promise<Results> {
  const results = earlier ?? emptyResults(options);
  results.complete = false;
  const notices = new Set<string>();
  if (earlier) {
    notices.add(`${earlier.cells.length} cells are from ${earlier.started}: the run was resumed`);
    for (const text of changesSince(earlier.environment)) notices.add(text);
  }
  if ('reason' in results.placement) {
    notices.add(`processes were not pinned to cores: ${results.placement.reason}`);
  }
  const directory = mkdtempSync(path.join(os.tmpdir(), 'bench-'));
  try {
    const probed = await probeContenders(options);
    Object.assign(results.contenders, probed.records);
    const fromPlan: string[] = [];
    const plan = planRounds(options, probed.usable, fromPlan);
    const inspection = options.inspect ? prepareInspection() : undefined;
    for (const text of [...probed.notices, ...fromPlan, ...(inspection?.missing ?? [])]) {
      notices.add(text);
    }
    await runPlan(plan, { results, options, directory, signal, observer, inspection });
    results.complete = results.cells.length === plan.length;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  if (!results.complete) notices.add('the run was interrupted: these are the cells it got to');
  results.load.after = measureLoad();
  results.finished = new Date().toISOString();
  results.notices = [...notices, ...describeNoise(results)];
  return results;
}

function emptyResults(options: Options): Results {
  const {
    workloads,
    leftOut: _,
    json: _j,
    csv: _c,
    html: _h,
    resume: _r,
    help: _p,
    ...rest
  } = options;
  return {
    format: FORMAT,
    started: new Date().toISOString(),
    finished: '',
    complete: false,
    seed: options.seed,
    rounds: options.rounds,
    request: {
      ...rest,
      workloads: workloads.map(({ id, family, point }) => ({ id, family, point })),
    },
    environment: describeEnvironment(),
    placement: choosePlacement(options.cores),
    load: { before: measureLoad(), after: measureLoad() },
    contenders: {},
    notices: [],
    cells: [],
  };
}

/** Cells of two builds or machines in one table would mislead. */
function changesSince(before: Environment): string[] {
  const now = describeEnvironment();
  const facts = ['commit', 'cpu', 'cores', 'kernel', 'node'] as const;
  return facts
    .filter((fact) => before[fact] !== now[fact])
    .map((fact) => `${fact} was ${before[fact]} before the run was resumed, and is ${now[fact]}`);
}

interface Run {
  results: Results;
  options: Options;
  directory: string;
  signal: AbortSignal;
  observer: Observer;
  inspection?: Inspection;
}

async function runPlan(plan: readonly PlannedCell[], run: Run): Promise<void> {
  const { results, signal, observer } = run;
  const done = new Set(results.cells.map(nameOf));
  const missing = plan.filter(
    ({ round, workload, contender }) =>
      !done.has(nameOf({ round, workload: workload.id, contender })),
  );
  const planned = missing.map(secondsFor);
  let secondsPlanned = planned.reduce((sum, seconds) => sum + seconds, 0);
  let secondsOfDone = 0;
  const started = performance.now();
  for (const [index, next] of missing.entries()) {
    if (signal.aborted) return;
    const cell = await runPlanned(next, run);
    if (signal.aborted) return;
    results.cells.push(cell);
    observer.save(results);
    secondsPlanned -= planned[index];
    secondsOfDone += planned[index];
    const pace = (performance.now() - started) / 1e3 / secondsOfDone;
    observer.progress(
      cell,
      plan.length - missing.length + index + 1,
      plan.length,
      secondsPlanned * pace,
    );
  }
}

/** What a cell is in a plan. Inspections are in round 0. */
function nameOf({
  round,
  workload,
  contender,
}: Pick<Cell, 'round' | 'workload' | 'contender'>): string {
  return `${round} ${workload} ${contender}`;
}

async function runPlanned(
  { round, workload, contender, settings, inspection }: PlannedCell,
  { results, options, directory, signal, inspection: tools }: Run,
): Promise<Cell> {
  const cell = {
    round,
    workload: workload.id,
    contender,
    settings,
    ...(inspection && { inspection }),
  };
  try {
    const { metrics, counters } = await runCell({
      workload,
      contender: contenderById(contender),
      settings,
      placement: results.placement,
      directory,
      signal,
      patience: options.patience,
      inspection: inspection ? tools : undefined,
    });
    return { ...cell, metrics: inspection ? closeUpOf(metrics) : metrics, counters };
  } catch (error) {
    return { ...cell, error: error instanceof Error ? error.message : String(error) };
  }
}

/** Of an inspected cell only what was looked for counts; its times are those of a disturbed process. */
function closeUpOf(metrics: Record<string, number>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(metrics).filter(([name]) => /(Syscalls|HeapAllocated)PerOperation$/.test(name)),
  );
}
