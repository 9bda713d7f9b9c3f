/** Waiting until nothing happens any more. */
import type { Recorder } from './recorder';

/** So many turns of the loop without anything new are quiet. */
const QUIET_TURNS = 6;
/** So many milliseconds, if it sleeps. */
const QUIET_SLEEP = 2;
/** Nothing here takes longer, unless it never ends. */
const MOST_TURNS = 1_000;

export class Loop {
  /** Somebody waited in vain. */
  gaveUp = false;
  private turns = 0;
  private busyUntil = 0;
  private pending = 0;

  constructor(
    private readonly recorder: Recorder,
    private readonly way: 'sleeps' | 'turns',
  ) {}

  /** One turn of the loop. */
  async turn(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }

  /** Nothing is quiet for the next so many milliseconds. */
  expect(milliseconds: number): void {
    this.busyUntil = Math.max(this.busyUntil, performance.now() + milliseconds);
  }

  /** Something is under way that tells when it is done. */
  begin(): () => void {
    this.pending += 1;
    let over = false;
    return () => {
      if (!over) this.pending -= 1;
      over = true;
    };
  }

  /** Until nothing was noted for a while and nothing is expected. */
  async quiet(): Promise<void> {
    for (let quiet = 0; quiet < QUIET_TURNS; quiet += 1) {
      const known = this.recorder.count;
      if (this.way === 'sleeps' && quiet === 2) await sleep(QUIET_SLEEP);
      else await this.turn();
      this.turns += 1;
      if (this.turns > MOST_TURNS) {
        this.gaveUp = true;
        return;
      }
      const wait = this.busyUntil - performance.now();
      if (wait > 0) await sleep(Math.ceil(wait));
      if (this.recorder.count !== known || wait > 0 || this.pending > 0) quiet = -1;
    }
  }
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
