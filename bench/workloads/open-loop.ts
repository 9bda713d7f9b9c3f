import type { Connection } from '../contenders/contender.js';
import { Latency } from '../latency.js';
import { openConnections } from '../open-connections.js';
import { patternAt } from '../pattern.js';
import { takeSample } from '../sample.js';
import { formatSize, slug } from '../units.js';
import { echoServer } from './echo-server.js';
import { measureSteady, steadyCommands } from './steady.js';
import { endpointOf, type Role, type RoleContext, type Row, type Workload } from './workload.js';

const SIZE = 128;

/** Messages carry their number at the start, so that lost, repeated and reordered ones show. */
const NUMBER_BYTES = 4;

/** After this long without an answer, what is outstanding is lost. */
const QUIET_MS = 1_000;

/** More outstanding than this, and the other end is not slow but gone, or far too slow. */
const MOST_OUTSTANDING = 1_000_000;

interface Totals {
  answered: number;
  outstanding: number;
  lost: number;
  latency: Latency;
}

/** One connection: sends when it is told to, and matches what comes back with when it was due. */
class TimedConnection {
  /** When the messages that are outstanding were due, oldest at `first`. */
  private due: number[] = [];
  private first = 0;
  private nextNumber = 0;
  private pending: Buffer | undefined;

  constructor(
    private readonly connection: Connection,
    private readonly message: Buffer,
    private readonly totals: Totals,
  ) {
    connection.on('data', (chunk: Buffer) => this.consume(chunk));
  }

  send(dueAt: number): void {
    const message = Buffer.from(this.message);
    message.writeUInt32LE(this.nextNumber, 0);
    this.nextNumber = (this.nextNumber + 1) >>> 0;
    this.due.push(dueAt);
    this.totals.outstanding++;
    this.connection.write(message);
  }

  private consume(chunk: Buffer): void {
    const { length } = this.message;
    const bytes = this.pending ? Buffer.concat([this.pending, chunk]) : chunk;
    let offset = 0;
    for (; bytes.length - offset >= length; offset += length) this.answer(bytes, offset);
    this.pending = offset < bytes.length ? Buffer.from(bytes.subarray(offset)) : undefined;
  }

  private answer(bytes: Buffer, offset: number): void {
    const { totals, due } = this;
    const outstanding = due.length - this.first;
    const oldest = (this.nextNumber - outstanding) >>> 0;
    const skipped = (bytes.readUInt32LE(offset) - oldest) >>> 0;
    if (skipped >= outstanding) throw new Error('an answer came twice, late, or unasked for');
    this.first += skipped;
    totals.lost += skipped;
    totals.outstanding -= skipped + 1;
    totals.answered++;
    totals.latency.record(due[this.first++]);
    if (this.first > 1_024) {
      this.due = due.slice(this.first);
      this.first = 0;
    }
  }
}

async function client(context: RoleContext, size: number, rate: number): Promise<Role> {
  const { contender, settings, fail } = context;
  const endpoint = endpointOf(context);
  const sockets = await openConnections(settings.connections, () => contender.connect(endpoint));
  for (const socket of sockets) {
    socket.on('error', fail);
    socket.on('close', () => fail(new Error('a connection was closed')));
  }
  const message = patternAt(0, size);
  const totals: Totals = { answered: 0, outstanding: 0, lost: 0, latency: new Latency() };
  const connections = sockets.map((socket) => new TimedConnection(socket, message, totals));
  const interval = 1e3 / rate;
  let running = false;
  let sent = 0;
  let startedAt = 0;

  /** Sends what is due by now, late or not: the schedule does not wait for answers. */
  function pump(): void {
    const now = Latency.now();
    for (let dueAt = startedAt + sent * interval; dueAt <= now && running;) {
      connections[sent % connections.length].send(dueAt);
      sent++;
      dueAt = startedAt + sent * interval;
    }
    if (totals.outstanding > MOST_OUTSTANDING) {
      running = false;
      fail(new Error(`more than ${MOST_OUTSTANDING} messages are outstanding`));
    }
    if (running) setImmediate(pump); // A timer would be a millisecond off.
  }

  async function settle(): Promise<void> {
    for (let seen = -1; totals.outstanding > 0 && seen !== totals.answered;) {
      seen = totals.answered;
      const quietAt = Latency.now() + QUIET_MS;
      while (totals.outstanding > 0 && seen === totals.answered && Latency.now() < quietAt) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
    totals.lost += totals.outstanding;
  }

  return {
    commands: {
      ...steadyCommands({
        start: () => {
          running = true;
          startedAt = Latency.now();
          pump();
        },
        sample: () => takeSample(totals.answered, totals.answered * size),
        resetLatency: () => totals.latency.reset(),
        latency: () => totals.latency.summary(),
        stop: async () => {
          running = false;
          await settle();
          if (totals.lost > 0 && !contender.loses) {
            throw new Error(`${totals.lost} of ${sent} messages were lost`);
          }
        },
      }),
      sentAndLost: () => ({ sent, lost: totals.lost }),
    },
  };
}

/** Round trips at a given rate, timed from when each message was due, whether it left then or not. */
export function openLoop(rate: number, connections: number, messageSize = SIZE): Workload {
  if (messageSize < NUMBER_BYTES) throw new Error(`messages have at least ${NUMBER_BYTES} bytes`);
  const usual = messageSize === SIZE ? '' : `-${slug(formatSize(messageSize))}`;
  const id = `open-loop-${rate}-${connections}${usual}`;
  const load = `${rate.toLocaleString('en')}/s over ${connections.toLocaleString('en')} connection${connections === 1 ? '' : 's'}`;
  const row = (percentile: 'p50' | 'p99'): Row => ({
    id: percentile === 'p50' ? id : `${id}-${percentile}`,
    title: `latency at ${load}, ${percentile}`,
    headline: { metric: `latency.${percentile}`, unit: 'nanoseconds', better: 'lower' },
    compared: true,
  });
  return {
    id,
    description: `round trips of ${formatSize(messageSize)} at ${load}, timed from when they were due`,
    family: 'open-loop',
    point: { messageSize, connections, rate },
    onRequest: true,
    rows: [row('p50'), row('p99')],
    contenders: [
      ...['net-tcp', 'net-unix', 'afunix', 'afunix-epoll', 'afunix-busy-poll'],
      ...['selftest-delay', 'selftest-loss', 'selftest-pause', 'selftest-stall'],
    ],
    connections,
    secondsNeeded: ({ seconds }) => seconds,
    server: echoServer,
    client: (context) => client(context, messageSize, rate),
    measure: async (pair, settings) => {
      const metrics = await measureSteady(pair, settings);
      const { sent, lost } = await pair.client.call<{ sent: number; lost: number }>('sentAndLost');
      return { ...metrics, lostShare: lost / sent, sent };
    },
  };
}
