/** An emitter that is told when somebody listens. */
import { EventEmitter } from 'node:events';

/** On the prototype, and not as overrides, so that the types are those of whatever EventEmitter the user's Node has. */
export function tellWhenListened<Emitter extends object>(
  prototype: Emitter,
  which: string,
  tell: (emitter: Emitter) => void,
): void {
  for (const name of ['on', 'addListener', 'prependListener'] as const) {
    const inherited = EventEmitter.prototype[name] as (...args: unknown[]) => unknown;
    Object.defineProperty(prototype, name, {
      value(this: Emitter, event: unknown, listener: unknown): Emitter {
        Reflect.apply(inherited, this, [event, listener]);
        if (event === which) tell(this);
        return this;
      },
      writable: true,
      configurable: true,
    });
  }
}
