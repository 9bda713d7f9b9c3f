import { formatSeconds, formatValue } from '../units.js';
import { libraries } from '../workloads/preset-workloads.js';
import type { Preset } from './preset.js';

export const librariesPreset: Preset = {
  id: 'libraries',
  description:
    'http, pg and ioredis as they come: over net, over afunix by their hooks, by register',
  workloads: libraries,
  published: [],
  columns: [
    { metric: 'rate', title: 'rate', show: (value) => formatValue(value, 'requests/s') },
    { metric: 'latency.p50', title: 'p50', show: (value) => formatSeconds(value / 1e9) },
    { metric: 'latency.p99', title: 'p99', show: (value) => formatSeconds(value / 1e9) },
    {
      metric: 'clientCpuPerOperation',
      title: "client's CPU",
      show: (value) => formatSeconds(value),
    },
  ],
  notes: [
    "Redis and PostgreSQL share a core with the process that started them; their CPU is in nobody's figure.",
    'Latency is that of a turn: a whole pipeline, or all rows of a query.',
  ],
};
