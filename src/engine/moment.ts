/**
 * When something happened, for whoever measures from it. Reading the clock costs as much as a good part of an event, so
 * all that happens in one batch of events has the same moment: that of the batch's end. It is never too early, and too
 * late by no more than the thread was busy with the batch, when no timer could have run.
 */
import { now } from '../real-time';

export { now };

export interface Moment {
  /** Milliseconds of `now()`; of a batch that is under way, Infinity. */
  at: number;
}

let inBatch = false;
/** Of the batch that is under way, if anybody has asked for it. */
let ofBatch: Moment | null = null;

export function batchBegins(): void {
  inBatch = true;
}

export function batchEnds(): void {
  inBatch = false;
  if (ofBatch === null) return;
  ofBatch.at = now();
  ofBatch = null;
}

export function thisMoment(): Moment {
  return inBatch ? (ofBatch ??= { at: Infinity }) : { at: now() };
}
