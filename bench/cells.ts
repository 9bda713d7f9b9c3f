import type { Results } from './results.js';
import { summarise, type ByRound } from './statistics.js';

/** One metric of one contender in each round in which it was measured. */
export function metricByRound(
  results: Results,
  workload: string,
  contender: string,
  name: string,
): ByRound {
  const values = new Map<number, number>();
  for (const cell of results.cells) {
    if (cell.workload !== workload || cell.contender !== contender || 'error' in cell) continue;
    const value = cell.metrics[name];
    if (value !== undefined) values.set(cell.round, value);
  }
  return values;
}

export function medianOf(
  results: Results,
  workload: string,
  contender: string,
  name: string,
): number | undefined {
  return summarise(metricByRound(results, workload, contender, name).values())?.median;
}

/** The contenders that have a measured cell of a workload, in the order in which `order` has them. */
export function contendersOf(
  results: Results,
  workload: string,
  order: readonly string[],
): string[] {
  const measured = new Set(
    results.cells.flatMap((cell) =>
      cell.workload === workload && 'metrics' in cell ? [cell.contender] : [],
    ),
  );
  return order.filter((id) => measured.has(id));
}
