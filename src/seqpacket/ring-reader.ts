/** MessageRing: the reading end of a ring that a socket receives into, in any thread. */
import { codedError, errnoException } from '../errors';
import { MESSAGE_ALIGNMENT } from '../engine/records';
import { MessageBatch } from './batch';
import { AROUND, COLUMNS, endAbandoned, FAILED, HEADER, MAGIC, WORD } from './ring';
import { now } from '../real-time';

/** Milliseconds between looks at whether the writing thread is still there. */
const LOOK = 200;

export class MessageRing implements Iterable<MessageBatch> {
  private readonly words: Int32Array;
  private batch: MessageBatch | null = null;

  constructor(private readonly memory: SharedArrayBuffer) {
    if (!(memory instanceof SharedArrayBuffer) || memory.byteLength < HEADER) {
      throw codedError(
        TypeError,
        'ERR_INVALID_ARG_TYPE',
        'The "memory" argument must be a SharedArrayBuffer that a socket receives into',
      );
    }
    this.words = new Int32Array(memory, 0, HEADER / 4);
  }

  /**
   * The next batch, borrowed until the next `read` or its `release()`. Waits up to `timeout` milliseconds, with the whole thread;
   * null if nothing came, or nothing will: see `ended`. Throws what the connection failed with, behind all that came before.
   */
  read(timeout = Infinity): MessageBatch | null {
    this.batch?.release();
    const deadline = now() + timeout;
    for (;;) {
      const signal = Atomics.load(this.words, WORD.signal);
      // In this order: what was written before the end is there when the end is seen.
      const ended = this.isClosed;
      const batch = this.take();
      if (batch !== null) return batch;
      if (ended) {
        this.throwFailure();
        return null;
      }
      const patience = deadline - now();
      if (!(patience > 0)) return null;
      const waited = Atomics.wait(this.words, WORD.signal, signal, Math.min(patience, LOOK));
      // Nobody wakes whoever waits for a thread that was terminated.
      if (waited === 'timed-out') endAbandoned(this.words);
    }
  }

  /** Nothing will come any more, and everything was read. */
  get ended(): boolean {
    endAbandoned(this.words);
    return (
      this.isClosed &&
      Atomics.load(this.words, WORD.read) === Atomics.load(this.words, WORD.written)
    );
  }

  /** All batches, each until the next one, to the end. */
  *[Symbol.iterator](): Generator<MessageBatch, void, undefined> {
    for (let batch = this.read(); batch !== null; batch = this.read()) yield batch;
  }

  private get isClosed(): boolean {
    return Atomics.load(this.words, WORD.state) !== 0;
  }

  private throwFailure(): void {
    if (Atomics.load(this.words, WORD.state) !== FAILED) return;
    const errno = this.words[WORD.errno];
    throw errno === 0
      ? codedError(Error, 'ERR_SOCKET_CLOSED', 'Socket is closed')
      : errnoException(errno, 'read');
  }

  private take(): MessageBatch | null {
    if (Atomics.load(this.words, WORD.magic) !== MAGIC) return null;
    const written = Atomics.load(this.words, WORD.written);
    let read = this.words[WORD.read];
    if (read === written) return null;
    if (read === this.words[WORD.capacity] || this.sizeAt(read) === AROUND) {
      read = 0;
      this.moveTo(read);
      if (read === written) return null;
    }
    const [size = 0, count = 0, columns = 0] = new Int32Array(this.memory, HEADER + read, 3);
    const column = (index: number): Int32Array =>
      new Int32Array(this.memory, HEADER + read + columns + COLUMNS * index * count, count);
    const start = HEADER + read + MESSAGE_ALIGNMENT;
    this.batch = new MessageBatch(
      Buffer.from(this.memory, start, columns - MESSAGE_ALIGNMENT),
      column(0),
      column(1),
      column(2),
      column(3),
      null,
      () => {
        this.batch = null;
        this.moveTo(read + size);
      },
    );
    return this.batch;
  }

  private sizeAt(position: number): number {
    return new Int32Array(this.memory, HEADER + position, 1)[0];
  }

  private moveTo(position: number): void {
    Atomics.store(this.words, WORD.read, position);
    Atomics.notify(this.words, WORD.read);
  }
}
