import { formatSeconds, formatValue } from '../units.js';
import { novels } from '../workloads/preset-workloads.js';
import type { Preset } from './preset.js';

const figure = (workload: string, contender: string, value: number) => ({
  workload,
  contender,
  metric: 'secondsForTen',
  value,
});

export const novelPreset: Preset = {
  id: 'novel',
  description:
    'the 66,000 lines of a novel echoed one by one, ten times over, by 1 and by 10 users',
  workloads: novels,
  published: [
    figure('novel-1', 'net-tcp', 22.9),
    figure('novel-1', 'net-unix', 6.0),
    figure('novel-10', 'net-tcp', 87.4),
    figure('novel-10', 'net-unix', 49.8),
  ],
  columns: [
    { metric: 'secondsForTen', title: 'ten times through', show: formatSeconds },
    { metric: 'rate', title: 'lines', show: (value) => formatValue(value, 'messages/s') },
  ],
  notes: [
    'Every user reads the book once, and the time is multiplied by ten. The lines are made up, as many and as long.',
  ],
};
