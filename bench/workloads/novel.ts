import type { Connection } from '../contenders/contender.js';
import { openConnections } from '../open-connections.js';
import { takeSample } from '../sample.js';
import { measureCounted } from './counted.js';
import { echoServer } from './echo-server.js';
import { novelLines } from './novel-text.js';
import { steadyCommands } from './steady.js';
import {
  endpointOf,
  type Metrics,
  type Role,
  type RoleContext,
  type Workload,
} from './workload.js';

/** The published figures are of ten times through; one is measured, and multiplied. */
const PUBLISHED_PASSES = 10;

interface Totals {
  lines: number;
  bytes: number;
  running: boolean;
  /** Readers that are under way. */
  active: number;
  onIdle?(): void;
}

/** One user: sends a line, waits for it to come back, compares it, and goes on to the next. */
class User {
  private next = 0;
  private until = 0;
  private received = 0;

  constructor(
    private readonly connection: Connection,
    private readonly lines: readonly Buffer[],
    private readonly totals: Totals,
  ) {
    connection.on('data', (chunk: Buffer) => this.consume(chunk));
  }

  /** From the first line on, so many of them, or until told to stop. */
  read(count: number): void {
    this.totals.active++;
    this.next = 0;
    this.until = count;
    this.connection.write(this.lines[0]);
  }

  private consume(chunk: Buffer): void {
    const { lines, totals } = this;
    const line = lines[this.next % lines.length];
    const end = this.received + chunk.length;
    if (end > line.length || !chunk.equals(line.subarray(this.received, end))) {
      throw new Error(`line ${this.next} came back changed`);
    }
    this.received = end;
    if (end < line.length) return;
    this.received = 0;
    totals.lines++;
    totals.bytes += end;
    this.next++;
    if (totals.running && this.next < this.until) {
      this.connection.write(lines[this.next % lines.length]);
    } else if (--totals.active === 0) totals.onIdle?.();
  }
}

async function client(context: RoleContext): Promise<Role> {
  const { contender, settings, fail } = context;
  const endpoint = endpointOf(context);
  const sockets = await openConnections(settings.connections, () => contender.connect(endpoint));
  for (const socket of sockets) socket.on('error', fail);
  const totals: Totals = { lines: 0, bytes: 0, running: false, active: 0 };
  const lines = novelLines();
  const users = sockets.map((socket) => new User(socket, lines, totals));

  function start(count: number): void {
    totals.running = true;
    for (const user of users) user.read(count);
  }
  function idle(): Promise<void> {
    return new Promise((resolve) => {
      totals.onIdle = resolve;
      if (totals.active === 0) resolve();
    });
  }

  return {
    commands: {
      ...steadyCommands({
        start: () => start(Infinity),
        sample: () => takeSample(totals.lines, totals.bytes),
        stop: () => {
          totals.running = false;
          return idle();
        },
      }),
      complete: (passes) => {
        start((passes as number) * lines.length);
        return idle();
      },
    },
  };
}

/** A book echoed line by line by so many users; every line is compared. */
export function novel(users: number): Workload {
  const id = `novel-${users}`;
  const who = users === 1 ? '1 user' : `${users} users`;
  return {
    id,
    description: `66,000 lines (3.2 MB) echoed one by one, by ${who}`,
    family: 'novel',
    point: { connections: users },
    onRequest: true,
    rows: [
      {
        id,
        title: `a novel ten times, ${who}`,
        headline: { metric: 'secondsForTen', unit: 'seconds', better: 'lower' },
        compared: true,
      },
    ],
    contenders: [
      'net-tcp',
      'net-unix',
      'afunix',
      'afunix-epoll',
      ...(users === 1 ? ['afunix-busy-poll'] : []),
    ],
    connections: users,
    secondsNeeded: () => 8 + 2 * users,
    server: echoServer,
    client,
    measure: async (pair, settings): Promise<Metrics> => {
      const metrics = await measureCounted(pair, settings, 1);
      return { ...metrics, secondsForTen: PUBLISHED_PASSES * metrics['seconds'] };
    },
  };
}
