import { formatSeconds, formatValue } from '../units.js';
import { behindNginx } from '../workloads/preset-workloads.js';
import type { Preset } from './preset.js';

export const behindNginxPreset: Preset = {
  id: 'behind-nginx',
  description: 'HTTP and Redis-shaped requests through nginx to TCP, a Unix socket, and afunix',
  workloads: behindNginx,
  published: [],
  columns: [
    { metric: 'rate', title: 'requests', show: (value) => formatValue(value, 'requests/s') },
    { metric: 'latency.p50', title: 'p50', show: (value) => formatSeconds(value / 1e9) },
    { metric: 'latency.p99', title: 'p99', show: (value) => formatSeconds(value / 1e9) },
  ],
  notes: ["nginx has one worker, on the server's core; its CPU is in nobody's figure."],
};
