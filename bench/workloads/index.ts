import { connectClose } from './connect-close.js';
import { echo } from './echo.js';
import { http } from './http.js';
import { idleCpu } from './idle-cpu.js';
import { idleMemory } from './idle-memory.js';
import { oneWay } from './one-way.js';
import type { Workload } from './workload.js';

const KIB = 1024;

/** Every workload, in the order of the table. */
export const workloads: readonly Workload[] = [
  echo(1),
  echo(100),
  echo(1_000),
  oneWay('128 B', 128),
  oneWay('4 KiB', 4 * KIB),
  oneWay('64 KiB', 64 * KIB),
  oneWay('1 MiB', 1024 * KIB),
  connectClose,
  idleMemory,
  idleCpu,
  http,
];

export function workloadById(id: string): Workload {
  const found = workloads.find((workload) => workload.id === id);
  if (!found) throw new Error(`no workload is called '${id}'`);
  return found;
}
