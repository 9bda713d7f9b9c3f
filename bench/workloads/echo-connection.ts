import type { Connection } from '../contenders/contender.js';
import { Latency } from '../latency.js';
import { checkPattern, patternAt } from '../pattern.js';

/** What the connections of one echo client share. */
export interface EchoTotals {
  roundTrips: number;
  /** What is sent. */
  message: Buffer;
  /** Messages that have been sent and have not come back. */
  outstanding: number;
  /** Messages that may still be sent: without end until the load is stopped. */
  remaining: number;
  latency: Latency;
  /** Every how many round trips one is timed: timing costs about as much as a syscall saves. */
  timedEvery: number;
  untilTimed: number;
  /** Whose turn it is, where not every connection has a message outstanding all the time. */
  next?(): EchoConnection;
  onIdle(): void;
}

/** One connection that keeps exactly one message outstanding. */
export class EchoConnection {
  /** Whether a message is on its way. */
  busy = false;
  private received = 0;
  private startedAt = 0;
  private consume: (chunk: Buffer) => void = (chunk) => this.consumeTimed(chunk);

  constructor(
    private readonly socket: Connection,
    private readonly totals: EchoTotals,
    fail: (error: unknown) => void,
  ) {
    socket.on('data', (chunk: Buffer) => this.consume(chunk));
    socket.on('error', fail);
    socket.on('close', () => fail(new Error('a connection was closed')));
  }

  /** Sends `count` different messages, one at a time, and checks every byte that comes back. */
  verify(index: number, count: number): Promise<void> {
    const { length } = this.totals.message;
    const first = index * count * length;
    const last = first + count * length;
    let offset = first;
    return new Promise((resolve) => {
      this.consume = (chunk) => {
        checkPattern(chunk, offset);
        offset += chunk.length;
        if (offset > last || offset % length) return;
        if (offset < last) return void this.socket.write(patternAt(offset, length));
        this.consume = (timed) => this.consumeTimed(timed);
        resolve();
      };
      this.socket.write(patternAt(offset, length));
    });
  }

  send(): void {
    const { totals } = this;
    if (--totals.untilTimed === 0) {
      totals.untilTimed = totals.timedEvery;
      this.startedAt = Latency.now();
    }
    totals.remaining--;
    totals.outstanding++;
    this.busy = true;
    this.socket.write(totals.message);
  }

  private consumeTimed(chunk: Buffer): void {
    const { totals } = this;
    this.received += chunk.length;
    if (this.received < totals.message.length) return;
    if (this.received > totals.message.length) throw new Error('more came back than was sent');
    this.received = 0;
    if (this.startedAt !== 0) {
      totals.latency.record(this.startedAt);
      this.startedAt = 0;
    }
    totals.roundTrips++;
    totals.outstanding--;
    this.busy = false;
    if (totals.remaining > 0) (totals.next?.() ?? this).send();
    else if (totals.outstanding === 0) totals.onIdle();
  }
}
