import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

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
  /** Counts and bytes of both processes, per second, while `measured` ran. */
  watch(server: Child, client: Child, measured: () => Promise<unknown>): Promise<Metrics>;
  /** Why something is not counted. */
  readonly missing: readonly string[];
}

const EVENT = 'raw_syscalls:sys_enter';
const PERF_STAT = ['stat', '-x', ',', '-e', EVENT];

/** Not counting until it is told to, since attaching to all threads takes it a while (perf 5.10). */
const ON_COMMAND = ['-D', '-1', '--control', 'fd:3,4'];

export function prepareInspection(): Inspection {
  const reason = whyNoPerf();
  return {
    missing: reason === undefined ? [] : [`system calls were not counted: ${reason}`],
    watch: async (server, client, measured) => {
      const ends = { server, client };
      const perSecond: Metrics = {};
      const counting = Object.entries(ends).flatMap(([name, { pid }]) =>
        reason === undefined && pid !== undefined ? [{ name, calls: new SystemCalls(pid) }] : [],
      );
      const allocating = Object.entries(ends).filter(([, { isNode }]) => isNode);
      await Promise.all(allocating.map(([, child]) => child.call('beginAllocations')));
      const from = performance.now();
      await Promise.all(counting.map(({ calls }) => calls.begin()));
      await measured();
      const rates = await Promise.all(counting.map(({ calls }) => calls.end()));
      for (const [index, { name }] of counting.entries()) {
        const rate = rates[index];
        if (rate !== undefined) perSecond[`${name}Syscalls`] = rate;
      }
      for (const [name, child] of allocating) {
        const bytes = await child.call<number>('endAllocations');
        perSecond[`${name}HeapAllocated`] = bytes / ((performance.now() - from) / 1e3);
      }
      return perSecond;
    },
  };
}

function whyNoPerf(): string | undefined {
  const { error, status, stderr } = spawnSync('perf', [...PERF_STAT, 'true'], {
    encoding: 'utf8',
  });
  if (error) return 'perf is not installed (apt-get install linux-perf)';
  if (status !== 0 || countIn(stderr) === undefined) {
    return `perf may not count ${EVENT} here (root, or kernel.perf_event_paranoid -1)`;
  }
  return undefined;
}

/** `perf stat -x,` writes `count,unit,event,...`, or words where there is no count. */
function countIn(text: string): number | undefined {
  const found = new RegExp(`^(\\d+),[^,]*,${EVENT}`, 'm').exec(text);
  return found ? Number(found[1]) : undefined;
}

/** Counts the calls of one process between `begin` and `end`, which tells how many a second. */
class SystemCalls {
  private readonly perf: ChildProcess;
  private readonly ended: Promise<unknown>;
  private readonly answers: Interface;
  private output = '';
  private from = 0;

  constructor(pid: number) {
    this.perf = spawn('perf', [...PERF_STAT, ...ON_COMMAND, '-p', String(pid)], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
    });
    const [, , stderr, commands, answers] = this.perf.stdio;
    (stderr as Readable).setEncoding('utf8').on('data', (text: string) => (this.output += text));
    (commands as Writable).on('error', () => {}); // Its end is noticed below.
    this.answers = createInterface(answers as Readable);
    this.ended = once(this.perf, 'close').catch(() => {});
  }

  async begin(): Promise<void> {
    await this.tell('enable');
    this.from = performance.now();
  }

  async end(): Promise<number | undefined> {
    const seconds = (performance.now() - this.from) / 1e3;
    await this.tell('disable');
    this.perf.kill('SIGINT');
    await this.ended;
    const count = countIn(this.output);
    return count === undefined ? undefined : count / seconds;
  }

  /** Resolves when perf has done it, or has ended. */
  private async tell(command: string): Promise<void> {
    (this.perf.stdio[3] as Writable).write(`${command}\n`);
    await Promise.race([once(this.answers, 'line'), this.ended]);
  }
}
