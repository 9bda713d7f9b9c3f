/**
 * A ring of messages in a SharedArrayBuffer: the thread that has the socket receives into it, another thread reads from it,
 * without a copy and without a message between the threads.
 *
 *   16 words      what the two threads tell each other: see WORD
 *   then blocks   size, messages, where the columns are; from byte 64 on the messages; behind them the columns
 *
 * One writer, one reader. A block never goes around the end: a size of −1 says that the next one is at the start. Positions
 * are bytes behind the header; they are equal only while the ring is empty.
 */
import { requireAddon } from '../checks';
import { codedError } from '../errors';
import { MESSAGE_ALIGNMENT } from '../engine/records';
import type { MessageBatch } from './batch';
import type { Sink } from './inbox';
import { FLAGS, FULL_LENGTHS, LENGTHS, OFFSETS, received } from './memory';
import { setImmediate } from '../real-time';

export const WORD = {
  magic: 0,
  capacity: 1,
  written: 2,
  read: 3,
  state: 4,
  errno: 5,
  /** Changes with everything that the writer does: what a reader waits for. */
  signal: 6,
  /** The thread of the socket that receives into it; 0: none does. */
  writer: 7,
} as const;
export const HEADER = 64;
export const MAGIC = 0x52465541;
export const ENDED = 1;
export const FAILED = 2;
export const AROUND = -1;
const COLUMN_BYTES = 4;
export const COLUMNS = 4;
/** Between the writer and the reader when the ring is full. */
const GAP = MESSAGE_ALIGNMENT;

function align(size: number): number {
  return (size + MESSAGE_ALIGNMENT - 1) & ~(MESSAGE_ALIGNMENT - 1);
}

/** Atomics.waitAsync, which the types of this language level leave out. */
const { waitAsync } = Atomics as unknown as {
  waitAsync(
    words: Int32Array,
    index: number,
    value: number,
  ): { async: true; value: Promise<string> } | { async: false; value: string };
};

/** If the thread that has received into it ended without saying so, as one that is terminated does: says so, and lets the next one in. */
export function endAbandoned(words: Int32Array): void {
  const writer = Atomics.load(words, WORD.writer);
  if (writer === 0 || requireAddon('MessageRing').environmentLives(writer) !== 0) return;
  // What it had published is whole, and comes first.
  if (Atomics.load(words, WORD.state) === 0) {
    words[WORD.errno] = 0;
    Atomics.store(words, WORD.state, FAILED);
  }
  Atomics.compareExchange(words, WORD.writer, writer, 0);
}

/** The writer's end: the socket receives into the place, and what came becomes a block. */
export class RingSink implements Sink {
  place: Uint8Array | null = null;

  private readonly thread = requireAddon('receiveInto()').environmentKey();
  private readonly words: Int32Array;
  private readonly bytes: Uint8Array;
  private readonly capacity: number;
  /** A block that holds one message of the greatest length. */
  private readonly least: number;
  private readonly columns: number;
  private written = 0;
  private waiting = false;
  private ended = false;

  constructor(
    private readonly memory: SharedArrayBuffer,
    longest: number,
    private readonly batchSize: number,
    private readonly roomAgain: () => void,
  ) {
    if (!(memory instanceof SharedArrayBuffer)) {
      throw codedError(
        TypeError,
        'ERR_INVALID_ARG_TYPE',
        'The "ring" argument must be an instance of SharedArrayBuffer',
      );
    }
    this.columns = COLUMNS * COLUMN_BYTES * batchSize + COLUMN_BYTES * 2;
    this.least = align(MESSAGE_ALIGNMENT + longest + this.columns);
    this.capacity = Math.max(0, memory.byteLength - HEADER) & ~(MESSAGE_ALIGNMENT - 1);
    // One half is free whenever the ring is empty.
    const needed = HEADER + 2 * (this.least + MESSAGE_ALIGNMENT);
    if (memory.byteLength < needed) {
      throw codedError(
        RangeError,
        'ERR_OUT_OF_RANGE',
        `The ring has ${memory.byteLength} bytes and needs at least ${needed} for messages of ${longest} bytes in batches of ${batchSize}`,
      );
    }
    this.words = new Int32Array(memory, 0, HEADER / 4);
    this.bytes = new Uint8Array(memory, HEADER, this.capacity);
    this.words[WORD.capacity] = this.capacity;
    this.claim();
    Atomics.store(this.words, WORD.magic, MAGIC);
    this.signal();
    this.findPlace();
  }

  /** Only one socket at a time, and none over what another one has received and nobody has read. */
  private claim(): void {
    const { words } = this;
    endAbandoned(words);
    if (Atomics.compareExchange(words, WORD.writer, 0, this.thread) !== 0) {
      throw codedError(Error, 'ERR_AFUNIX_READING', 'Another socket receives into this ring');
    }
    // Where the last one stopped: its reader may be looking at these.
    this.written = Atomics.load(words, WORD.written);
    if (this.written !== Atomics.load(words, WORD.read)) {
      Atomics.store(words, WORD.writer, 0);
      throw codedError(
        Error,
        'ERR_AFUNIX_READING',
        'This ring has messages of an earlier socket that were not read',
      );
    }
    words[WORD.errno] = 0;
    Atomics.store(words, WORD.state, 0);
  }

  take(first: number, count: number): void {
    const last = first + count - 1;
    const used = MESSAGE_ALIGNMENT + received[OFFSETS + last] + received[LENGTHS + last];
    const columns = this.columnsAt(used, count);
    for (let i = 0; i < count; ++i) {
      columns[i] = received[OFFSETS + first + i];
      columns[count + i] = received[LENGTHS + first + i];
      columns[2 * count + i] = received[FULL_LENGTHS + first + i];
      columns[3 * count + i] = received[FLAGS + first + i];
    }
    this.publish(used, count);
  }

  put(batch: MessageBatch, from: number): number {
    const { place } = this;
    const { batchSize } = this;
    const offsets: number[] = [];
    let end = 0;
    let next = from;
    for (; place !== null && next < batch.length && offsets.length < batchSize; ++next) {
      const message = batch.message(next);
      const offset = (end + 7) & ~7;
      if (offset + message.length > place.length) break;
      place.set(message, offset);
      offsets.push(offset);
      end = offset + message.length;
    }
    const count = offsets.length;
    if (count === 0) return from;
    const columns = this.columnsAt(MESSAGE_ALIGNMENT + end, count);
    columns.set(offsets);
    columns.set(batch.lengths.subarray(from, next), count);
    columns.set(batch.fullLengths.subarray(from, next), 2 * count);
    columns.set(batch.flags.subarray(from, next), 3 * count);
    this.publish(MESSAGE_ALIGNMENT + end, count);
    return next;
  }

  private columnsAt(used: number, count: number): Int32Array {
    const at = HEADER + this.written + ((used + 7) & ~7);
    return new Int32Array(this.memory, at, COLUMNS * count);
  }

  private publish(used: number, count: number): void {
    const at = (used + 7) & ~7;
    const size = align(at + COLUMNS * COLUMN_BYTES * count);
    const header = new Int32Array(this.memory, HEADER + this.written, 3);
    header[0] = size;
    header[1] = count;
    header[2] = at;
    this.moveTo(this.written + size);
    this.findPlace();
  }

  private moveTo(position: number): void {
    this.written = position;
    Atomics.store(this.words, WORD.written, position);
    this.signal();
  }

  private signal(): void {
    Atomics.add(this.words, WORD.signal, 1);
    Atomics.notify(this.words, WORD.signal);
  }

  /** Finds room for the next block, or waits for the reader to make some. */
  private findPlace(): void {
    const read = Atomics.load(this.words, WORD.read);
    let end = this.roomEnd(read);
    if (end - this.written < this.least && this.written >= read && read - GAP >= this.least) {
      if (this.written < this.capacity) {
        new Int32Array(this.memory, HEADER + this.written, 1)[0] = AROUND;
      }
      this.moveTo(0);
      end = this.roomEnd(read);
    }
    if (end - this.written >= this.least) {
      this.place = this.bytes.subarray(this.written + MESSAGE_ALIGNMENT, end - this.columns);
      return;
    }
    this.place = null;
    this.awaitReader(read);
  }

  private roomEnd(read: number): number {
    if (this.written < read) return read - GAP;
    return read === 0 ? this.capacity - GAP : this.capacity;
  }

  private awaitReader(read: number): void {
    if (this.waiting) return;
    this.waiting = true;
    const again = (): void => {
      this.waiting = false;
      if (this.ended) return;
      this.findPlace();
      if (this.place !== null) this.roomAgain();
    };
    const wait = waitAsync(this.words, WORD.read, read);
    if (wait.async) void wait.value.then(again);
    else setImmediate(again);
  }

  over(error: Error | null): void {
    if (this.ended) return;
    this.ended = true;
    const errno = (error as { errno?: number } | null)?.errno ?? 0;
    this.words[WORD.errno] = errno;
    Atomics.store(this.words, WORD.state, error === null ? ENDED : FAILED);
    this.signal();
    Atomics.compareExchange(this.words, WORD.writer, this.thread, 0);
  }
}
