/**
 * The idle timer behind `setTimeout`: never keeps the process running, restarted by every activity.
 *
 * `node:http` sets and cancels it with every request. So activity only notes the moment, and a timer of Node's that was armed for no longer
 * than is needed now stays: when it fires, it is armed again for what is left.
 */
import { AsyncResource } from 'node:async_hooks';
import net from 'node:net';
import { now, thisMoment, type Moment } from '../engine/moment';
import { clearTimeout, setTimeout } from '../real-time';

/** The longest a timer can wait. */
const LONGEST = 2 ** 31 - 1;

/** Throws what `net` throws for it, or warns as it does; the duration to use. */
function checkDuration(milliseconds: unknown): number {
  const valid =
    typeof milliseconds === 'number' && milliseconds >= 0 && Number.isFinite(milliseconds);
  // A socket that nobody will ever see makes Node's own complaint.
  if (!valid) new net.Socket().setTimeout(milliseconds as number);
  const duration = milliseconds as number;
  if (duration <= LONGEST) return duration;
  process.emitWarning(
    `${duration} does not fit into a 32-bit signed integer.\nTimer duration was truncated to ${LONGEST}.`,
    'TimeoutOverflowWarning',
  );
  return LONGEST;
}

export class IdleTimer {
  /** Milliseconds; 0 for none. */
  private duration = 0;
  private active: Moment | null = null;
  /** Of the last `set`, where 'timeout' is told. */
  private context: AsyncResource | null = null;
  private timer: NodeJS.Timeout | null = null;
  private armedFor = 0;
  private readonly fire = (): void => this.onFired();

  constructor(private readonly expired: () => void) {}

  /** Returns the duration set, 0 for none. As with `net` the time runs before `callback` is found to be none. */
  set(milliseconds: unknown, callback: unknown): number {
    const duration = checkDuration(milliseconds);
    this.duration = duration;
    if (duration > 0) this.start();
    if (callback !== undefined && typeof callback !== 'function') {
      new net.Socket().setTimeout(0, callback as () => void);
    }
    return duration;
  }

  refresh(): void {
    if (this.duration === 0) return;
    // It has expired: as with `net`, what comes next is told where this happened.
    if (this.timer === null) this.start();
    else this.active = thisMoment();
  }

  clear(): void {
    this.duration = 0;
    this.context = null;
    this.disarm();
  }

  private start(): void {
    this.context = new AsyncResource('AFUNIXTIMEOUT');
    this.active = thisMoment();
    if (this.timer === null || this.armedFor > this.duration) this.arm(this.duration);
  }

  private arm(duration: number): void {
    this.disarm();
    this.armedFor = duration;
    this.timer = setTimeout(this.fire, duration).unref();
  }

  private disarm(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  private onFired(): void {
    this.timer = null;
    const { duration, active, context } = this;
    if (duration === 0 || active === null || context === null) return;
    const left = Math.min(duration, duration - (now() - active.at));
    // Timers count whole milliseconds.
    if (left >= 1) this.arm(Math.ceil(left));
    else context.runInAsyncScope(this.expired);
  }
}
