import { cpuShare, takeSample, type Sample } from '../sample.js';
import { echoServer } from './echo-server.js';
import { idleClient } from './idle-client.js';
import type { Metrics, Pair, Role, Settings, Workload } from './workload.js';

const CONNECTIONS = 100;
const SETTLING_SECONDS = 0.5;

interface IdleSample extends Sample {
  /** Times this process gave up its core by itself: once per wake-up. */
  wakeUps: number;
}

function withIdleSample(role: Role): Role {
  const idleSample = (): IdleSample => ({
    ...takeSample(),
    wakeUps: process.resourceUsage().voluntaryContextSwitches,
  });
  return { ...role, commands: { ...role.commands, idleSample } };
}

async function measure(
  { server, client, pause }: Pair,
  { connections, idleSeconds }: Settings,
): Promise<Metrics> {
  await client.call('connect', connections);
  await client.call('exchange');
  await Promise.all([server.call('collectGarbage'), client.call('collectGarbage')]);
  await pause(SETTLING_SECONDS);
  const sample = (): Promise<[IdleSample, IdleSample]> =>
    Promise.all([server.call<IdleSample>('idleSample'), client.call<IdleSample>('idleSample')]);
  const [serverFrom, clientFrom] = await sample();
  await pause(idleSeconds);
  const [serverTo, clientTo] = await sample();
  return {
    connections,
    serverCpuShare: cpuShare(serverFrom, serverTo),
    clientCpuShare: cpuShare(clientFrom, clientTo),
    serverWakeUpsPerSecond: wakeUpRate(serverFrom, serverTo),
    clientWakeUpsPerSecond: wakeUpRate(clientFrom, clientTo),
  };
}

function wakeUpRate(from: IdleSample, to: IdleSample): number {
  return (to.wakeUps - from.wakeUps) / (to.at - from.at);
}

/** CPU that the server burns while its connections are open and silent. */
export const idleCpu: Workload = {
  id: 'idle-cpu',
  description: `CPU of the server while ${CONNECTIONS} connections are open and silent`,
  family: 'idle-cpu',
  point: {},
  rows: [
    {
      id: 'idle-cpu',
      title: `CPU while idle, ${CONNECTIONS} connections`,
      headline: { metric: 'serverCpuShare', unit: 'cores', better: 'lower' },
      compared: false,
    },
  ],
  contenders: ['net-tcp', 'net-unix', 'afunix', 'afunix-epoll'],
  connections: CONNECTIONS,
  secondsNeeded: ({ idleSeconds }) => SETTLING_SECONDS + idleSeconds,
  server: async (context) => withIdleSample(await echoServer(context)),
  client: async (context) => withIdleSample(await idleClient(context)),
  measure,
};
