import type { Connection, Endpoint } from '../contenders/contender.js';
import { Latency } from '../latency.js';
import type { RealServer } from '../real-servers.js';
import { takeSample } from '../sample.js';
import type { Unit } from '../units.js';
import { measureSteady, steadyCommands } from './steady.js';
import { endpointOf, type Role, type RoleContext, type Workload } from './workload.js';

/** Somebody else's client library at work, over connections of the contender's, with the server that it was made for. */
export interface LibraryLoad {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly unit: Unit;
  /** Each has one turn outstanding. */
  readonly clients: number;
  /** What one turn is, in operations. */
  readonly operationsPerTurn: number;
  /** Why it cannot run here; nothing if it can. */
  missing(): string | undefined;
  start(socketPath: string): Promise<RealServer>;
  /** Makes one client of the library; what it returns does one turn and throws if an answer is wrong. */
  open(connect: () => Connection, endpoint: Endpoint): Promise<() => Promise<void>>;
}

const VERIFIED_TURNS = 3;

async function server(context: RoleContext, load: LibraryLoad): Promise<Role> {
  const { endpoint, close } = await load.start(context.socketPath);
  return { endpoint, commands: { ...steadyCommands({ sample: takeSample }), close } };
}

async function client(context: RoleContext, load: LibraryLoad): Promise<Role> {
  const { contender, settings, fail } = context;
  const endpoint = endpointOf(context);
  const latency = new Latency();
  let operations = 0;
  let running = false;
  let rounds: Promise<unknown> = Promise.resolve();
  const turns: (() => Promise<void>)[] = [];
  for (let i = 0; i < settings.connections; i++) {
    turns.push(await load.open(() => contender.connect(endpoint), endpoint));
  }

  async function drive(turn: () => Promise<void>): Promise<void> {
    while (running) {
      const startedAt = Latency.now();
      await turn();
      latency.record(startedAt);
      operations += load.operationsPerTurn;
    }
  }

  return {
    commands: steadyCommands({
      verify: async () => {
        for (let i = 0; i < VERIFIED_TURNS; i++) await Promise.all(turns.map((turn) => turn()));
      },
      start: () => {
        running = true;
        rounds = Promise.all(turns.map(drive));
        rounds.catch(fail);
      },
      sample: () => takeSample(operations),
      resetLatency: () => latency.reset(),
      latency: () => latency.summary(),
      stop: async () => {
        running = false;
        await rounds;
      },
    }),
  };
}

/** The client's end alone is the contender's; the server is the same for all of them, and its CPU is in nobody's figure. */
export function libraryWorkload(load: LibraryLoad): Workload {
  const { id, title, unit } = load;
  return {
    id,
    description: load.description,
    family: id,
    point: {},
    onRequest: true,
    needs: () => load.missing(),
    rows: [{ id, title, headline: { metric: 'rate', unit, better: 'higher' }, compared: true }],
    contenders: ['net-unix', 'afunix', 'afunix-epoll', 'afunix-register'],
    connections: load.clients,
    secondsNeeded: ({ seconds }) => seconds + 5,
    server: (context) => server(context, load),
    client: (context) => client(context, load),
    measure: async (pair, settings) => {
      const metrics = await measureSteady(pair, settings);
      await pair.server.call('close');
      return metrics;
    },
  };
}
