import { callers } from './callers.js';
import { connectClose } from './connect-close.js';
import { crowd } from './crowd.js';
import { echo } from './echo.js';
import { descriptorPassing } from './descriptor-passing.js';
import { fanIn } from './fan-in.js';
import { http, httpBothEnds } from './http.js';
import { idleCpu } from './idle-cpu.js';
import { idleMemory } from './idle-memory.js';
import { messages } from './messages.js';
import { oneWay } from './one-way.js';
import { openLoop } from './open-loop.js';
import { redisShaped } from './redis-shaped.js';
import { threads } from './threads.js';
import { presetWorkloads } from './preset-workloads.js';
import type { Point, Workload } from './workload.js';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Every workload, in the order of the table. */
export const workloads: readonly Workload[] = [
  echo(1),
  echo(100),
  echo(1_000),
  oneWay(128),
  oneWay(4 * KIB),
  oneWay(64 * KIB),
  oneWay(1024 * KIB),
  messages(128),
  connectClose,
  callers,
  crowd,
  idleMemory,
  idleCpu,
  http,
  httpBothEnds,
  ...[1, 10, 100].map((connections) => onRequest(echo(connections, 4 * KIB))),
  onRequest(echo(10)),
  onRequest(messages(4 * KIB)),
  onRequest(oneWay(16 * KIB)),
  onRequest(oneWay(512 * KIB)),
  onRequest(oneWay(8 * MIB)),
  openLoop(5_000, 1),
  openLoop(50_000, 100),
  fanIn(10),
  fanIn(100),
  descriptorPassing,
  redisShaped,
  threads(1),
  threads(2),
];

/** Not in the table that everybody gets, but on the curves of a full run. */
function onRequest(workload: Workload): Workload {
  return { ...workload, onRequest: true };
}

/** Makes any point of a family. */
export const families: Record<string, (point: Point) => Workload> = {
  echo: ({ connections, messageSize }) => echo(connections ?? 1, messageSize),
  messages: ({ messageSize }) => messages(messageSize ?? 128),
  'one-way': ({ messageSize }) => oneWay(messageSize ?? 128),
  'open-loop': ({ rate, connections, messageSize }) =>
    openLoop(rate ?? 5_000, connections ?? 1, messageSize),
  'fan-in': ({ connections, messageSize }) => fanIn(connections ?? 10, messageSize),
};

/** A workload of the table or of a preset, or one made for a run; its processes make it again. */
export function workloadById(id: string, family?: string, point: Point = {}): Workload {
  const found =
    [...workloads, ...presetWorkloads].find((workload) => workload.id === id) ??
    (family === undefined ? undefined : families[family]?.(point));
  if (found?.id !== id) throw new Error(`no workload is called '${id}'`);
  return found;
}
