import { contendersOf, medianOf } from '../cells.js';
import { contenders } from '../contenders/index.js';
import type { Results } from '../results.js';
import { formatSeconds } from '../units.js';
import type { Workload } from '../workloads/workload.js';
import type { Chart } from './chart.js';
import { axis, frame, titleOf } from './style.js';

const SIDES = [
  ['server', 'serverCpuPerOperation'],
  ['client', 'clientCpuPerOperation'],
] as const;

/** What an operation costs in CPU time at both ends: a picture per workload. */
export function costCharts(results: Results, workloads: readonly Workload[]): Chart[] {
  return workloads.flatMap((workload) => {
    const ids = contendersOf(
      results,
      workload.id,
      contenders.map(({ id }) => id),
    ).filter((id) => medianOf(results, workload.id, id, 'cpuPerOperation') !== undefined);
    if (ids.length < 2) return [];
    const fromBelow = [...ids].reverse(); // The axis begins at the bottom.
    return [
      {
        id: `cost-${workload.id}`,
        title: `CPU per message: ${workload.rows[0].title.replace(/, p50$/, '')}`,
        caption: 'User and system time of both processes per operation, medians; lower is better.',
        height: 130 + 30 * ids.length,
        option: (theme) => ({
          ...frame(
            theme,
            SIDES.map(([side]) => side),
          ),
          grid: { left: 190, right: 40, top: 16, bottom: 70 },
          xAxis: {
            ...axis(theme, ''),
            type: 'value',
            axisLabel: {
              color: theme.faint,
              formatter: (seconds: number) => formatSeconds(seconds),
            },
          },
          yAxis: {
            ...axis(theme, ''),
            type: 'category',
            data: fromBelow.map(titleOf),
            axisLabel: { color: theme.text },
          },
          series: SIDES.map(([side, metric], index) => ({
            type: 'bar' as const,
            name: side,
            stack: 'both',
            barWidth: 16,
            itemStyle: { color: theme.palette[index === 0 ? 3 : 5] },
            data: fromBelow.map((id) => medianOf(results, workload.id, id, metric) ?? '-'),
          })),
        }),
      },
    ];
  });
}
