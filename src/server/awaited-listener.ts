/** AwaitedListener: where a listener will be once somebody knows to whom its file shall belong. Nothing is bound before. */
import type { ListeningPoint } from './listener';
import type { Place } from './place';
import { nextTick } from '../real-time';

export class AwaitedListener implements ListeningPoint {
  #closed = false;

  /** `open` is called with the place, or with why there is none, unless this was closed meanwhile. */
  constructor(place: Promise<Place>, open: (found: Place | Error) => void) {
    // In a tick of its own: what is thrown is no rejection of this promise.
    const settle = (found: Place | Error): void => {
      nextTick(() => {
        if (!this.#closed) open(found);
      });
    };
    place.then(settle, settle);
  }

  /** The question holds the process, as long as it takes. */
  setReferenced(): void {}

  descriptor(): number {
    return -1;
  }

  share(): void {}

  close(): void {
    this.#closed = true;
  }

  finish(finished: () => void): void {
    this.close();
    nextTick(finished);
  }
}
