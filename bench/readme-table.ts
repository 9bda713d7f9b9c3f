import { medianOf, metricByRound } from './cells.js';
import type { Results } from './results.js';
import { summariseRatios } from './statistics.js';
import { formatValue } from './units.js';
import { workloads } from './workloads/index.js';
import type { Row, Workload } from './workloads/workload.js';

const BASELINE = 'net-unix';
const COMPARED = ['afunix', 'afunix-epoll'] as const;

/** The README's table: what is in Node, afunix on both engines, and how many times as good. */
export function readmeTable(results: Results, file: string): string {
  const { environment: machine, rounds, request } = results;
  const lines = workloads
    .filter(({ id }) => request.workloads.some((workload) => workload.id === id))
    .filter(({ onRequest }) => !onRequest)
    .flatMap((workload) => workload.rows.flatMap((row) => lineOf(results, workload, row)));
  const virtual = machine.virtualisation === undefined ? 'a machine' : 'a virtual machine';
  return [
    `One run on ${virtual} with ${machine.cores} cores (${machine.cpu}, ${machine.kernel}, Node ${machine.node}),`,
    `commit ${machine.commit}: ${rounds} rounds of ${request.seconds} s per cell, medians.`,
    '"times" compares with `node:net` over a Unix socket within the same round; = is no difference.',
    ...results.notices
      .filter((text) => /noisy|busy/.test(text))
      .map((text) => `**Note**: ${text}.`),
    '',
    '| | `net`, TCP | `net`, Unix | afunix, io_uring | times | afunix, epoll | times |',
    '|---|---|---|---|---|---|---|',
    ...lines,
    '',
    `Everything that was measured is in [\`bench/results/${file}\`](bench/results/${file}).`,
  ].join('\n');
}

function lineOf(results: Results, workload: Workload, row: Row): string[] {
  const { metric, unit, better } = row.headline;
  const show = (contender: string): string => {
    const value = medianOf(results, workload.id, contender, metric);
    return value === undefined ? '' : formatValue(value, unit);
  };
  if (show(BASELINE) === '') return [];
  const times = (contender: string): string => {
    const ratio = row.compared
      ? summariseRatios(
          metricByRound(results, workload.id, contender, metric),
          metricByRound(results, workload.id, BASELINE, metric),
          better,
        )
      : undefined;
    if (!ratio) return '';
    return `${ratio.median.toFixed(1)}${ratio.verdict === 'no difference' ? ' (=)' : ''}`;
  };
  const ours = COMPARED.flatMap((contender) => [show(contender), times(contender)]);
  const title = row.headline.unit.endsWith('/s') ? `${row.title}, ${row.headline.unit}` : row.title;
  const line = (cells: string[]): string => `| ${cells.join(' | ')} |`;
  const busyPoll = show('afunix-busy-poll');
  return [
    line([title, show('net-tcp'), show(BASELINE), ...ours]),
    ...(busyPoll === ''
      ? []
      : [line(['the same, `busyPoll: 50`', '', '', busyPoll, times('afunix-busy-poll'), '', ''])]),
  ];
}
