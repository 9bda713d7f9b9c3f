import {
  cumulativeStdNormalProbability,
  max,
  mean,
  median,
  min,
  quantileSorted,
  sampleStandardDeviation,
} from 'simple-statistics';

import { randomBits } from './random.js';

/** Values of several rounds. */
export interface Summary {
  median: number;
  min: number;
  max: number;
  rounds: number;
}

/** One value per round; rounds that failed are missing. */
export type ByRound = ReadonlyMap<number, number>;

export type Better = 'higher' | 'lower';

/** What a comparison comes to. */
export type Verdict = 'better' | 'worse' | 'no difference' | 'too few rounds';

/** How many times as good one thing is as another; above 1 is better. */
export interface Ratio extends Summary {
  /** Of the median, 95 % by bootstrap. */
  low: number;
  high: number;
  verdict: Verdict;
}

const RESAMPLES = 4_000;

/** With fewer, any difference could be chance. */
const ROUNDS_NEEDED = 3;

/** With fewer, twice as fast can fail to show: that nothing shows does not say that nothing is there. */
const ROUNDS_FOR_NONE = 5;

/**
 * Student's t, two-sided at one in a hundred, for 1, 2, 3 ... degrees of freedom. Stricter than the
 * interval, because a table has dozens of comparisons, and one in twenty would be wrong by chance.
 */
const CRITICAL_T = [
  63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.25, 3.169, 3.106, 3.055, 3.012, 2.977,
  2.947, 2.921, 2.898, 2.878, 2.861, 2.845, 2.831, 2.819, 2.807, 2.797, 2.787, 2.779, 2.771, 2.763,
  2.756, 2.75,
];
const CRITICAL_NORMAL = 2.576;

/** The same for one in twenty. */
const T_FOR_95 = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145,
  2.131, 2.12, 2.11, 2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048,
  2.045, 2.042,
];
const NORMAL_FOR_95 = 1.96;

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
  better: Better,
): Ratio | undefined {
  const ratios: number[] = [];
  for (const [round, value] of values) {
    const base = baseline.get(round);
    if (base === undefined) continue;
    const ratio = better === 'higher' ? value / base : base / value;
    if (Number.isFinite(ratio) && ratio > 0) ratios.push(ratio);
  }
  const summary = summarise(ratios);
  if (!summary) return undefined;
  const logs = ratios.map(Math.log);
  const { low, high } = interval(
    () => median(ratios),
    [ratios],
    ([again]) => median(again),
  );
  const n = ratios.length;
  const t = mean(logs) / (spreadOf(logs) / Math.sqrt(n));
  return { ...summary, low, high, verdict: verdictOf(t, n - 1, n) };
}

/** The same for two runs that were not made together, each with values of its own. */
export function compareRuns(
  before: readonly number[],
  after: readonly number[],
  better: Better,
): Ratio | undefined {
  const [from, to] = [before, after].map((values) => values.filter((value) => value > 0));
  if (from.length === 0 || to.length === 0) return undefined;
  const ratioOf = (a: number[], b: number[]): number =>
    better === 'higher' ? median(b) / median(a) : median(a) / median(b);
  const ratio = ratioOf(from, to);
  const { low, high } = interval(
    () => ratio,
    [from, to],
    ([a, b]) => ratioOf(a, b),
  );
  const rounds = Math.min(from.length, to.length);
  const [x, y] = [from.map(Math.log), to.map(Math.log)];
  // Welch: the spread of the two need not be alike.
  const [u, v] = [spreadOf(x) ** 2 / x.length, spreadOf(y) ** 2 / y.length];
  const sign = better === 'higher' ? 1 : -1;
  const t = (sign * (mean(y) - mean(x))) / Math.sqrt(u + v);
  const freedom =
    u + v === 0 ? rounds - 1 : (u + v) ** 2 / (u ** 2 / (x.length - 1) + v ** 2 / (y.length - 1));
  return {
    median: ratio,
    min: low,
    max: high,
    low,
    high,
    rounds,
    verdict: verdictOf(t, freedom, rounds),
  };
}

function spreadOf(values: number[]): number {
  return values.length > 1 ? sampleStandardDeviation(values) : 0;
}

function verdictOf(t: number, freedom: number, rounds: number): Verdict {
  if (rounds < ROUNDS_NEEDED) return 'too few rounds';
  const critical = CRITICAL_T[Math.floor(freedom) - 1] ?? CRITICAL_NORMAL;
  if (!(Math.abs(t) > critical)) {
    return rounds < ROUNDS_FOR_NONE ? 'too few rounds' : 'no difference';
  }
  return t > 0 ? 'better' : 'worse';
}

/**
 * The bootstrap, 95 %; the seed is fixed, so that a report is the same whenever it is made. Plain percentiles
 * are too narrow for a handful of values, by what Student's t is wider than the normal distribution and
 * by the bias of the spread; they are moved outwards by as much (Hesterberg, What Teachers Should
 * Know About the Bootstrap, 2015, section 4.3: the expanded percentile interval).
 */
function interval(
  estimate: () => number,
  samples: readonly number[][],
  statistic: (resampled: number[][]) => number,
): { low: number; high: number } {
  const n = Math.min(...samples.map(({ length }) => length));
  if (n === 1) return { low: estimate(), high: estimate() };
  const bits = randomBits(1);
  const draw = (values: number[]): number[] =>
    values.map(() => values[Math.floor((bits() / 2 ** 32) * values.length)]);
  const statistics = Float64Array.from({ length: RESAMPLES }, () => statistic(samples.map(draw)));
  const sorted = [...statistics.sort()];
  const t = T_FOR_95[n - 2] ?? NORMAL_FOR_95;
  const tail = 1 - cumulativeStdNormalProbability(Math.sqrt(n / (n - 1)) * t);
  return { low: quantileSorted(sorted, tail), high: quantileSorted(sorted, 1 - tail) };
}
