/** Readiness of raw sockets on this thread's event loop: who waits for what, and who holds the process. */
import { abortError, errnoException } from '../errors';
import { constants } from './constants';
import { requireAddon } from '../checks';
import { clearTimeout, setTimeout } from '../real-time';

const { POLLERR, POLLHUP, POLLNVAL } = constants;

/** Rows of a tag and events; the addon fills at most 64 at a time. */
const table = new Int32Array(2 * 64);
/** By tag, those that somebody waits for: they, and their descriptors, must not be collected. */
const armed = new Map<number, Readiness>();
let started = false;
let nextTag = 0;
let holders = 0;

function start(): void {
  if (started) return;
  const status = requireAddon('poll()').rawPollStart(table, tell);
  if (status < 0) throw errnoException(status, 'epoll_create1');
  started = true;
}

function tell(rows: number): void {
  for (let row = 0; row < rows; row += 1) {
    const tag = table[2 * row];
    armed.get(tag)?.tell(table[2 * row + 1]);
  }
}

/** Counts the waits that hold the process. */
function hold(more: number): void {
  const before = holders;
  holders += more;
  if ((before === 0) !== (holders === 0)) requireAddon('poll()').rawPollReference(holders > 0);
}

interface Waiter {
  readonly events: number;
  readonly resolve: (events: number) => void;
  readonly reject: (error: Error) => void;
  readonly patience: Patience;
}

export interface PollOptions {
  /** Rejects with ABORT_ERR when it is aborted. */
  signal?: AbortSignal;
  /** Milliseconds, 0 to 2,147,483,647; then it resolves with 0, as poll(2) does. 0: what is there now. Default: for ever. */
  timeout?: number;
}

/** How long somebody waits at most. */
class Patience {
  readonly #signal: AbortSignal | undefined;
  readonly #over: () => void;
  readonly #timer: NodeJS.Timeout | null;

  constructor(signal: AbortSignal | undefined, timeout: number | undefined, over: () => void) {
    this.#over = (): void => {
      this.end();
      over();
    };
    this.#signal = signal;
    this.#timer = timeout === undefined ? null : setTimeout(this.#over, timeout);
    signal?.addEventListener('abort', this.#over, { once: true });
  }

  /** Whether it holds the process. */
  hold(holds: boolean): void {
    if (holds) this.#timer?.ref();
    else this.#timer?.unref();
  }

  end(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#over);
  }
}

/** A descriptor, or somebody else's number for as long as it is open. */
interface Pollable {
  readonly fd: number;
}

/** What one descriptor is waited for. */
export class Readiness {
  readonly #descriptor: Pollable;
  /** Since its first wait it is in the set, until it is forgotten. */
  #tag = -1;
  #waiters: Waiter[] = [];
  #referenced = true;

  constructor(descriptor: Pollable) {
    this.#descriptor = descriptor;
  }

  wait(events: number, { signal, timeout }: PollOptions = {}): Promise<number> {
    if (signal?.aborted === true) return Promise.reject(abortError(signal));
    if (timeout === 0) return Promise.resolve(this.#now(events));
    return new Promise((resolve, reject) => {
      // Throws before anything is counted.
      this.#arm(events);
      const patience = new Patience(signal, timeout, () => {
        this.#leave(waiter);
        if (signal?.aborted === true) reject(abortError(signal));
        else resolve(this.#now(events));
      });
      const waiter: Waiter = {
        events,
        patience,
        resolve: (happened) => {
          patience.end();
          resolve(happened);
        },
        reject: (error) => {
          patience.end();
          reject(error);
        },
      };
      this.#waiters.push(waiter);
      patience.hold(this.#referenced);
      if (this.#referenced) hold(1);
    });
  }

  /** What poll(2) says without waiting. */
  #now(events: number): number {
    const happened = requireAddon('poll()').rawPollNow(this.#descriptor.fd, events);
    if (happened < 0) throw errnoException(happened, 'poll');
    return happened;
  }

  /** It waits no more. */
  #leave(waiter: Waiter): void {
    this.#waiters = this.#waiters.filter((other) => other !== waiter);
    this.#release(1);
    // What the kernel says yet is nobody's concern.
    if (this.#waiters.length === 0) armed.delete(this.#tag);
  }

  /** What the kernel said; this descriptor is disarmed now. */
  tell(happened: number): void {
    const always = POLLERR | POLLHUP;
    const still: Waiter[] = [];
    for (const waiter of this.#waiters) {
      const mine = happened & (waiter.events | always);
      if (mine === 0) still.push(waiter);
      else waiter.resolve(mine);
    }
    this.#release(this.#waiters.length - still.length);
    this.#waiters = still;
    armed.delete(this.#tag);
    if (still.length === 0) return;
    try {
      this.#arm(0);
    } catch (error) {
      this.#waiters = [];
      this.#release(still.length);
      for (const { reject } of still) reject(error as Error);
    }
  }

  setReferenced(referenced: boolean): void {
    if (this.#referenced === referenced) return;
    this.#referenced = referenced;
    for (const { patience } of this.#waiters) patience.hold(referenced);
    if (this.#waiters.length > 0) hold(referenced ? this.#waiters.length : -this.#waiters.length);
  }

  /** The descriptor is about to be closed or given away: whoever waits is told so, as poll(2) would. */
  forget(): void {
    if (this.#tag !== -1) {
      requireAddon('poll()').rawPollDisarm(this.#descriptor.fd);
      armed.delete(this.#tag);
      this.#tag = -1;
    }
    const waiters = this.#waiters;
    this.#waiters = [];
    this.#release(waiters.length);
    for (const { resolve } of waiters) resolve(POLLNVAL);
  }

  #arm(more: number): void {
    start();
    const events = this.#waiters.reduce((all, waiter) => all | waiter.events, more);
    const known = this.#tag !== -1;
    const tag = known ? this.#tag : (nextTag = (nextTag + 1) & 0x7fffffff);
    const status = requireAddon('poll()').rawPollArm(this.#descriptor.fd, events, tag, known);
    if (status < 0) throw errnoException(status, 'epoll_ctl');
    this.#tag = tag;
    armed.set(tag, this);
  }

  #release(count: number): void {
    if (count > 0 && this.#referenced) hold(-count);
  }
}
