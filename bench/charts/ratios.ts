import { metricByRound } from '../cells.js';
import { contenders } from '../contenders/index.js';
import type { Results } from '../results.js';
import { summariseRatios, type Ratio } from '../statistics.js';
import type { Workload } from '../workloads/workload.js';
import type { Chart, Picture } from './chart.js';
import { axis, frame, looksOf, titleOf } from './style.js';
import type { Theme } from './theme.js';

const YARDSTICK = 'net-unix';
const CAP = 4;

interface Line {
  name: string;
  contender: string;
  ratio: Ratio;
}

/** What the charting library gives to those who draw something of their own. */
interface Drawing {
  value(dimension: number): number;
  /** Where a point of the axes lies, in pixels. */
  coord(point: number[]): number[];
}

/** Every contender against node:net on a Unix socket, with the interval: all at one look. */
export function ratioCharts(results: Results, workloads: readonly Workload[]): Chart[] {
  const lines = workloads.flatMap((workload) =>
    workload.rows.filter((row) => row.compared).flatMap((row) => linesOf(results, workload, row)),
  );
  if (lines.length === 0) return [];
  const names = [...new Set(lines.map(({ name }) => name))].reverse();
  const ids = contenders.map(({ id }) => id).filter((id) => lines.some((l) => l.contender === id));
  const legendRows = Math.ceil(ids.length / 4);
  return [
    {
      id: 'times-as-good',
      title: 'Times as good as node:net over a Unix socket',
      caption:
        'Medians of the ratio within each round, with its 95 % interval; right of 1 is better. Hollow: no difference, or too few rounds to tell. The scale is logarithmic.',
      height: 90 + 22 * legendRows + 34 * names.length,
      option: (theme) => ({
        ...frame(theme, ids.map(titleOf)),
        grid: { left: 320, right: 30, top: 10, bottom: 40 + 24 * legendRows },
        xAxis: {
          ...axis(theme, ''),
          type: 'log',
          axisLabel: {
            color: theme.faint,
            formatter: (value: number) => `${Number(value.toPrecision(3))}×`,
          },
        },
        yAxis: {
          ...axis(theme, ''),
          type: 'category',
          data: names,
          axisLabel: { color: theme.text, width: 310, overflow: 'truncate' },
        },
        series: ids.flatMap((id, index) => {
          const own = lines.filter(({ contender }) => contender === id);
          const lift = (index - (ids.length - 1) / 2) * Math.min(5, 24 / ids.length);
          return [intervals(id, own, names, lift, theme), medians(id, own, names, lift, theme)];
        }),
      }),
    },
  ];
}

function linesOf(results: Results, workload: Workload, row: Workload['rows'][number]): Line[] {
  const { metric, better } = row.headline;
  const baseline = metricByRound(results, workload.id, YARDSTICK, metric);
  return workload.contenders.flatMap((contender) => {
    if (contender === YARDSTICK) return [];
    const values = metricByRound(results, workload.id, contender, metric);
    const ratio = summariseRatios(values, baseline, better);
    return ratio ? [{ name: row.title, contender, ratio }] : [];
  });
}

function medians(id: string, lines: Line[], names: string[], lift: number, theme: Theme) {
  const { color } = looksOf(id, theme);
  return {
    type: 'scatter' as const,
    name: titleOf(id),
    itemStyle: { color },
    data: lines.map(({ name, ratio }) => {
      const told = ratio.verdict === 'better' || ratio.verdict === 'worse';
      return {
        value: [ratio.median, names.indexOf(name)],
        symbolSize: 8,
        symbolOffset: [0, lift],
        itemStyle: told
          ? { color }
          : { color: theme.background, borderColor: color, borderWidth: 2 },
      };
    }),
    z: 3,
  };
}

function intervals(id: string, lines: Line[], names: string[], lift: number, theme: Theme) {
  const { color } = looksOf(id, theme);
  return {
    type: 'custom' as const,
    name: titleOf(id),
    itemStyle: { color },
    data: lines.map(({ name, ratio }) => [ratio.low, ratio.high, names.indexOf(name)]),
    encode: { x: [0, 1], y: 2 },
    renderItem: (_: unknown, api: Drawing): Picture => {
      const ends = [0, 1].map((side) => api.coord([api.value(side), api.value(2)]));
      const y = ends[0][1] + lift;
      const stroke = (x1: number, y1: number, x2: number, y2: number) => ({
        type: 'line' as const,
        shape: { x1, y1, x2, y2 },
        style: { stroke: color, lineWidth: 1.5 },
      });
      return {
        type: 'group',
        children: [
          stroke(ends[0][0], y, ends[1][0], y),
          ...ends.map(([x]) => stroke(x, y - CAP, x, y + CAP)),
        ],
      };
    },
  };
}
