import type { LatencySummary } from '../latency.js';
import { cpuShare, type Sample } from '../sample.js';
import type { Commands, Metrics, Pair, Settings, Watched } from './workload.js';

/** What a process offers for a load that runs unchanged until it is stopped. */
export interface SteadyRole {
  /** Proves, before anything is timed, that every byte arrives once, intact and in order. */
  verify?(): Promise<void>;
  /** The clock does not run before it is over. */
  start?(): void | Promise<void>;
  sample(): Sample;
  /** Ends the load; gets what the server's `stop` returned, to compare totals. */
  stop?(peer: unknown): unknown;
  /** Latencies since the last `resetLatency`. */
  latency?(): LatencySummary;
  resetLatency?(): void;
}

export function steadyCommands(role: SteadyRole): Commands {
  return {
    verify: () => role.verify?.(),
    start: () => role.start?.(),
    stop: (peer) => role.stop?.(peer),
    openWindow: () => {
      role.resetLatency?.();
      return role.sample();
    },
    closeWindow: () => ({ sample: role.sample(), latency: role.latency?.() }),
  };
}

interface ClosedWindow {
  sample: Sample;
  latency?: LatencySummary;
}

/** Verifies, warms up, measures for a fixed time at the client, which is always the receiver. */
export async function measureSteady(
  { server, client, pause, watch }: Pair,
  settings: Settings,
): Promise<Metrics> {
  await Promise.all([server.call('verify'), client.call('verify')]);
  await Promise.all([server.call('collectGarbage'), client.call('collectGarbage')]);
  await client.call('start');
  await server.call('start');
  await pause(settings.warmUp);
  const metrics = await measureWindow({ server, client, watch }, () => pause(settings.seconds));
  await client.call('stop', await server.call('stop'));
  return metrics;
}

/** What both processes did during `measured`. Whoever watches is there before the window opens. */
export async function measureWindow(
  { server, client, watch }: Pick<Pair, 'server' | 'client' | 'watch'>,
  measured: () => Promise<unknown>,
): Promise<Metrics> {
  const both = <T>(command: string): Promise<[T, T]> =>
    Promise.all([server.call<T>(command), client.call<T>(command)]);
  let opened: [Sample, Sample] | undefined;
  let closed: [ClosedWindow, ClosedWindow] | undefined;
  const watched = await watch(async () => {
    opened = await both<Sample>('openWindow');
    await measured();
    closed = await both<ClosedWindow>('closeWindow');
  });
  if (!opened || !closed) throw new Error('nothing was measured while it was watched');
  return windowMetrics(opened, closed, watched);
}

/** Each process has its own window, so each rate is taken over its own elapsed time. */
function windowMetrics(
  [serverOpened, from]: [Sample, Sample],
  [serverClosed, { sample: to, latency }]: [ClosedWindow, ClosedWindow],
  watched: Watched,
): Metrics {
  const serverShare = cpuShare(serverOpened, serverClosed.sample);
  const clientShare = cpuShare(from, to);
  const elapsed = to.at - from.at;
  const rate = (to.operations - from.operations) / elapsed;
  if (!(rate > 0)) throw new Error('nothing was received while the clock was running');
  const metrics: Metrics = {
    rate,
    bytesPerSecond: (to.bytes - from.bytes) / elapsed,
    serverCpuPerOperation: serverShare / rate,
    clientCpuPerOperation: clientShare / rate,
    cpuPerOperation: (serverShare + clientShare) / rate,
    elapsed,
    ...watched.shares,
  };
  // By way of the rates: who watches begins and ends a little later than the window does.
  for (const [name, perSecond] of Object.entries(watched.perSecond)) {
    metrics[`${name}PerOperation`] = perSecond / rate;
  }
  if (latency) {
    for (const [name, value] of Object.entries<number>({ ...latency })) {
      metrics[`latency.${name}`] = value;
    }
  }
  return metrics;
}
