/**
 * Inbox: what stands between the engine and whoever reads a socket: 'message' listeners, an iterator of batches, or a ring. It
 * keeps what was received and could not be told yet, decides when to read on, and lets the end, or the error, wait until
 * everything before it was told.
 *
 * Users' code runs in the middle of telling: it may pause, destroy the socket, begin to iterate, or throw. What has not
 * been told by then is kept.
 */
import { chunkFrom } from '../engine/chunks';
import { dropAncillary, type AncillaryOfBatch } from './ancillary';
import { giveArea, giveAreaOf, takeArea } from './areas';
import { borrowedBatch, MessageInfo, ownedBatch, type MessageBatch } from './batch';
import { FLAGS, FULL_LENGTHS, LENGTHS, messageMemory, OFFSETS, received } from './memory';
import { nextTick } from '../real-time';

/**
 * Messages; the end only, if nothing is in front of it; nothing until the user has closed descriptors of what came before; nothing.
 */
export type Attention = 'read' | 'watch' | 'held' | 'none';

export interface InboxOwner {
  /** Whether anybody listens to 'message'. */
  listened(): boolean;
  /** False: nobody listens. */
  tell(message: Buffer, info: MessageInfo): boolean;
  /** What of the connection is of interest now. */
  attend(attention: Attention): void;
  readInto(area: Uint8Array | undefined): void;
  /** Everything was told. */
  over(error: Error | null): void;
}

/** Takes messages away without telling them, as a ring does. */
export interface Sink {
  /** Where the next ones shall be received; null: nowhere now, and `inbox.poured()` follows. */
  readonly place: Uint8Array | null;
  /** They lie in its place. */
  take(first: number, count: number): void;
  /** Messages that were received before, from this one on; the first that there was no room for. */
  put(batch: MessageBatch, from: number): number;
  over(error: Error | null): void;
}

export type BatchMemory = 'owned' | 'borrowed';

/** Of the table of received messages; `next` is the first that was not told. */
interface Rows {
  readonly first: number;
  next: number;
  readonly end: number;
  readonly ancillary: AncillaryOfBatch;
}

interface Waiter {
  resolve(result: IteratorResult<MessageBatch, undefined>): void;
  reject(error: Error): void;
}

/** Batches that may wait for whoever iterates before reading stops. */
const QUEUED = 2;
/** Borrowed ones that there may be at a time: one at its user's, one that waits. */
const LENT = 2;

const NOWHERE = Buffer.alloc(0);
const DONE = { done: true, value: undefined } as const;

export class Inbox {
  private paused = false;
  /** Messages that nobody listens to are thrown away, because somebody said so. */
  private discards = false;
  private dead = false;
  private queue: MessageBatch[] = [];
  /** Messages of the first batch in the queue that were told. */
  private told = 0;
  private telling = false;
  private rows: Rows | null = null;
  private leaving = false;
  private scheduled = false;
  private roomLookedFor = false;
  /** Nothing more will come. */
  private end: { readonly error: Error | null } | null = null;
  private endTold = false;
  private iterating: BatchMemory | null = null;
  private waiters: Waiter[] = [];
  private filling: Buffer | null = null;
  private lent = 0;
  private current: MessageBatch | null = null;
  private sink: Sink | null = null;

  constructor(private readonly owner: InboxOwner) {}

  /** Somebody reads, or has said that they will go on. */
  get attended(): boolean {
    return this.paused || this.discards || this.isTaken || this.owner.listened();
  }

  /** By an iterator or a ring; 'message' is not emitted. */
  get isTaken(): boolean {
    return this.iterating !== null || this.sink !== null;
  }

  get isPaused(): boolean {
    return this.paused;
  }

  /** Messages may be told now. */
  private get flows(): boolean {
    if (this.paused || this.dead || this.leaving || this.isTaken) return false;
    return this.discards || this.owner.listened();
  }

  /** Messages that were received and not told yet. */
  get waiting(): number {
    return this.queue.reduce((sum, batch) => sum + batch.length, -this.told);
  }

  pause(): void {
    this.paused = true;
    this.update();
  }

  resume(): void {
    this.paused = false;
    if (!this.isTaken && !this.owner.listened()) this.discards = true;
    this.update();
    this.tellSoon();
  }

  /** Somebody listens to 'message' from now on. */
  listen(): void {
    this.update();
    this.tellSoon();
  }

  /** Messages arrived: rows of the table, in whatever memory this inbox had asked for. */
  take(first: number, count: number, ancillary: AncillaryOfBatch): void {
    if (this.sink !== null) {
      dropAncillary(ancillary, first);
      this.sink.take(first, count);
      this.owner.readInto(this.sink.place ?? NOWHERE);
    } else if (this.iterating !== null) {
      this.queue.push(this.batchOf(first, count, ancillary));
      this.serveWaiters();
    } else if (this.flows && this.queue.length === 0 && !this.telling) {
      this.tellRows(first, first + count, ancillary);
    } else {
      this.queue.push(this.batchOf(first, count, ancillary));
    }
    this.update();
  }

  /** Nothing will come any more, because the other end has ended or for this reason. */
  finish(error: Error | null): void {
    this.end ??= { error };
    this.update();
    this.tellEnd();
  }

  /** The end, if it is known already and was not told, is this error; otherwise the engine will say so. */
  endsWith(error: Error): void {
    if (this.end !== null && !this.endTold) this.end = { error: this.end.error ?? error };
  }

  /** The socket is gone; who waits is told. `byUser`: and what an iterator has handed out is not looked at any more, either. */
  abandon(error: Error | null, byUser: boolean): void {
    if (byUser && this.end === null) this.current?.closeDescriptors();
    this.dead = true;
    this.end ??= { error };
    this.endTold = true;
    for (const batch of this.queue) batch.release();
    this.queue = [];
    this.told = 0;
    this.sink?.over(error);
    this.sink = null;
    this.serveWaiters();
    this.giveFilling();
  }

  // 'message'

  private tellRows(first: number, end: number, ancillary: AncillaryOfBatch): void {
    const memory = messageMemory();
    const rows = { first, next: first, end, ancillary };
    this.rows = rows;
    this.telling = true;
    try {
      while (rows.next < end && this.flows) {
        const row = rows.next++;
        const beside = ancillary === null ? null : ancillary[row - first];
        if (beside !== null && this.owner.listened()) {
          if (!beside.fits()) {
            // It waits, and so does what is behind it.
            rows.next = row;
            break;
          }
          beside.admit();
        }
        this.tell(
          chunkFrom(memory, received[OFFSETS + row], received[LENGTHS + row]),
          new MessageInfo(received[FULL_LENGTHS + row], received[FLAGS + row], beside),
        );
      }
    } finally {
      this.telling = false;
      this.rows = null;
      if (rows.next < end) {
        if (this.dead) {
          dropAncillary(ancillary?.slice(rows.next - first) ?? null, rows.next);
        } else {
          this.queueRest(rows);
          this.afterTelling();
        }
      } else {
        // What was told may have been the reason for an end.
        this.tellEnd();
      }
    }
  }

  /** What of the rows that are being told was not told is the first of the queue. */
  private queueRest(rows: Rows): void {
    const { first, next, end, ancillary } = rows;
    if (next === end) return;
    rows.next = end;
    const rest = ancillary?.slice(next - first) ?? null;
    this.queue.unshift(ownedBatch(messageMemory(), next, end - next, rest));
  }

  /** The connection goes on elsewhere: nothing is told any more, and what comes yet is kept for `takeAll`. */
  leave(): void {
    this.leaving = true;
  }

  /** It stays after all. */
  stay(): void {
    this.leaving = false;
    this.update();
    this.tellSoon();
  }

  /** What was received and not told, for whoever goes on with the connection. */
  takeAll(): MessageBatch[] {
    if (this.rows !== null) this.queueRest(this.rows);
    this.dropTold();
    const all = this.queue.map((batch) => batch.toOwned());
    this.queue = [];
    return all;
  }

  /** It begins with these. */
  beginWith(batches: readonly MessageBatch[]): void {
    this.queue.push(...batches);
    this.update();
    this.tellSoon();
  }

  private tellQueue(): void {
    if (this.telling) return;
    this.telling = true;
    try {
      while (this.flows) {
        const [batch] = this.queue;
        if (batch === undefined || this.isHeldUp) break;
        const index = this.told++;
        // A copy: the messages of a batch share memory, and what a user does to one must not be felt by the next.
        const message = Buffer.from(batch.message(index));
        const info = batch.takeInfo(index, this.owner.listened());
        if (this.told === batch.length) this.shift().release();
        this.tell(message, info);
      }
    } finally {
      this.telling = false;
      this.afterTelling();
    }
  }

  private tell(message: Buffer, info: MessageInfo): void {
    // Also if whoever is told throws.
    let told = true;
    try {
      told = this.owner.tell(message, info);
    } finally {
      info.told(told);
    }
  }

  private afterTelling(): void {
    if (this.dead) return;
    this.update();
    this.serveWaiters();
    if (this.queue.length > 0) this.tellSoon();
    else this.tellEnd();
  }

  /** The next message brings descriptors for which there is no room yet: `roomAgain` is called. */
  private get isHeldUp(): boolean {
    const [batch] = this.queue;
    if (batch === undefined || this.dead || this.sink !== null) return false;
    if (this.iterating === null && !this.owner.listened()) return false;
    return !batch.fitsAt(this.told);
  }

  /** There may be room for what came with the next message. */
  roomAgain(): void {
    if (this.roomLookedFor || this.dead) return;
    this.roomLookedFor = true;
    // Not at once: whoever closes one is in the middle of it.
    nextTick(() => {
      this.roomLookedFor = false;
      if (this.dead) return;
      this.serveWaiters();
      this.update();
      this.tellSoon();
      this.tellEnd();
    });
  }

  /** Part of the first batch may have been told to a listener. */
  private dropTold(): void {
    const [partial] = this.queue;
    if (partial === undefined || this.told === 0) return;
    this.queue[0] = partial.from(this.told);
    this.told = 0;
  }

  /** What whoever iterates gets next; undefined: nothing yet. */
  private nextBatch(): MessageBatch | undefined {
    const [batch] = this.queue;
    if (batch === undefined) return undefined;
    const { fitting } = batch;
    if (fitting === 0) return undefined;
    if (fitting === batch.length) return this.shift();
    const [given, rest] = batch.split(fitting);
    this.queue[0] = rest;
    return given;
  }

  private shift(): MessageBatch {
    this.told = 0;
    return this.queue.shift() as MessageBatch;
  }

  private tellSoon(): void {
    if (this.scheduled || !this.flows || this.isHeldUp) return;
    if (this.queue.length === 0 && this.end === null) return;
    this.scheduled = true;
    nextTick(() => {
      this.scheduled = false;
      if (this.dead) return;
      if (this.queue.length > 0) this.tellQueue();
      else this.tellEnd();
    });
  }

  private tellEnd(): void {
    if (this.end === null || this.endTold || this.queue.length > 0 || this.telling) return;
    if (this.leaving) return;
    if (this.paused && !this.isTaken) return;
    this.endTold = true;
    this.sink?.over(this.end.error);
    const { error } = this.end;
    this.owner.over(error);
    this.serveWaiters();
    this.giveFilling();
  }

  // Batches

  private batchOf(first: number, count: number, ancillary: AncillaryOfBatch): MessageBatch {
    const area = this.filling;
    if (area === null) return ownedBatch(messageMemory(), first, count, ancillary);
    this.lent += 1;
    const giveBack = (released: MessageBatch): void => this.takeBack(released);
    const batch = borrowedBatch(area, first, count, ancillary, giveBack);
    this.filling = this.lent < LENT ? takeArea() : null;
    this.owner.readInto(this.filling ?? NOWHERE);
    return batch;
  }

  private takeBack(batch: MessageBatch): void {
    this.lent -= 1;
    giveAreaOf(batch);
    if (this.iterating !== 'borrowed' || this.filling !== null || this.end !== null) return;
    this.filling = takeArea();
    this.owner.readInto(this.filling);
    this.update();
  }

  private giveFilling(): void {
    if (this.filling === null) return;
    giveArea(this.filling);
    this.filling = null;
  }

  iterate(memory: BatchMemory): AsyncIterableIterator<MessageBatch> {
    this.iterating = memory;
    this.paused = false;
    if (memory === 'borrowed' && this.end === null) {
      this.filling = takeArea();
      this.owner.readInto(this.filling);
    }
    this.dropTold();
    this.update();
    let stopped = false;
    const next = (): Promise<IteratorResult<MessageBatch, undefined>> => {
      this.current?.release();
      this.current = null;
      if (stopped) return Promise.resolve(DONE);
      return new Promise((resolve, reject) => {
        this.waiters.push({ resolve, reject });
        this.serveWaiters();
        this.update();
        // The end may have waited for the last batch to be taken.
        this.tellEnd();
      });
    };
    const stop = (): Promise<IteratorResult<MessageBatch, undefined>> => {
      if (!stopped) this.stopIterating();
      stopped = true;
      return Promise.resolve(DONE);
    };
    return {
      next,
      return: stop,
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /** What was received and not taken waits for the next who reads. */
  private stopIterating(): void {
    this.current?.release();
    this.current = null;
    this.iterating = null;
    this.queue = this.queue.map((batch) => batch.toOwned());
    this.discards = false;
    for (const { resolve } of this.waiters.splice(0)) resolve(DONE);
    if (this.end === null) this.owner.readInto(undefined);
    this.giveFilling();
    this.update();
    this.tellSoon();
  }

  private serveWaiters(): void {
    while (this.waiters.length > 0) {
      // What its predecessor had is free from here on.
      if (this.queue.length > 0) this.current?.release();
      const batch = this.nextBatch();
      if (batch === undefined && !(this.endTold && this.end !== null)) return;
      const waiter = this.waiters.shift() as Waiter;
      if (batch !== undefined) {
        this.current = batch;
        waiter.resolve({ done: false, value: batch });
      } else if (this.end?.error) {
        waiter.reject(this.end.error);
        // Once.
        this.end = { error: null };
      } else {
        waiter.resolve(DONE);
      }
    }
  }

  /** From now on everything goes into `sink`; what was received before goes first. */
  pour(sink: Sink): void {
    this.sink = sink;
    this.paused = false;
    this.poured();
  }

  /** The sink has room again. */
  poured(): void {
    const { sink } = this;
    if (sink === null) return;
    for (let batch = this.queue[0]; batch !== undefined && sink.place !== null;) {
      batch.dropDescriptors();
      this.told = sink.put(batch, this.told);
      if (this.told === batch.length) this.shift().release();
      batch = this.queue[0];
    }
    if (this.end === null) this.owner.readInto(sink.place ?? NOWHERE);
    this.update();
    this.tellEnd();
  }

  /** Whether to read on. To be called when anything has changed that it depends on. */
  update(): void {
    this.owner.attend(this.attention);
  }

  get attention(): Attention {
    if (this.wantsMore()) return 'read';
    if (this.end !== null || this.paused) return 'none';
    if (this.isHeldUp) return 'held';
    return this.attended ? 'none' : 'watch';
  }

  private wantsMore(): boolean {
    if (this.end !== null || this.paused) return false;
    if (this.sink !== null) return this.sink.place !== null && this.queue.length === 0;
    if (this.iterating === null) return this.flows && this.queue.length === 0;
    return this.queue.length < QUEUED && (this.iterating === 'owned' || this.filling !== null);
  }
}
