import type { Method } from '../options.js';
import type { Workload } from '../workloads/workload.js';

/** One figure that somebody has published, to stand beside ours. */
export interface Published {
  workload: string;
  contender: string;
  /** The metric of ours that it is comparable with. */
  metric: string;
  /** In the metric's own unit: nanoseconds, seconds, operations or bytes per second, a share. */
  value: number;
}

/** A comparison that has been published, made again here. */
export interface Preset {
  readonly id: string;
  readonly description: string;
  readonly workloads: readonly Workload[];
  /** How to measure it, where it is not as usual. */
  readonly method?: Partial<Method>;
  readonly published: readonly Published[];
  /** The metrics to show, and what they are called. */
  readonly columns: readonly { metric: string; title: string; show(value: number): string }[];
  /** What somebody has to know who compares. */
  readonly notes: readonly string[];
}
