import { contendersOf, medianOf } from '../cells.js';
import { contenders } from '../contenders/index.js';
import type { Results } from '../results.js';
import { formatSeconds } from '../units.js';
import type { Workload } from '../workloads/workload.js';
import type { Chart } from './chart.js';
import { axis, frame, line, titleOf } from './style.js';

const PERCENTILES = ['p50', 'p90', 'p99', 'p999', 'max'];
const NAMES = ['50 %', '90 %', '99 %', '99.9 %', 'longest'];

/** How long the faster half took, the slowest hundredth, and so on: one picture per workload. */
export function latencyCharts(results: Results, workloads: readonly Workload[]): Chart[] {
  return workloads.flatMap((workload) => {
    const ids = contendersOf(
      results,
      workload.id,
      contenders.map(({ id }) => id),
    ).filter((id) => medianOf(results, workload.id, id, 'latency.p50') !== undefined);
    if (ids.length === 0) return [];
    return [
      {
        id: `latency-${workload.id}`,
        title: `Latency: ${workload.rows[0].title.replace(/, p50$/, '')}`,
        caption:
          'Medians over the rounds of each percentile; lower is better. The scale is logarithmic.',
        height: 360,
        option: (theme) => ({
          ...frame(theme, ids.map(titleOf)),
          xAxis: { ...axis(theme, ''), type: 'category', data: NAMES },
          yAxis: {
            ...axis(theme, 'time'),
            type: 'log',
            axisLabel: {
              color: theme.faint,
              formatter: (nanoseconds: number) => formatSeconds(nanoseconds / 1e9),
            },
          },
          series: ids.map((id) =>
            line(
              id,
              theme,
              PERCENTILES.map((name) => medianOf(results, workload.id, id, `latency.${name}`)),
            ),
          ),
        }),
      },
    ];
  });
}
