import { measureWindow } from './steady.js';
import type { Metrics, Pair, Settings } from './workload.js';

/** Verifies, warms up under the same load, and measures how long `count` operations take. */
export async function measureCounted(
  { server, client, pause, watch }: Pair,
  settings: Settings,
  count: number,
): Promise<Metrics> {
  await Promise.all([server.call('verify'), client.call('verify')]);
  await client.call('start');
  await server.call('start');
  await pause(settings.warmUp);
  await client.call('stop');
  await Promise.all([server.call('collectGarbage'), client.call('collectGarbage')]);
  const metrics = await measureWindow({ server, client, watch }, () =>
    client.call('complete', count),
  );
  return { ...metrics, seconds: metrics['elapsed'] };
}
