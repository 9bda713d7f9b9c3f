import { max, median, min } from 'simple-statistics';

/** Values of several rounds. With this few, the range says more than a deviation would. */
export interface Summary {
  median: number;
  min: number;
  max: number;
  rounds: number;
}

/** One value per round; rounds that failed are missing. */
export type ByRound = ReadonlyMap<number, number>;

export function summarise(values: Iterable<number>): Summary | undefined {
  const list = [...values];
  if (list.length === 0) return undefined;
  return { median: median(list), min: min(list), max: max(list), rounds: list.length };
}

/**
 * How many times as good `values` are as `baseline`, each round for itself: both were measured
 * within the same minute, so what slowed the machine down in a round slowed both.
 */
export function summariseRatios(
  values: ByRound,
  baseline: ByRound,
  better: 'higher' | 'lower',
): Summary | undefined {
  const ratios: number[] = [];
  for (const [round, value] of values) {
    const base = baseline.get(round);
    if (base === undefined) continue;
    const ratio = better === 'higher' ? value / base : base / value;
    if (Number.isFinite(ratio) && ratio > 0) ratios.push(ratio);
  }
  return summarise(ratios);
}
