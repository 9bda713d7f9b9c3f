/** What was seen of a program, in the order in which it was seen; each socket has a lane of its own. */

export interface Entry {
  readonly lane: string;
  /** An event or a callback, or what somebody did and what it returned. */
  readonly kind: 'event' | 'action';
  readonly text: string;
  /** What the socket told about itself then. */
  readonly state: string;
  /** The lane's entry before came in the same tick. */
  readonly sameTick: boolean;
  /** Seen in a callback of setImmediate(), or because of what one did. */
  readonly immediate: boolean;
}

export interface Recording {
  readonly entries: readonly Entry[];
  /** More was under way than a socket's queue holds for certain, so that what waits when is up to the kernel. */
  readonly bulk: boolean;
}

/** A program that goes on for ever is stopped, and is not worth more memory than this. */
const MOST_ENTRIES = 2_000;

export class Recorder {
  readonly entries: Entry[] = [];
  bulk = false;
  /** What is noted now is seen in a callback of setImmediate(). */
  private immediate = false;
  private readonly ticking = new Set<string>();
  private over = false;

  /** One more entry. `state` is asked for only if it is kept. */
  note(lane: string, kind: Entry['kind'], text: string, state: () => string = () => ''): void {
    if (this.over) return;
    if (this.entries.length >= MOST_ENTRIES) {
      this.over = true;
      return;
    }
    const sameTick = this.ticking.has(lane);
    if (!sameTick) {
      this.ticking.add(lane);
      process.nextTick(() => this.ticking.delete(lane));
    }
    this.entries.push({ lane, kind, text, state: state(), sameTick, immediate: this.immediate });
  }

  inImmediate(run: () => void): void {
    this.immediate = true;
    try {
      run();
    } finally {
      this.immediate = false;
    }
  }

  /** What happens from now on is not seen. */
  stop(): void {
    this.over = true;
  }

  get count(): number {
    return this.entries.length;
  }

  recording(): Recording {
    return { entries: this.entries, bulk: this.bulk };
  }
}
