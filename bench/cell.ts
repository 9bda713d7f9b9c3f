import { rmSync } from 'node:fs';
import * as path from 'node:path';

import { Child } from './child.js';
import type { Contender, Endpoint } from './contenders/contender.js';
import type { Placement } from './cpu-placement.js';
import type { Inspection } from './inspection.js';
import { watchProcesses } from './watch.js';
import type { Metrics, OpenRequest, Pair, Settings, Workload } from './workloads/workload.js';

export interface CellResult {
  metrics: Metrics;
  counters: { server: unknown; client: unknown };
}

export interface CellRequest {
  workload: Workload;
  contender: Contender;
  settings: Settings;
  placement: Placement;
  directory: string;
  /** Seconds for starting, connecting, verifying and finishing, beside what is measured. */
  patience: number;
  /** Looks closely instead of timing. */
  inspection?: Inspection;
  signal: AbortSignal;
}

/**
 * Measures one workload over one contender, once, between two fresh processes. Rejects when
 * either of them fails, ends or stalls; both are gone when the promise settles.
 */
export async function runCell(request: CellRequest): Promise<CellResult> {
  const { workload, contender, settings, placement, directory, signal, patience, inspection } =
    request;
  const pinned = 'reason' in placement || workload.cores === 'any' ? undefined : placement;
  const launch = contender.launch(workload.nodeOptions ?? []);
  const server = new Child('server', launch, pinned?.server);
  const client = new Child('client', workload.clientProgram?.() ?? launch, pinned?.client);
  const socketPath = path.join(directory, 's.sock');

  function stop(reason: string): void {
    void server.kill(reason);
    void client.kill(reason);
  }
  const seconds = patience + settings.warmUp + workload.secondsNeeded(settings);
  const deadline = setTimeout(() => {
    const waiting = [...server.waitingFor(), ...client.waitingFor()].join(' and ') || 'its timer';
    stop(`no result after ${seconds} s, still waiting for ${waiting}`);
  }, seconds * 1e3);
  const onAbort = (): void => stop('interrupted');
  signal.addEventListener('abort', onAbort);

  try {
    const { id, load, family, point } = workload;
    const common = {
      workload: id,
      family,
      point,
      contender: contender.id,
      settings,
      socketPath,
      load,
    };
    const endpoint = await server.call<Endpoint>('open', {
      ...common,
      role: 'server',
    } satisfies OpenRequest);
    await client.call('open', { ...common, role: 'client', endpoint } satisfies OpenRequest);
    const metrics = await workload.measure(pairOf(server, client, inspection), settings);
    const counters = {
      server: await server.call('counters'),
      client: await client.call('counters'),
    };
    return { metrics, counters };
  } finally {
    clearTimeout(deadline);
    signal.removeEventListener('abort', onAbort);
    await Promise.all([server.kill(), client.kill()]);
    rmSync(socketPath, { force: true });
  }
}

function pairOf(server: Child, client: Child, inspection?: Inspection): Pair {
  return {
    server,
    client,
    /** Lets the processes work for a while, unless one of them fails first. */
    pause: async (seconds) => {
      let timer: NodeJS.Timeout | undefined;
      const elapsed = new Promise<void>((resolve) => (timer = setTimeout(resolve, seconds * 1e3)));
      await Promise.race([elapsed, server.failed, client.failed]).finally(() =>
        clearTimeout(timer),
      );
    },
    watch: async (measured) => {
      if (inspection) {
        return { perSecond: await inspection.watch(server, client, measured), shares: {} };
      }
      return watchProcesses({ server: server.pid, client: client.pid }, measured);
    },
  };
}
