import type { Latency } from '../latency.js';
import { takeSample } from '../sample.js';
import { steadyCommands } from './steady.js';
import type { Role } from './workload.js';

export interface Cycles {
  /** How many are under way at any moment. */
  readonly concurrency: number;
  readonly latency: Latency;
  /** What each transfers; 0 if it transfers nothing. */
  readonly bytes: number;
  /** Begins one, the `nth` of this load, and calls `over` when it has ended. */
  begin(nth: number, over: () => void): void;
}

/** The commands of a load of cycles: where one ends the next begins, until the load is stopped. */
export function cyclesCommands({ concurrency, latency, bytes, begin }: Cycles): Role['commands'] {
  let running = false;
  let begun = 0;
  let ended = 0;
  let onIdle: (() => void) | undefined;

  function cycle(): void {
    begin(begun++, () => {
      ended++;
      if (running) cycle();
      else if (ended === begun) onIdle?.();
    });
  }

  return steadyCommands({
    start: () => {
      running = true;
      for (let i = 0; i < concurrency; i++) cycle();
    },
    sample: () => takeSample(ended, ended * bytes),
    resetLatency: () => latency.reset(),
    latency: () => latency.summary(),
    stop: () =>
      new Promise<void>((resolve) => {
        onIdle = resolve;
        running = false;
      }),
  });
}
