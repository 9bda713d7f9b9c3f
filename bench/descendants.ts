import { readdirSync, readFileSync } from 'node:fs';

/**
 * The processes that a process has started and those that these have, as far as they still run: real
 * servers are started by the process that stands for them. From `/proc/PID/task/TID/children`
 * (proc_pid_task(5)), which kernels without CONFIG_PROC_CHILDREN do not have: nothing is found there.
 */
export function descendants(pid: number): number[] {
  const found: number[] = [];
  const look = (parent: number): void => {
    for (const child of childrenOf(parent)) {
      found.push(child);
      look(child);
    }
  };
  look(pid);
  return found;
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1')
        .split(' ')
        .filter(Boolean)
        .map(Number),
    );
  } catch {
    return []; // It has ended, or this is not Linux.
  }
}
