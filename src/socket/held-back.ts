/**
 * What a connection holds back: descriptors that would be more than its user may have open, and whatever came behind them. It is told, in order,
 * when there is room; until then nothing is read.
 */
import type { Descriptor } from '../descriptor';
import { closeAll } from '../descriptor-sending';
import { setImmediate } from '../real-time';

export interface HeldBack {
  /** Whether it may be told now; without it, as soon as what is in front of it was told. */
  mayBeTold?: () => boolean;
  readonly tell: () => void;
  readonly descriptors?: readonly Descriptor[];
  /** The bytes of it. */
  readonly bytes?: Buffer;
}

export class HeldBackQueue {
  private queue: HeldBack[] = [];
  private scheduled = false;

  /** `over` is called when nothing is held back any more, before the last of it is told. */
  constructor(private readonly over: () => void) {}

  push(one: HeldBack): void {
    this.queue.push(one);
  }

  /** There may be room. */
  goOn(): void {
    if (this.scheduled || this.queue.length === 0) return;
    this.scheduled = true;
    // A turn for each: ticks and promises run in between, as between two events that come from the engine.
    setImmediate(() => {
      this.scheduled = false;
      const [first] = this.queue;
      if (first === undefined || first.mayBeTold?.() === false) return;
      this.queue.shift();
      if (this.queue.length > 0) this.goOn();
      else this.over();
      first.tell();
    });
  }

  /** Nothing of it will be told. Its bytes, which are whoever's goes on with the connection. */
  take(): Buffer[] {
    const taken = this.queue;
    this.queue = [];
    for (const { descriptors } of taken) if (descriptors !== undefined) closeAll(descriptors);
    return taken.flatMap(({ bytes }) => (bytes === undefined ? [] : [bytes]));
  }
}
