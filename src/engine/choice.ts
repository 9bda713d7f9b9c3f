/** Which engine this thread's sockets run on: what was asked for, what can be had, and why it isn't the same. */
import util from 'node:util';
import { native } from '../binding';

export type EngineName = 'epoll' | 'io_uring' | 'auto';

export interface EngineChoice {
  engine: 'epoll' | 'io_uring';
  /** Why it is not what was asked for. */
  reason?: string;
}

let wanted: EngineName = 'auto';
let running: EngineChoice | null = null;
let probed: number | undefined;

export function wantEngine(name: EngineName): void {
  wanted = name;
}

export function wantedEngine(): EngineName {
  return wanted;
}

/** From now on this thread's engine. */
export function engineRuns(choice: EngineChoice): void {
  running = choice;
}

/** Why there can be no io_uring; nothing if there can. Asked of the kernel once. */
export function noUringBecause(): string | undefined {
  probed ??= native?.probeUring() ?? 0;
  return probed === 0 ? undefined : uringReason(probed);
}

export function uringReason(status: number): string {
  const code = util.getSystemErrorName(status);
  if (code === 'ENOSYS') return 'this kernel has no io_uring';
  if (code === 'EPERM') {
    return 'io_uring is not permitted here: by the container, or by the sysctl kernel.io_uring_disabled';
  }
  if (code === 'EINVAL') return 'this kernel is older than Linux 6.1';
  return `setting up an io_uring gives ${code}`;
}

/** The engine that runs, or would run if the first socket were made now. */
export function chosenEngine(): EngineChoice {
  if (running !== null) return running;
  // What `auto` means: docs/decisions/0016-auto-means-epoll.md.
  if (wanted !== 'io_uring') return { engine: 'epoll' };
  const reason = noUringBecause();
  if (reason === undefined) return { engine: 'io_uring' };
  return { engine: 'epoll', reason };
}
