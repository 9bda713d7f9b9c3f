import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Where the two processes of a cell run: each on a core of its own, both on one, or anywhere. */
export type Cores = 'different' | 'same' | 'any';
export const CORES: readonly Cores[] = ['different', 'same', 'any'];

/** The cores that the two processes of a cell are pinned to, or why they are not pinned. */
export type Placement = { server: number; client: number; siblings: boolean } | { reason: string };

/** Picks allowed cores; for different ones, of different physical cores where there are such. */
export function choosePlacement(cores: Cores = 'different'): Placement {
  if (cores === 'any') return { reason: 'as was asked for (--cores any)' };
  const allowed = allowedCpus();
  const [server] = allowed;
  if (server === undefined || (cores === 'different' && allowed.length < 2))
    return { reason: 'fewer than two cores to run on' };
  if (spawnSync('taskset', ['-c', String(server), 'true']).status !== 0) {
    return { reason: 'the taskset command is not there or does not work' };
  }
  if (cores === 'same') return { server, client: server, siblings: false };
  const siblings = siblingsOf(server);
  const apart = allowed.find((cpu) => cpu !== server && !siblings.includes(cpu));
  return { server, client: apart ?? allowed[1], siblings: apart === undefined };
}

function allowedCpus(): number[] {
  try {
    const list = /^Cpus_allowed_list:\s*(.+)$/m.exec(readFileSync('/proc/self/status', 'latin1'));
    return list ? parseCpuList(list[1]) : [];
  } catch {
    return [];
  }
}

function siblingsOf(cpu: number): number[] {
  try {
    const file = `/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`;
    return parseCpuList(readFileSync(file, 'latin1'));
  } catch {
    return [cpu];
  }
}

/** The kernel's list format: `0-3,8`. */
function parseCpuList(text: string): number[] {
  return text
    .trim()
    .split(',')
    .flatMap((range) => {
      const [first = NaN, last = first] = range.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });
}
