import { createHistogram, performance } from 'node:perf_hooks';

/** Nanoseconds. */
export interface LatencySummary {
  count: number;
  p50: number;
  p90: number;
  p99: number;
  p999: number;
  max: number;
}

/** Times of single operations, in an HDR histogram with three significant figures. */
export class Latency {
  private readonly histogram = createHistogram({ lowest: 1, highest: 60e9, figures: 3 });

  /** Now, in the unit that `record` expects. */
  static now(): number {
    return performance.now();
  }

  record(startedAt: number): void {
    this.add((performance.now() - startedAt) * 1e6);
  }

  /** A time that somebody else has measured. */
  add(nanoseconds: number): void {
    this.histogram.record(Math.max(1, Math.round(nanoseconds)));
  }

  reset(): void {
    this.histogram.reset();
  }

  summary(): LatencySummary {
    const { histogram } = this;
    return {
      count: histogram.count,
      p50: histogram.percentile(50),
      p90: histogram.percentile(90),
      p99: histogram.percentile(99),
      p999: histogram.percentile(99.9),
      max: histogram.max,
    };
  }
}
