import Table from 'cli-table3';
import colors from 'picocolors';

import { failuresOf } from './cells.js';
import { COLUMNS, contenderLine } from './report-lines.js';
import type { Results } from './results.js';
import { stack } from './stack.js';
import { countsThings } from './units.js';
import type { Row, Workload } from './workloads/workload.js';

/** The machine, above the table. */
export function renderHeader(results: Results): string {
  const { environment: machine, placement } = results;
  const pinned =
    'reason' in placement
      ? 'not pinned'
      : `server on core ${placement.server}, client on core ${placement.client}` +
        (placement.siblings ? ' (hyperthreads of one core)' : '');
  const optional = [machine.governor && `governor ${machine.governor}`, machine.virtualisation];
  return [
    [machine.cpu, `${machine.cores} cores`, ...optional.filter(Boolean), pinned].join(', '),
    `${machine.kernel}, Node ${machine.node}, libuv ${machine.libuv ?? 'unknown'}, commit ${machine.commit}`,
  ].join('\n');
}

/** One table: a box per workload, in it a line per contender. */
export function renderTable(results: Results, workloads: readonly Workload[]): string {
  const head = ['workload', ...COLUMNS].map((text) => colors.bold(text));
  const table = new Table({ head, style: { head: [], border: [] } });
  for (const workload of workloads) {
    for (const row of workload.rows) {
      const lines = workload.contenders.flatMap((contender) => {
        const line = contenderLine(results, workload, row, contender);
        return line ? [line] : [];
      });
      if (lines.length > 0) table.push([titleOf(row), ...stack(lines)]);
    }
  }
  return table.toString();
}

/** Names what a plain number counts; others carry their unit. */
function titleOf({ title, headline }: Row): string {
  return countsThings(headline.unit) ? `${title}\n${headline.unit}` : title;
}

/** How to read it and what is missing, below the table. */
export function renderFooter(results: Results): string {
  const { load, rounds } = results;
  const average = (at: { loadAverage: number[] }): string => (at.loadAverage[0] ?? NaN).toFixed(2);
  const stolen = (load.after.stolenSeconds ?? NaN) - (load.before.stolenSeconds ?? NaN);
  const missing = [...results.notices, ...failuresOf(results)];
  return [
    `Medians of ${rounds} round${rounds === 1 ? '' : 's'}, seed ${results.seed}. Ratios are taken within each round, against`,
    'node:net on a Unix socket unless another contender is named; above 1 is better. In parentheses the 95 %',
    'interval of the median (bootstrap). "no difference": chance explains it too well (p > 0.01).',
    `Load average ${average(load.before)} before, ${average(load.after)} after` +
      (Number.isFinite(stolen)
        ? `; ${stolen.toFixed(1)} core seconds stolen by the hypervisor.`
        : '.'),
    ...(missing.length > 0 ? ['', 'Not in the table, or less than asked for:'] : []),
    ...missing.map((text) => colors.yellow(`- ${text}`)),
  ].join('\n');
}
