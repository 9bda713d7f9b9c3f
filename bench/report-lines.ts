import colors from 'picocolors';

import { contenderById } from './contenders/index.js';
import type { Results } from './results.js';
import { summarise, summariseRatios, type ByRound, type Summary } from './statistics.js';
import { targets } from './targets.js';
import { formatSeconds, formatValue } from './units.js';
import type { Row, Workload } from './workloads/workload.js';

export const COLUMNS = [
  'contender',
  'median',
  'times as good (range)',
  'goal',
  'p50',
  'p99',
  'CPU/op, both (server)',
];

const NOTHING = '';

/** What the table says about one contender: one text per column, or nothing without a result. */
export function contenderLine(
  results: Results,
  workload: Workload,
  row: Row,
  id: string,
): string[] | undefined {
  const metric = (name: string, contender = id): ByRound =>
    metricByRound(results, workload.id, contender, name);
  const median = (name: string): number | undefined => summarise(metric(name).values())?.median;
  const { headline } = row;
  const value = median(headline.metric);
  if (value === undefined) return undefined;

  const contender = contenderById(id);
  const ratios = new Map<string, Summary>();
  for (const baseline of row.compared ? contender.baselines : []) {
    const ratio = summariseRatios(
      metric(headline.metric),
      metric(headline.metric, baseline),
      headline.better,
    );
    if (ratio) ratios.set(baseline, ratio);
  }
  return [
    contender.title,
    formatValue(value, headline.unit),
    [...ratios].map(([baseline, ratio]) => formatRatio(baseline, ratio)).join('\n'),
    formatGoal(row, id, ratios),
    formatNanoseconds(median('latency.p50')),
    formatNanoseconds(median('latency.p99')),
    formatCpu(median('cpuPerOperation'), median('serverCpuPerOperation')),
  ];
}

function metricByRound(
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

function formatRatio(baseline: string, { median, min, max }: Summary): string {
  const text = `${median.toFixed(2)} (${min.toFixed(2)}..${max.toFixed(2)})`;
  return baseline === 'net-unix' ? text : `${text} of ${baseline}`;
}

function formatGoal(row: Row, contender: string, ratios: ReadonlyMap<string, Summary>): string {
  const goal = targets.find((target) => target.row === row.id && target.contender === contender);
  const ratio = goal && ratios.get(goal.against);
  if (!goal || !ratio) return NOTHING;
  if (ratio.median >= goal.atLeast) return colors.green(`${goal.atLeast} reached`);
  if (ratio.max >= goal.atLeast) return colors.yellow(`${goal.atLeast} unclear`);
  return colors.red(`${goal.atLeast} missed`);
}

function formatNanoseconds(value: number | undefined): string {
  return value === undefined ? NOTHING : formatSeconds(value / 1e9);
}

function formatCpu(both: number | undefined, server: number | undefined): string {
  if (both === undefined || server === undefined) return NOTHING;
  return `${formatSeconds(both)} (${formatSeconds(server)})`;
}
