import { echo } from './echo.js';
import { http } from './http.js';
import { ioredisWorkloads } from './ioredis.js';
import { novel } from './novel.js';
import { oneWay } from './one-way.js';
import { pgWorkloads } from './pg.js';
import { redisShaped } from './redis-shaped.js';
import { requests } from './requests.js';
import type { Workload } from './workload.js';

const KIB = 1024;
const MIB = 1024 * KIB;

const RELAYS = ['net-tcp', 'net-unix', 'relay-socat', 'relay-afunix'];
const BEHIND_HTTP = ['nginx-net-tcp', 'nginx-net-unix', 'nginx-afunix'];
const BEHIND_STREAM = ['nginx-stream-net-tcp', 'nginx-stream-net-unix', 'nginx-stream-afunix'];

/** The same workload in other company. */
function among(contenders: readonly string[], id: string, workload: Workload): Workload {
  const [row] = workload.rows;
  return { ...workload, id, family: id, point: {}, rows: [{ ...row, id }], contenders };
}

/** In flight as the published rate and median latency imply: 51,200/s times 0.28 ms. */
export const manyConnections = [requests(16), requests(1_000)];

export const pingPongAndThroughput = [
  echo(1),
  ...[4 * KIB, 16 * KIB, 64 * KIB, 512 * KIB, 2 * MIB, 16 * MIB, 32 * MIB].map((size) =>
    oneWay(size),
  ),
];

export const novels = [novel(1), novel(10)];

export const relays = [
  among(RELAYS, 'relay-echo-1', echo(1)),
  among(RELAYS, 'relay-echo-100', echo(100)),
  among(RELAYS, 'relay-one-way-64-kib', oneWay(64 * KIB)),
];

export const behindNginx = [
  among(BEHIND_HTTP, 'nginx-http', http),
  among(BEHIND_STREAM, 'nginx-redis-shaped', redisShaped),
];

/** What programs use that know nothing of it, with the servers that they were made for. */
export const libraries = [http, ...ioredisWorkloads, ...pgWorkloads];

/** Workloads that only presets run, or a run that asks for one of them by its whole name. */
export const presetWorkloads: readonly Workload[] = [
  ...manyConnections,
  ...pingPongAndThroughput,
  ...novels,
  ...relays,
  ...behindNginx,
  ...ioredisWorkloads,
  ...pgWorkloads,
];
