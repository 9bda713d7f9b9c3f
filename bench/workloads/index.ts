import { connectClose } from './connect-close.js';
import { echo } from './echo.js';
import { http } from './http.js';
import { idleCpu } from './idle-cpu.js';
import { idleMemory } from './idle-memory.js';
import { oneWay } from './one-way.js';
import type { Point, Workload } from './workload.js';

const KIB = 1024;

/** Every workload, in the order of the table. */
export const workloads: readonly Workload[] = [
  echo(1),
  echo(100),
  echo(1_000),
  oneWay(128),
  oneWay(4 * KIB),
  oneWay(64 * KIB),
  oneWay(1024 * KIB),
  connectClose,
  idleMemory,
  idleCpu,
  http,
];

/** Makes any point of a family. */
const families: Record<string, (point: Point) => Workload> = {
  echo: ({ connections, messageSize }) => echo(connections ?? 1, messageSize),
  'one-way': ({ messageSize }) => oneWay(messageSize ?? 128),
};

/** A workload of the table, or one that was made for a run; its processes make it again. */
export function workloadById(id: string, family?: string, point: Point = {}): Workload {
  const found =
    workloads.find((workload) => workload.id === id) ??
    (family === undefined ? undefined : families[family]?.(point));
  if (found?.id !== id) throw new Error(`no workload is called '${id}'`);
  return found;
}
