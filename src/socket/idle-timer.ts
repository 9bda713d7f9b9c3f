/** The idle timer behind `setTimeout`: never keeps the process running, restarted by every activity. */
import net from 'node:net';

/** The longest a timer can wait. */
const LONGEST = 2 ** 31 - 1;

/** Throws what `net` throws for these arguments, or warns as it does; the duration to use. */
function checkDuration(milliseconds: unknown, callback: unknown): number {
  const valid =
    typeof milliseconds === 'number' && milliseconds >= 0 && Number.isFinite(milliseconds);
  if (!valid || (callback !== undefined && typeof callback !== 'function')) {
    // A socket that nobody will ever see makes Node's own complaint.
    new net.Socket().setTimeout(milliseconds as number, callback as () => void).destroy();
  }
  const duration = milliseconds as number;
  if (duration <= LONGEST) return duration;
  process.emitWarning(
    `${duration} does not fit into a 32-bit signed integer.\nTimer duration was truncated to ${LONGEST}.`,
    'TimeoutOverflowWarning',
  );
  return LONGEST;
}

export class IdleTimer {
  private timer: NodeJS.Timeout | null = null;

  /** Returns the duration set, 0 for none. */
  set(milliseconds: unknown, callback: unknown, expired: () => void): number {
    const duration = checkDuration(milliseconds, callback);
    this.clear();
    if (duration > 0) this.timer = setTimeout(expired, duration).unref();
    return duration;
  }

  refresh(): void {
    this.timer?.refresh();
  }

  clear(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }
}
