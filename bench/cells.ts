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

/** What failed, a line for each workload and contender, with what was said the first time. */
export function failuresOf({ cells }: Results): string[] {
  const failed = new Map<string, { rounds: number[]; inspection: boolean; error: string }>();
  for (const cell of cells) {
    if (!('error' in cell)) continue;
    const name = `${cell.workload}, ${cell.contender}`;
    const before = failed.get(name) ?? { rounds: [], inspection: false, error: cell.error };
    if (cell.inspection) before.inspection = true;
    else before.rounds.push(cell.round);
    failed.set(name, before);
  }
  return [...failed].map(([name, { rounds, inspection, error }]) => {
    const where =
      rounds.length > 0 ? [`round${rounds.length > 1 ? 's' : ''} ${rounds.join(', ')}`] : [];
    if (inspection) where.push('inspection');
    return `${name}, ${where.join(' and ')} failed: ${error.split('\n', 1)[0]}`;
  });
}
