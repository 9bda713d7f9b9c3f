import { affordableConnections } from './limits.js';
import type { Options } from './options.js';
import { randomBits, shuffled } from './random.js';
import type { Settings, Workload } from './workloads/workload.js';

export interface PlannedCell {
  round: number;
  workload: Workload;
  contender: string;
  settings: Settings;
}

/**
 * Every cell of a run in order: round by round, within a round workload by workload, and the
 * contenders of a workload in an order drawn anew each time. Notices say what is less than asked.
 */
export function planRounds(
  options: Options,
  usable: Set<string>,
  notices: string[],
): PlannedCell[] {
  const bits = randomBits(options.seed);
  const plan: PlannedCell[] = [];
  for (let round = 1; round <= options.rounds; round++) {
    for (const workload of options.workloads) {
      const connections = affordableConnections(workload.connections);
      if (round === 1 && connections < workload.connections) {
        notices.push(
          `${workload.id} ran with ${connections} connections instead of ${workload.connections}: ` +
            'the limit on open files (ulimit -n) is too low',
        );
      }
      const { warmUp, seconds, idleSeconds } = options;
      const settings = { warmUp, seconds, idleSeconds, connections };
      const runnable = workload.contenders.filter((id) => usable.has(id));
      for (const contender of shuffled(runnable, bits)) {
        plan.push({ round, workload, contender, settings });
      }
    }
  }
  return plan;
}
