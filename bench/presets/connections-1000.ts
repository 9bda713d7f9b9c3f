import { formatSeconds, formatShare, formatSize, formatValue } from '../units.js';
import { manyConnections } from '../workloads/preset-workloads.js';
import type { Preset, Published } from './preset.js';

const figures = (contender: string, values: Record<string, number>): Published[] =>
  Object.entries(values).map(([metric, value]) => ({
    workload: 'requests-16',
    contender,
    metric,
    value,
  }));

export const connections1000: Preset = {
  id: 'connections-1000',
  description:
    '1,000 connections and 100,000 requests: latency, rate, time in the kernel, allocation',
  workloads: manyConnections,
  method: { inspect: true },
  published: [
    ...figures('net-tcp', {
      'latency.p50': 0.41e6,
      'latency.p99': 1.9e6,
      rate: 38_400,
      serverSystemShare: 0.18,
    }),
    ...figures('net-unix', {
      'latency.p50': 0.28e6,
      'latency.p99': 1.1e6,
      rate: 51_200,
      serverSystemShare: 0.09,
    }),
  ],
  columns: [
    { metric: 'latency.p50', title: 'p50', show: (value) => formatSeconds(value / 1e9) },
    { metric: 'latency.p99', title: 'p99', show: (value) => formatSeconds(value / 1e9) },
    { metric: 'rate', title: 'requests', show: (value) => formatValue(value, 'requests/s') },
    { metric: 'serverSystemShare', title: 'CPU in the kernel', show: formatShare },
    {
      metric: 'serverHeapAllocatedPerOperation',
      title: 'heap per request',
      show: (value) => formatSize(Math.round(value)),
    },
  ],
  notes: [
    'The published rate and median latency together mean about 15 requests in flight, so 16 are here; the other workload has one on each connection.',
    'Published: the share of CPU "in system calls". Ours: of the server process, system time of all its time.',
    'Allocation is of JavaScript objects in the server process; no figure was published.',
  ],
};
