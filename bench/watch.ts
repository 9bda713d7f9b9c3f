import { readFileSync, readdirSync } from 'node:fs';
import { performance } from 'node:perf_hooks';

import { descendants } from './descendants.js';
import type { Watched } from './workloads/workload.js';

/** The kernel's USER_HZ, the same on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Of a process and all its threads since it started. */
interface ProcessCounts {
  /** CPU seconds, in steps of a hundredth. */
  user: number;
  system: number;
  voluntarySwitches: number;
  involuntarySwitches: number;
}

/** CPU seconds of the whole machine since it started. */
interface MachineCounts {
  busy: number;
  stolen: number;
}

/** What was seen while `measured` ran, from outside of the processes: they do not notice. */
export async function watchProcesses(
  pids: { server: number | undefined; client: number | undefined },
  measured: () => Promise<unknown>,
): Promise<Watched> {
  const counts = (): Counts => ({
    at: performance.now() / 1e3,
    server: processCounts(pids.server),
    client: processCounts(pids.client),
    helpers: helpersCpu([pids.server, pids.client]),
    own: process.cpuUsage(),
    machine: machineCounts(),
  });
  const from = counts();
  await measured();
  return difference(from, counts());
}

interface Counts {
  at: number;
  server: ProcessCounts | undefined;
  client: ProcessCounts | undefined;
  /** CPU seconds of what these two have started: Redis, nginx, a relay. */
  helpers: number;
  own: NodeJS.CpuUsage;
  machine: MachineCounts | undefined;
}

function difference(from: Counts, to: Counts): Watched {
  const watched: Watched = { perSecond: {}, shares: {} };
  const elapsed = to.at - from.at;
  let ours = (to.own.user + to.own.system - from.own.user - from.own.system) / 1e6;
  ours += Math.max(0, to.helpers - from.helpers); // One that ends meanwhile takes its count with it.
  for (const name of ['server', 'client'] as const) {
    const [before, after] = [from[name], to[name]];
    if (!before || !after) return watched;
    const user = after.user - before.user;
    const system = after.system - before.system;
    ours += user + system;
    const switches =
      after.voluntarySwitches +
      after.involuntarySwitches -
      before.voluntarySwitches -
      before.involuntarySwitches;
    watched.perSecond[`${name}Switches`] = switches / elapsed;
    if (user + system > 0) watched.shares[`${name}SystemShare`] = system / (user + system);
  }
  if (from.machine && to.machine) {
    const others = to.machine.busy - from.machine.busy - ours;
    watched.shares['othersCpuShare'] = Math.max(0, others) / elapsed;
    watched.shares['stolenShare'] = (to.machine.stolen - from.machine.stolen) / elapsed;
  }
  return watched;
}

function processCounts(pid: number | undefined): ProcessCounts | undefined {
  if (pid === undefined) return undefined;
  try {
    const counts = { ...processTimes(pid), voluntarySwitches: 0, involuntarySwitches: 0 };
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'latin1');
      counts.voluntarySwitches += numberAfter(status, 'voluntary_ctxt_switches');
      counts.involuntarySwitches += numberAfter(status, 'nonvoluntary_ctxt_switches');
    }
    return counts;
  } catch {
    return undefined; // It has ended, or this is not Linux.
  }
}

function processTimes(pid: number): Pick<ProcessCounts, 'user' | 'system'> {
  // The name in parentheses may hold spaces; utime and stime are fields 14 and 15.
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return {
    user: Number(fields[11]) / TICKS_PER_SECOND,
    system: Number(fields[12]) / TICKS_PER_SECOND,
  };
}

function helpersCpu(pids: readonly (number | undefined)[]): number {
  const cpu = (pid: number): number => {
    try {
      const { user, system } = processTimes(pid);
      return user + system;
    } catch {
      return 0; // It has ended.
    }
  };
  return pids
    .flatMap((pid) => (pid === undefined ? [] : descendants(pid)))
    .reduce((sum, pid) => sum + cpu(pid), 0);
}

function numberAfter(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(text)?.[1] ?? 0);
}

function machineCounts(): MachineCounts | undefined {
  try {
    const [user, nice, system, , , irq, softirq, stolen] = readFileSync('/proc/stat', 'latin1')
      .split('\n', 1)[0]
      .split(/\s+/)
      .slice(1)
      .map((ticks) => Number(ticks) / TICKS_PER_SECOND);
    return { busy: user + nice + system + irq + softirq, stolen };
  } catch {
    return undefined;
  }
}
