import Table from 'cli-table3';
import colors from 'picocolors';

import { metricByRound } from '../cells.js';
import { contenders } from '../contenders/index.js';
import { loadResults, type Results } from '../results.js';
import { compareRuns, summarise, type Ratio } from '../statistics.js';
import { formatValue } from '../units.js';
import { parseCommandLine, UsageError } from '../usage.js';
import { workloadById } from '../workloads/index.js';
import type { Workload } from '../workloads/workload.js';

export const compareHelp = `Usage: bench compare BEFORE.json AFTER.json

  What changed between two runs, for everything that both of them measured.
`;

/** The exit code is 0 whatever changed: whether a difference matters is not ours to say. */
export function compare(args: string[]): number {
  const { values, positionals } = parseCommandLine(args, { help: { type: 'boolean', short: 'h' } });
  if (values.help) return print(compareHelp);
  const [before, after, ...more] = positionals;
  if (before === undefined || after === undefined || more.length > 0) {
    throw new UsageError('compare takes two files: the run before, and the run after');
  }
  return print(renderComparison(loadResults(before), loadResults(after)));
}

export function renderComparison(before: Results, after: Results): string {
  const table = new Table({
    head: ['workload', 'contender', 'before', 'after', 'times as good (95 %)', 'verdict'].map(
      (text) => colors.bold(text),
    ),
    style: { head: [], border: [] },
  });
  for (const workload of workloadsOf(before)) {
    for (const row of workload.rows) {
      for (const { id, title } of contenders) {
        const { metric, unit, better } = row.headline;
        const [from, to] = [before, after].map((run) => [
          ...metricByRound(run, workload.id, id, metric).values(),
        ]);
        const ratio = compareRuns(from, to, better);
        if (!ratio) continue;
        const medians = [from, to].map((list) => formatValue(summarise(list)!.median, unit));
        table.push([row.title, title, ...medians, formatRatio(ratio), paint(ratio.verdict)]);
      }
    }
  }
  if (table.length === 0) throw new UsageError('the two runs have nothing in common');
  const differences = differencesOf(before, after);
  return [
    table.toString(),
    'Medians of each run; in parentheses the 95 % interval of their ratio (bootstrap); above 1 is better.',
    'Two runs are not interleaved: what changed on the machine between them is in the ratio, too.',
    ...(differences.length > 0
      ? ['', colors.yellow('The runs differ in more than the time:')]
      : []),
    ...differences.map((text) => colors.yellow(`- ${text}`)),
  ].join('\n');
}

/** Of a run by a program that may have had others. */
function workloadsOf(results: Results): Workload[] {
  return results.request.workloads.flatMap(({ id, family, point }) => {
    try {
      return [workloadById(id, family, point)];
    } catch {
      return [];
    }
  });
}

function formatRatio({ median, low, high }: Ratio): string {
  return `${median.toFixed(2)} (${low.toFixed(2)}..${high.toFixed(2)})`;
}

function paint(verdict: Ratio['verdict']): string {
  if (verdict === 'better') return colors.green(verdict);
  if (verdict === 'worse') return colors.red(verdict);
  return colors.dim(verdict);
}

/** What is not the same about the machines and the methods. */
function differencesOf(before: Results, after: Results): string[] {
  const facts = ({ environment, request, placement }: Results): Record<string, unknown> => ({
    ...environment,
    seconds: request.seconds,
    warmUp: request.warmUp,
    cores: request.cores,
    placement,
  });
  const [from, to] = [facts(before), facts(after)];
  return [...new Set([...Object.keys(from), ...Object.keys(to)])].flatMap((name) => {
    const [a, b] = [from[name], to[name]].map((value) => JSON.stringify(value) ?? 'unknown');
    return a === b ? [] : [`${name}: ${a} before, ${b} after`];
  });
}

function print(text: string): 0 {
  process.stdout.write(`${text}\n`);
  return 0;
}
