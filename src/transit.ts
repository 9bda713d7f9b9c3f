/** Departure: a descriptor that has left its owner and has not got to the next one, as the thread sees it that sends it. */
import { Worker } from 'node:worker_threads';
import { requireAddon, wrongType } from './checks';
import type { Descriptor } from './descriptor';
import { errnoException } from './errors';

/** What transfer() returns: `T` is what a message has of it, the methods stay here. */
export type Departing<T> = T & {
  /**
   * For this worker, and nobody else: what it has not received when it ends is closed then. Before or after it is posted, or given as
   * `workerData`. Its `'exit'` has come: closed at once.
   */
  to(worker: Worker): Departing<T>;
  /** Takes it back and closes it, wherever its message is. Received already: nothing happens. */
  close(): void;
  [Symbol.dispose](): void;
};

const unposted = new FinalizationRegistry<number>((ticket) => {
  if (requireAddon('transfer()').recallUnposted(ticket) !== 0) return;
  process.emitWarning('What transfer() returned was collected without being sent; it is closed', {
    type: 'AfunixWarning',
    code: 'AFUNIX_UNCLAIMED_DESCRIPTOR',
  });
});

/** By worker, what is on its way there. */
const recipients = new WeakMap<Worker, number>();

function recipientFor(worker: Worker): number {
  const known = recipients.get(worker);
  if (known !== undefined) return known;
  const addon = requireAddon('transfer()');
  const recipient = addon.newRecipient();
  recipients.set(worker, recipient);
  // One listener, however much it is sent.
  worker.once('exit', () => addon.recipientEnded(recipient));
  return recipient;
}

export class Departure {
  readonly #ticket: number;
  #posted = false;
  #recipient: number | null = null;

  private constructor(ticket: number) {
    this.#ticket = ticket;
    // Whatever puts it into a message has to read it.
    Object.defineProperty(this, 'ticket', {
      enumerable: true,
      get: () => {
        this.#posted = true;
        requireAddon('transfer()').posted(ticket);
        return ticket;
      },
    });
    unposted.register(this, ticket);
  }

  /** Takes the descriptor over; it is owned all the while, whenever a worker is terminated. */
  static of<T extends object>(
    descriptor: Descriptor,
    fields: T,
  ): Departing<T & { readonly ticket: number }> {
    const ticket = requireAddon('transfer()').depart(descriptor.surrender());
    if (ticket < 0) throw errnoException(ticket, 'transfer');
    return Object.assign(new Departure(ticket), fields) as unknown as Departing<
      T & { readonly ticket: number }
    >;
  }

  /** The ticket, read without making a message of it, and whether there may be one. */
  static ticketOf(given: { readonly ticket: number }): { ticket: number; posted: boolean } {
    return given instanceof Departure
      ? { ticket: given.#ticket, posted: given.#posted }
      : { ticket: given.ticket, posted: true };
  }

  /** Of a receive() that failed: it is on its way again, to the same worker if there is one that it is for. */
  static giveBack(given: { readonly ticket: number }, descriptor: Descriptor): void {
    const { ticket, posted } = Departure.ticketOf(given);
    const addon = requireAddon('receive()');
    addon.departAgain(ticket, descriptor.surrender(), posted);
    if (given instanceof Departure && given.#recipient !== null) {
      addon.departTo(ticket, given.#recipient);
    }
  }

  to(worker: Worker): this {
    if (!(worker instanceof Worker)) throw wrongType('worker', 'an instance of Worker', worker);
    if (worker.threadId === -1) {
      this.close();
      return this;
    }
    this.#recipient = recipientFor(worker);
    requireAddon('transfer()').departTo(this.#ticket, this.#recipient);
    return this;
  }

  close(): void {
    requireAddon('transfer()').recall(this.#ticket);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
