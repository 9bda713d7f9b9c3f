/** How long connecting may wait for room in a server's backlog. */
import { inspect } from 'node:util';
import { codedError } from './errors';

/** Milliseconds. */
const DEFAULT = 30_000;
/** What the engine counts in nanoseconds has to fit; this is 24 days. */
const LONGEST = 2 ** 31;

/** Of the option `connectTimeout`: milliseconds, as the engine takes them. */
export function connectPatience(given: unknown): number {
  const patience = given ?? DEFAULT;
  if (typeof patience === 'number' && patience >= 0) return Math.min(patience, LONGEST);
  throw codedError(
    RangeError,
    'ERR_OUT_OF_RANGE',
    `The value of "options.connectTimeout" is out of range. It must be a non-negative number of milliseconds. Received ${inspect(patience)}`,
  );
}
