import type { EventEmitter } from 'node:events';

/** Resolves with the first of these events, and leaves no listener behind. */
export function firstOf(emitter: EventEmitter, ...events: string[]): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      for (const event of events) emitter.off(event, done);
      resolve();
    };
    for (const event of events) emitter.on(event, done);
  });
}
