/** The arithmetic between the samples and the table. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { moduleOf } from './bench';

type ByRound = Map<number, number>;
interface Ratio {
  median: number;
  low: number;
  high: number;
  verdict: string;
}
type Better = 'higher' | 'lower';

const { summariseRatios, compareRuns } = moduleOf('statistics.js') as {
  summariseRatios(values: ByRound, baseline: ByRound, better: Better): Ratio | undefined;
  compareRuns(before: number[], after: number[], better: Better): Ratio | undefined;
};
const { Latency } = moduleOf('latency.js') as {
  Latency: new () => { add(nanoseconds: number): void; summary(): Record<string, number> };
};
const { randomBits } = moduleOf('random.js') as { randomBits(seed: number): () => number };

/** Uniform between 0 and 1, the same every time. */
function uniform(seed: number): () => number {
  const bits = randomBits(seed);
  return () => (bits() + 0.5) / 2 ** 32;
}

/** Normally distributed, but every tenth is ten times as far out, as on a machine with neighbours. */
function noise(seed: number): () => number {
  const next = uniform(seed);
  return () => {
    const normal = Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next());
    return next() < 0.1 ? 10 * normal : normal;
  };
}

/** What rounds measure of a contender: a rate, slow and fast minutes of the machine, and noise. */
function rounds(count: number, rate: number, minutes: () => number, own: () => number): ByRound {
  return new Map(
    Array.from({ length: count }, (_, round) => {
      const minute = minutes();
      return [round, rate * Math.exp(0.2 * minute + 0.03 * own())];
    }),
  );
}

for (const count of [3, 5, 7, 20]) {
  const none = count < 5 ? 'too few rounds' : 'no difference';
  test(`of two that are the same, ${count} rounds show ${none} in at least 38 of 40 runs`, () => {
    let same = 0;
    for (let run = 0; run < 40; run++) {
      const a = rounds(count, 1e5, noise(run), noise(1e3 + run));
      const b = rounds(count, 1e5, noise(run), noise(2e3 + run));
      if (summariseRatios(a, b, 'higher')!.verdict === none) same++;
    }
    assert.ok(same >= 38, `${same} of 40`);
  });
}

test('of two runs of the same thing, at least 38 of 40 pairs show no difference', () => {
  let same = 0;
  for (let run = 0; run < 40; run++) {
    const [x, y] = [noise(run), noise(5e3 + run)];
    const before = Array.from({ length: 7 }, () => 1e5 * Math.exp(0.03 * x()));
    const after = Array.from({ length: 7 }, () => 1e5 * Math.exp(0.03 * y()));
    if (compareRuns(before, after, 'higher')!.verdict === 'no difference') same++;
  }
  assert.ok(same >= 38, `${same} of 40`);
});

/** Within a hundredth, as on a quiet machine. */
function quiet(seed: number): () => number {
  const next = uniform(seed);
  return () => (next() + next() + next() - 1.5) / 1.5;
}

test('a tenth more is found although the machine varies by a fifth', () => {
  for (let run = 0; run < 40; run++) {
    const a = rounds(7, 1.1e5, noise(run), quiet(1e3 + run));
    const b = rounds(7, 1e5, noise(run), quiet(2e3 + run));
    const up = summariseRatios(a, b, 'higher')!;
    assert.equal(up.verdict, 'better');
    assert.ok(Math.abs(up.median - 1.1) < 0.05, `${up.median}`);
    assert.equal(summariseRatios(a, b, 'lower')!.verdict, 'worse');
  }
});

test('the interval holds the true ratio in about 95 of 100 runs', () => {
  let held = 0;
  for (let run = 0; run < 100; run++) {
    const a = rounds(7, 1.1e5, noise(run), quiet(1e3 + run));
    const b = rounds(7, 1e5, noise(run), quiet(2e3 + run));
    const { low, high } = summariseRatios(a, b, 'higher')!;
    if (low <= 1.1 && 1.1 <= high) held++;
  }
  assert.ok(held >= 90, `${held} of 100`);
});

test('twice as long is half as good', () => {
  const times = [100, 101, 99, 100, 102];
  const longer = times.map((time) => 2 * time + 1);
  const ratio = compareRuns(times, longer, 'lower')!;
  assert.equal(ratio.verdict, 'worse');
  assert.ok(ratio.low <= ratio.median && ratio.median <= ratio.high);
  assert.ok(Math.abs(ratio.median - 0.4975) < 0.01, `${ratio.median}`);
});

test('one or two rounds are too few for a verdict', () => {
  const two = new Map([
    [1, 200],
    [2, 202],
  ]);
  const half = new Map([
    [1, 100],
    [2, 101],
  ]);
  assert.equal(summariseRatios(two, half, 'higher')!.verdict, 'too few rounds');
  assert.equal(summariseRatios(two, half, 'higher')!.median, 2);
});

test('three rounds can show a difference, and never that there is none', () => {
  const rounds = (...values: number[]): ByRound =>
    new Map(values.map((value, round) => [round, value]));
  const verdictOf = (...values: number[]): string =>
    summariseRatios(rounds(...values), rounds(...values.map(() => 100)), 'higher')!.verdict;
  assert.equal(verdictOf(199, 200, 201), 'better');
  assert.equal(verdictOf(153, 142, 177), 'too few rounds');
  assert.equal(verdictOf(99, 100, 101), 'too few rounds');
  assert.equal(verdictOf(99, 100, 101, 100, 100), 'no difference');
});

test('rounds that only one of the two has are not compared', () => {
  const ratio = summariseRatios(new Map([[1, 4]]), new Map([[2, 2]]), 'higher');
  assert.equal(ratio, undefined);
});

test('percentiles are those of the sorted list, within a thousandth', () => {
  const next = uniform(7);
  // From 100 ns to 100 s, as many in each decade.
  const times = Array.from({ length: 50_000 }, () => 10 ** (2 + 7.5 * next()));
  const latency = new Latency();
  for (const time of times) latency.add(time);
  const sorted = [...times].sort((a, b) => a - b);
  const summary = latency.summary();
  assert.equal(summary['count'], times.length);
  const wanted = { p50: 0.5, p90: 0.9, p99: 0.99, p999: 0.999, max: 1 };
  for (const [name, share] of Object.entries(wanted)) {
    const reference = sorted[Math.ceil(share * sorted.length) - 1];
    assert.ok(
      Math.abs(summary[name] / reference - 1) <= 1.1e-3,
      `${name}: ${summary[name]} is not ${reference}`,
    );
  }
});
