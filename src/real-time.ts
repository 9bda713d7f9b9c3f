/**
 * Ticks, timers and the clock as they were when this was loaded. Programs under test replace them, and what was put off until then may never be
 * done: what is written has to leave all the same, and `net`'s time-outs do not heed a clock that is not real either.
 */
import { performance } from 'node:perf_hooks';
import timers from 'node:timers';

export const { nextTick } = process;
export const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate } = timers;

/** Monotonic milliseconds. */
export const now: () => number = performance.now.bind(performance);
