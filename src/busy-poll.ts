/** Busy polling is counted in microseconds, everywhere. */
import { codedError } from './errors';

/** A second: longer than that isn't polling but burning. */
const LONGEST = 1_000_000;

/** The number of microseconds, or an error that names what was wrong with it. */
export function checkBusyPoll(name: string, value: unknown): number {
  if (typeof value === 'number' && value >= 0 && value <= LONGEST) return value;
  throw codedError(
    RangeError,
    'ERR_OUT_OF_RANGE',
    `The value of "${name}" is out of range. It must be microseconds from 0 to ${LONGEST}. Received ${String(value)}`,
  );
}
