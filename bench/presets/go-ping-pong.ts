import { formatSeconds, formatValue } from '../units.js';
import { pingPongAndThroughput } from '../workloads/preset-workloads.js';
import type { Preset } from './preset.js';

export const goPingPong: Preset = {
  id: 'go-ping-pong',
  description: '128-byte ping-pong, and one-way throughput from 4 KiB to 32 MiB',
  workloads: pingPongAndThroughput.map((workload) => ({
    ...workload,
    contenders: workload.contenders.filter((id) =>
      [
        'net-tcp',
        'net-unix',
        'afunix',
        'afunix-onread',
        'afunix-busy-poll',
        'go',
        'cpp-epoll',
        'cpp-spin',
      ].includes(id),
    ),
  })),
  published: [
    { workload: 'echo-1', contender: 'net-tcp', metric: 'latency.p50', value: 3_600 },
    { workload: 'echo-1', contender: 'net-unix', metric: 'latency.p50', value: 2_300 },
    { workload: 'one-way-512-kib', contender: 'net-tcp', metric: 'bytesPerSecond', value: 9.4e9 },
    { workload: 'one-way-512-kib', contender: 'net-unix', metric: 'bytesPerSecond', value: 10e9 },
  ],
  columns: [
    { metric: 'latency.p50', title: 'p50', show: (value) => formatSeconds(value / 1e9) },
    {
      metric: 'bytesPerSecond',
      title: 'throughput',
      show: (value) => formatValue(value, 'bytes/s'),
    },
  ],
  notes: [
    'Published for Go on metal, and by direction only besides: TCP ahead at 64 KiB, equal at 16 MiB and more.',
    'The published figures stand beside node:net over the same kind of socket.',
  ],
};
