import { median } from 'simple-statistics';

import type { Results } from './results.js';

/** More runnable tasks than this before the run disturb it. */
const BUSY_LOAD = 0.5;

/** Cores' worth of CPU that others may take during a cell: the kernel's own threads need some. */
const OTHERS_SHARE = 0.1;

/** The hypervisor may give this share of a core to others. */
const STOLEN_SHARE = 0.02;

/** Cells that were disturbed, of all: more than this and the run is not worth much. */
const DISTURBED = 0.1;

/** /proc counts in hundredths of a second: in shorter cells one of them is a large share. */
const SHORTEST = 0.25;

/** What was wrong with the machine, in sentences; nothing on a quiet one. */
export function describeNoise(results: Results): string[] {
  const before = results.load.before.loadAverage[0] ?? 0;
  const notices: string[] = [];
  if (before > BUSY_LOAD) {
    notices.push(
      `the machine was busy before the run (load average ${before.toFixed(2)}): run it again`,
    );
  }
  const seen = results.cells.flatMap((cell) => {
    if (!('metrics' in cell) || !((cell.metrics['elapsed'] ?? 0) >= SHORTEST)) return [];
    const { othersCpuShare: others, stolenShare: stolen } = cell.metrics;
    return others === undefined || stolen === undefined ? [] : [{ others, stolen }];
  });
  const disturbed = seen.filter(
    ({ others, stolen }) => others > OTHERS_SHARE || stolen > STOLEN_SHARE,
  );
  if (disturbed.length > DISTURBED * seen.length) {
    const others = median(seen.map((cell) => cell.others));
    const stolen = Math.max(...seen.map((cell) => cell.stolen));
    notices.push(
      `noisy machine: in ${disturbed.length} of ${seen.length} cells others took more than ${percent(OTHERS_SHARE)} of a core ` +
        `or the hypervisor more than ${percent(STOLEN_SHARE)} (median ${percent(others)} taken, at most ${percent(stolen)} stolen); ` +
        'do not cite these figures',
    );
  }
  return notices;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}
