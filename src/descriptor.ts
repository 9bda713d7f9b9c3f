/**
 * Descriptor: an open descriptor and the duty to close it. It knows nothing of what the descriptor is for; the casts, in
 * descriptor-casts.ts, give it to somebody who does.
 */
import { addHint, errnoException } from './errors';
import { checkDescriptor, requireAddon } from './checks';

const EBADF = -9;

/** The kernel's SCM_MAX_FD: as many as one message can bring. */
export const MAXIMUM_DESCRIPTORS = 253;

/** Whoever counts the descriptors that one connection has brought and that are still open. */
export interface Account {
  /** So many more are open; fewer if it is negative. */
  changeBy(count: number): void;
}

/** What outlives the object. */
interface Entry {
  readonly fd: number;
  account: Account | null;
}

/** Whose owner is gone: nobody else can close it any more. */
const unclaimed = new FinalizationRegistry<Entry>(({ fd, account }) => {
  account?.changeBy(-1);
  if (requireAddon('Descriptor').closeOwned(fd) !== 0) return;
  process.emitWarning(`Descriptor ${fd} was collected without being closed; it is closed now`, {
    type: 'AfunixWarning',
    code: 'AFUNIX_UNCLAIMED_DESCRIPTOR',
  });
});

export class Descriptor {
  #fd: number;
  /** Opened by somebody who may close it, too: Node does so for what `fs` opened in a worker. */
  readonly #foreign: boolean;
  #entry: Entry;

  /** Takes ownership of `fd`, an open descriptor. EBADF. */
  constructor(fd: number) {
    const addon = requireAddon('Descriptor');
    checkDescriptor('fd', fd);
    const status = addon.own(fd);
    if (status < 0) throw errnoException(status, 'fcntl');
    this.#fd = fd;
    this.#foreign = status === 1;
    this.#entry = { fd, account: null };
    unclaimed.register(this, this.#entry, this);
  }

  /** It counts there until it is closed, taken, given away or collected. @internal */
  countIn(account: Account): void {
    this.#entry.account = account;
    account.changeBy(1);
  }

  /** The number, still owned by this object; −1 once it is closed or taken. */
  get fd(): number {
    return this.#fd;
  }

  get closed(): boolean {
    return this.#fd === -1;
  }

  /** Closes it. Closed or taken already: nothing happens. */
  close(): void {
    const fd = this.#fd;
    if (fd === -1) return;
    this.#forget();
    requireAddon('Descriptor').closeOwned(fd);
  }

  /** Gives the number up: whoever calls has to close it. EBADF if it is closed or taken already. */
  take(): number {
    const fd = this.#fd;
    if (fd === -1) throw errnoException(EBADF, 'take');
    this.#forget();
    requireAddon('Descriptor').disown(fd);
    return fd;
  }

  /**
   * Gives the number to a function of the addon that takes it over from this thread: it is owned all the while, whenever a worker is
   * terminated.
   * @internal
   */
  surrender(): number {
    const fd = this.#fd;
    if (fd === -1) throw errnoException(EBADF, 'take');
    this.#forget();
    return fd;
  }

  /**
   * Gives the number to `use`, who owns it once that has returned; if it throws, it is this object's as before. It is owned by this
   * thread all the while, whenever a worker is terminated.
   * @internal
   */
  handOver<T>(use: (fd: number) => T): T {
    const addon = requireAddon('Descriptor');
    const fd = this.surrender();
    try {
      return use(fd);
    } catch (error) {
      // The addon may have taken it, and closed it.
      if (addon.disown(fd) === 0) this.#regain(fd);
      throw error;
    } finally {
      if (this.#fd === -1) addon.disown(fd);
    }
  }

  /**
   * Gives the number to `use`, and leaves it owned by this thread until somebody closes it by the addon's `closeOwned`. A number that
   * this library did not open is handed over.
   * @internal
   */
  entrust<T>(use: (fd: number, owned: boolean) => T): T {
    if (this.#foreign) return this.handOver((fd) => use(fd, false));
    const fd = this.surrender();
    try {
      return use(fd, true);
    } catch (error) {
      this.#regain(fd);
      throw error;
    }
  }

  /**
   * Gives the number to a handle of libuv's, which closes it when the thread ends: should it end meanwhile, exactly one of them closes it.
   * @internal
   */
  lend<T>(use: (fd: number) => T): T {
    const addon = requireAddon('Descriptor');
    const fd = this.#fd;
    const status = addon.lend(fd);
    if (status < 0) throw errnoException(status, 'take');
    this.#forget();
    try {
      return use(fd);
    } catch (error) {
      this.#regain(fd);
      throw error;
    } finally {
      if (this.#fd === -1) addon.disown(fd);
    }
  }

  /**
   * Another object that owns it, this one no longer. It is owned all the while: a worker may be terminated at any time.
   * @internal
   */
  move(): Descriptor {
    const fd = this.#fd;
    if (fd === -1) throw errnoException(EBADF, 'detach');
    this.#forget();
    return new Descriptor(fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #regain(fd: number): void {
    if (requireAddon('Descriptor').own(fd) < 0) return;
    this.#fd = fd;
    unclaimed.register(this, this.#entry, this);
    this.#entry.account?.changeBy(1);
  }

  #forget(): void {
    this.#fd = -1;
    unclaimed.unregister(this);
    this.#entry.account?.changeBy(-1);
  }
}

/** A number, or something that has one: what may be sent to another process, and stays the sender's. */
export function descriptorOf(name: string, value: unknown): number {
  const given =
    typeof value === 'object' && value !== null ? (value as { fd?: unknown }).fd : value;
  if (given === -1 && given !== value) {
    const error = errnoException(EBADF, 'fcntl');
    addHint(error, `${name} is closed, or its number was taken`);
    throw error;
  }
  return checkDescriptor(name, given);
}
