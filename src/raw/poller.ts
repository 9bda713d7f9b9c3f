/** Readiness of raw sockets on this thread's event loop: who waits for what, and who holds the process. */
import { errnoException } from '../errors';
import { constants } from './constants';
import { requireAddon } from '../checks';

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
  readonly reject: (error: unknown) => void;
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

  wait(events: number): Promise<number> {
    return new Promise((resolve, reject) => {
      // Throws before anything is counted.
      this.#arm(events);
      this.#waiters.push({ events, resolve, reject });
      if (this.#referenced) hold(1);
    });
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
      for (const { reject } of still) reject(error);
    }
  }

  setReferenced(referenced: boolean): void {
    if (this.#referenced === referenced) return;
    this.#referenced = referenced;
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
