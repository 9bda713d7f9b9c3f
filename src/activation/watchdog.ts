/** The service manager's watchdog: sd_watchdog_enabled(3). */
import { shown, wrongType } from '../checks';
import { codedError, type SystemError } from '../errors';
import { send } from './notify';
import { clearInterval, setInterval } from '../real-time';

export interface WatchdogOptions {
  /**
   * Asked each time before the manager is told that all is well. If not, it is not told; in the end it acts. One that throws or whose promise
   * is rejected is not well, and a warning says so once.
   */
  healthy?: () => boolean | Promise<boolean>;
}

export interface Watchdog {
  /** Milliseconds between two signs of life: half of what the manager waits for one. */
  readonly interval: number;
  stop(): void;
  [Symbol.dispose](): void;
}

const LONGEST_INTERVAL = 2 ** 31 - 1;

/** Milliseconds between signs of life, or null if nobody waits for them. */
function wantedInterval(): number | null {
  const { WATCHDOG_USEC: value, WATCHDOG_PID: pid } = process.env;
  if (value === undefined || process.env['NOTIFY_SOCKET'] === undefined) return null;
  // Meant for a process further up.
  if (pid !== undefined && Number(pid) !== process.pid) return null;
  const microseconds = Number(value);
  if (!/^\d+$/.test(value) || microseconds === 0 || !Number.isSafeInteger(microseconds)) {
    throw codedError(
      Error,
      'ERR_AFUNIX_ACTIVATION',
      `WATCHDOG_USEC=${value}: must be a positive integer`,
    );
  }
  return Math.min(Math.max(Math.floor(microseconds / 2000), 1), LONGEST_INTERVAL);
}

/**
 * Tells the manager from now on, twice as often as it wants to know, that this thread's loop goes round and `healthy()` agrees; or null if no manager
 * wants to know (WATCHDOG_USEC and WATCHDOG_PID, sd_watchdog_enabled(3)). Its timer does not hold the process. Errors:
 * ERR_AFUNIX_ACTIVATION for variables that make no sense. If it cannot be told a warning is emitted, once.
 */
export function watchdog(options: WatchdogOptions = {}): Watchdog | null {
  const { healthy } = options;
  if (healthy !== undefined && typeof healthy !== 'function') {
    throw wrongType('options.healthy', 'of type function', healthy);
  }
  const interval = wantedInterval();
  if (interval === null) return null;
  let stopped = false;
  let asking = false;
  const warned = new Set<string>();
  const warn = (what: string, error: unknown): void => {
    if (warned.has(what)) return;
    warned.add(what);
    process.emitWarning(`${what}: ${error instanceof Error ? String(error) : shown(error)}`, {
      type: 'AfunixWarning',
      code: 'AFUNIX_WATCHDOG',
    });
  };
  const tell = (): void => {
    try {
      send({ watchdog: true }, 0);
    } catch (error) {
      // A queue that is full now has room for the next one.
      if ((error as SystemError).code !== 'EAGAIN') warn('the watchdog could not be told', error);
    }
  };
  const look = async (): Promise<void> => {
    // One that does not answer is not asked again, and not well.
    if (asking) return;
    asking = true;
    try {
      if (healthy === undefined || (await healthy())) {
        if (!stopped) tell();
      }
    } catch (error) {
      warn('the watchdog asked, and healthy() failed, which is not well', error);
    } finally {
      asking = false;
    }
  };
  const timer = setInterval(() => void look(), interval).unref();
  void look();
  const stop = (): void => {
    stopped = true;
    clearInterval(timer);
  };
  return { interval, stop, [Symbol.dispose]: stop };
}
