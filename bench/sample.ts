import { performance } from 'node:perf_hooks';

/** What one process has done up to one moment. */
export interface Sample {
  /** Seconds on the monotonic clock. */
  at: number;
  /** CPU seconds of the whole process, user and system. */
  cpu: number;
  /** Operations completed: round trips, messages received, connections closed. */
  operations: number;
  /** Bytes received. */
  bytes: number;
}

/** CPU seconds per second between two samples of one process. */
export function cpuShare(from: Sample, to: Sample): number {
  return (to.cpu - from.cpu) / (to.at - from.at);
}

export function takeSample(operations = 0, bytes = 0): Sample {
  const { user, system } = process.cpuUsage();
  return { at: performance.now() / 1e3, cpu: (user + system) / 1e6, operations, bytes };
}
