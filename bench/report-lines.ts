import colors from 'picocolors';

import { metricByRound } from './cells.js';
import type { Contender } from './contenders/contender.js';
import { contenderById } from './contenders/index.js';
import type { Results } from './results.js';
import {
  summarise,
  summariseRatios,
  type ByRound,
  type Ratio,
  type Summary,
} from './statistics.js';
import { limits, targets, type Limit, type Target } from './targets.js';
import { formatSeconds, formatValue } from './units.js';
import type { Row, Workload } from './workloads/workload.js';

export const COLUMNS = [
  'contender',
  'median',
  'times as good (95 %)',
  'verdict, goal',
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
  const comparisons = comparisonsOf(row, contender).flatMap((comparison) => {
    const { against, latency } = comparison;
    const [name, better] = latency
      ? ([`latency.${latency}`, 'lower'] as const)
      : ([headline.metric, headline.better] as const);
    const ratio = summariseRatios(metric(name), metric(name, against), better);
    return ratio ? [{ ...comparison, ratio }] : [];
  });
  return [
    contender.title,
    formatValue(value, headline.unit),
    comparisons.map(formatRatio).join('\n'),
    [
      ...comparisons.map(formatVerdict),
      ...limits
        .filter((limit) => limit.row === row.id && limit.contender === id)
        .map((limit) => formatLimit(limit, summarise(metric(`latency.${limit.latency}`).values()))),
    ].join('\n'),
    formatNanoseconds(median('latency.p50')),
    formatNanoseconds(median('latency.p99')),
    formatCpu(median('cpuPerOperation'), median('serverCpuPerOperation')),
  ];
}

/** What one contender is compared with, and what that is to show. */
interface Comparison {
  against: string;
  latency?: Target['latency'];
  atLeast?: number;
}

/** The baselines of the contender, and whatever else a goal names. */
function comparisonsOf(row: Row, { id, baselines }: Contender): Comparison[] {
  if (!row.compared) return [];
  const goals = targets.filter((target) => target.row === row.id && target.contender === id);
  const isBaseline = ({ against, latency }: Target): boolean =>
    latency === undefined && baselines.includes(against);
  return [
    ...baselines.map(
      (against) =>
        goals.find((goal) => isBaseline(goal) && goal.against === against) ?? { against },
    ),
    ...goals.filter((goal) => !isBaseline(goal)),
  ];
}

function formatRatio({ against, latency, ratio }: Comparison & { ratio: Ratio }): string {
  const text = `${ratio.median.toFixed(2)} (${ratio.low.toFixed(2)}..${ratio.high.toFixed(2)})`;
  if (latency) return `${text} of ${against}, ${latency}`;
  return against === 'net-unix' ? text : `${text} of ${against}`;
}

/** What the statistics say, and whether the project's own goal is reached. */
function formatVerdict({ atLeast, ratio }: Comparison & { ratio: Ratio }): string {
  const verdict = ratio.verdict === 'no difference' ? colors.dim(ratio.verdict) : ratio.verdict;
  if (atLeast === undefined) return verdict;
  const goal = Number(atLeast.toFixed(2));
  if (ratio.median >= atLeast) return `${verdict}, ${colors.green(`${goal} reached`)}`;
  if (ratio.max >= atLeast) return `${verdict}, ${colors.yellow(`${goal} unclear`)}`;
  return `${verdict}, ${colors.red(`${goal} missed`)}`;
}

/** Whether a latency of its own is short enough, in the median of the rounds or in some of them. */
function formatLimit({ latency, atMost }: Limit, seen: Summary | undefined): string {
  const goal = `${latency} under ${formatSeconds(atMost)}`;
  const limit = atMost * 1e9;
  if (seen === undefined) return NOTHING;
  if (seen.median <= limit) return colors.green(`${goal} reached`);
  return seen.min <= limit ? colors.yellow(`${goal} unclear`) : colors.red(`${goal} missed`);
}

function formatNanoseconds(value: number | undefined): string {
  return value === undefined ? NOTHING : formatSeconds(value / 1e9);
}

function formatCpu(both: number | undefined, server: number | undefined): string {
  if (both === undefined || server === undefined) return NOTHING;
  return `${formatSeconds(both)} (${formatSeconds(server)})`;
}
