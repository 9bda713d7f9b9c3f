import { affordableConnections } from './limits.js';
import type { Options } from './options.js';
import { randomBits, shuffled } from './random.js';
import type { Settings, Workload } from './workloads/workload.js';

export interface PlannedCell {
  round: number;
  workload: Workload;
  contender: string;
  settings: Settings;
  /** Looked at closely instead of timed. */
  inspection?: boolean;
}

/** Seconds that starting, connecting, verifying and ending take, about. */
const OVERHEAD_SECONDS = 0.7;

/**
 * Every cell of a run in order: round by round, within a round workload by workload, and the
 * contenders of a workload in an order drawn anew each time. Inspections come last. Notices say
 * what is less than asked. The same options make the same plan.
 */
export function planRounds(
  options: Options,
  usable: Set<string>,
  notices: string[],
): PlannedCell[] {
  const bits = randomBits(options.seed);
  const plan: PlannedCell[] = [];
  const runnable = ({ contenders }: Workload): string[] =>
    contenders.filter((id) => usable.has(id));
  const workloads = options.workloads.filter(({ id, needs }) => {
    const reason = needs?.();
    if (reason !== undefined) notices.push(`${id} did not run: ${reason}`);
    return reason === undefined;
  });
  for (let round = 1; round <= options.rounds; round++) {
    for (const workload of workloads) {
      const settings = settingsOf(workload, options);
      if (round === 1 && settings.connections < workload.connections) {
        notices.push(
          `${workload.id} ran with ${settings.connections} connections instead of ${workload.connections}: ` +
            (settings.connections === options.mostConnections
              ? 'a quick run opens no more'
              : 'the limit on open files (ulimit -n) is too low'),
        );
      }
      for (const contender of shuffled(runnable(workload), bits)) {
        plan.push({ round, workload, contender, settings });
      }
    }
  }
  if (options.inspect) {
    for (const workload of workloads) {
      const settings = settingsOf(workload, options);
      for (const contender of runnable(workload)) {
        plan.push({ round: 0, workload, contender, settings, inspection: true });
      }
    }
  }
  return plan;
}

function settingsOf(
  workload: Workload,
  { warmUp, seconds, idleSeconds, mostConnections }: Options,
): Settings {
  const wanted = workload.point.connections ?? Math.min(workload.connections, mostConnections);
  const connections = affordableConnections(wanted);
  return { warmUp, seconds, idleSeconds, connections };
}

/** About how long a cell takes. */
export function secondsFor({ workload, settings }: PlannedCell): number {
  return OVERHEAD_SECONDS + settings.warmUp + workload.secondsNeeded(settings);
}
