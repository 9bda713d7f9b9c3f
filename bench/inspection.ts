import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';

import type { Child } from './child.js';
import type { Metrics } from './workloads/workload.js';

/**
 * What can only be seen by looking over a process's shoulder, which slows it down: so this is done
 * in cells of its own, after the timed ones, and their rates are not kept.
 *
 * System calls are counted by `perf stat` on the tracepoint that every system call passes, for about
 * a tenth of a microsecond each. `strace -c` would do as well, but stops the process at every call,
 * and a slower process finds more to do per wake-up: the counts would not be those of the timed run.
 */
export interface Inspection {
  /** Counts and bytes of both processes while `measured` ran. */
  watch(server: Child, client: Child, measured: () => Promise<unknown>): Promise<Metrics>;
  /** Why something is not counted. */
  readonly missing: readonly string[];
}

const EVENT = 'raw_syscalls:sys_enter';

export function prepareInspection(): Inspection {
  const reason = whyNoPerf();
  return {
    missing: reason === undefined ? [] : [`system calls were not counted: ${reason}`],
    watch: async (server, client, measured) => {
      const ends = { server, client };
      const totals: Metrics = {};
      const counting = Object.entries(ends).map(([name, { pid }]) => ({
        name,
        counter: reason === undefined && pid !== undefined ? countSystemCalls(pid) : undefined,
      }));
      const allocating = Object.entries(ends).filter(([, { isNode }]) => isNode);
      await Promise.all(allocating.map(([, child]) => child.call('beginAllocations')));
      await measured();
      for (const { name, counter } of counting) {
        const count = await counter?.stop();
        if (count !== undefined) totals[`${name}Syscalls`] = count;
      }
      for (const [name, child] of allocating) {
        totals[`${name}HeapAllocated`] = await child.call<number>('endAllocations');
      }
      return totals;
    },
  };
}

function whyNoPerf(): string | undefined {
  const { error, status, stderr } = spawnSync('perf', ['stat', '-x', ',', '-e', EVENT, 'true'], {
    encoding: 'utf8',
  });
  if (error) return 'perf is not installed (apt-get install linux-perf)';
  if (status !== 0 || countIn(stderr) === undefined) {
    return `perf may not count ${EVENT} here (root, or kernel.perf_event_paranoid -1)`;
  }
  return undefined;
}

/** `perf stat -x,` writes `count,,event,...`, or words where there is no count. */
function countIn(text: string): number | undefined {
  const found = new RegExp(`^(\\d+),[^,]*,${EVENT}`, 'm').exec(text);
  return found ? Number(found[1]) : undefined;
}

function countSystemCalls(pid: number): { stop(): Promise<number | undefined> } {
  const perf = spawn('perf', ['stat', '-x', ',', '-e', EVENT, '-p', String(pid)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let output = '';
  perf.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  const ended = once(perf, 'close');
  ended.catch(() => {});
  return {
    stop: async () => {
      perf.kill('SIGINT');
      await ended.catch(() => {});
      return countIn(output);
    },
  };
}
