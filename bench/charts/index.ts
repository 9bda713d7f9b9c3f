import type { Results } from '../results.js';
import type { Workload } from '../workloads/workload.js';
import type { Chart } from './chart.js';
import { costCharts } from './cost.js';
import { curveCharts } from './curves.js';
import { latencyCharts } from './latency.js';
import { ratioCharts } from './ratios.js';

/** Every picture that the results have enough for, the most telling first. */
export function chartsOf(results: Results, workloads: readonly Workload[]): Chart[] {
  return [ratioCharts, curveCharts, latencyCharts, costCharts].flatMap((draw) =>
    draw(results, workloads),
  );
}
