import { formatSeconds, formatValue } from '../units.js';
import { relays } from '../workloads/preset-workloads.js';
import type { Preset } from './preset.js';

export const relayPreset: Preset = {
  id: 'relay',
  description:
    'a relay from TCP to a Unix socket in the path (socat and ours), against going direct',
  workloads: relays,
  published: [],
  columns: [
    { metric: 'rate', title: 'rate', show: (value) => formatValue(value, 'messages/s') },
    { metric: 'latency.p50', title: 'p50', show: (value) => formatSeconds(value / 1e9) },
    { metric: 'latency.p99', title: 'p99', show: (value) => formatSeconds(value / 1e9) },
  ],
  notes: [
    "The server is node:net on a Unix socket each time. The relay shares the server's core; its CPU is in nobody's figure.",
  ],
};
