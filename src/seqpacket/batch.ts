/** A batch of messages as they came: one piece of memory, and where in it each message lies. */
import { chunkFrom, type ReceiveMemory } from '../engine/chunks';
import { DESCRIPTORS_CAME, DESCRIPTORS_DROPPED, MESSAGE_TRUNCATED } from '../engine/records';
import type { PeerCredentials } from '../credentials/peer';
import type { Descriptor } from '../descriptor';
import { codedError } from '../errors';
import type { Ancillary, AncillaryOfBatch, AncillaryReceiver } from './ancillary';
import { FLAGS, FULL_LENGTHS, LENGTHS, OFFSETS, received } from './memory';

/** What is known of a message besides its bytes. */
export class MessageInfo {
  constructor(
    /** How long it was when it was sent. */
    readonly fullLength: number,
    private readonly flags: number,
    private readonly ancillary: Ancillary | null = null,
  ) {}

  /**
   * Descriptors that came with it, empty without `maxDescriptors`. Those of 'message' belong to whoever listens; those of a batch
   * belong to the batch, which closes them with its `release()`: see `takeDescriptors`.
   */
  get descriptors(): readonly Descriptor[] {
    return this.ancillary?.descriptors ?? [];
  }

  /**
   * Who sent it, with a server's `passCredentials`: uid, gid and pid, which the kernel filled in or has checked, and a pidfd if it is asked for. Null without. A message that came
   * without them has a foreign, unmapped sender, which no policy matches.
   */
  get credentials(): PeerCredentials | null {
    return this.ancillary?.credentials ?? null;
  }

  /** @internal It was told, to somebody or nobody. */
  told(toSomebody: boolean): void {
    if (toSomebody) this.ancillary?.told();
    else this.ancillary?.close();
  }

  /** It was longer than `maxMessageSize`, and what was behind that is lost. */
  get truncated(): boolean {
    return (this.flags & MESSAGE_TRUNCATED) !== 0;
  }

  /** Descriptors came with it that the socket does not take, or more than it takes; all of them are closed. */
  get descriptorsDropped(): boolean {
    return (this.flags & DESCRIPTORS_DROPPED) !== 0 || this.ancillary?.dropped === true;
  }
}

const PADDING_ALLOWED = 4096;
const NONE = Buffer.alloc(0);

export class MessageBatch implements Iterable<Buffer> {
  /** Set by `release`. */
  released = false;
  private counts: Int32Array | null = null;

  constructor(
    /** The memory that all of its messages lie in. */
    readonly bytes: Buffer,
    /** By message: where it begins in `bytes`, */
    readonly offsets: Int32Array,
    /** how long it is there, */
    readonly lengths: Int32Array,
    /** how long it was when it was sent, */
    readonly fullLengths: Int32Array,
    /** and bits: 1 if it was cut, 2 if descriptors that came with it were dropped, 4 if some are here. */
    readonly flags: Int32Array,
    private readonly ancillary: AncillaryOfBatch,
    private readonly onRelease: ((batch: MessageBatch) => void) | null,
  ) {}

  /** How many messages. */
  get length(): number {
    return this.offsets.length;
  }

  /** The bytes of one message, without a copy. */
  message(index: number): Buffer {
    if (this.released) throw releasedError();
    const offset = this.offsets[index];
    if (offset === undefined) throw indexError(index, this.length);
    return this.bytes.subarray(offset, offset + (this.lengths[index] ?? 0));
  }

  info(index: number): MessageInfo {
    const fullLength = this.fullLengths[index];
    if (fullLength === undefined) throw indexError(index, this.length);
    return new MessageInfo(fullLength, this.flags[index] ?? 0, this.ancillary?.[index] ?? null);
  }

  /** By message: how many descriptors came with it, whoever has them now. */
  get descriptorCounts(): Int32Array {
    this.counts ??= Int32Array.from(
      this.offsets,
      (_, index) => this.ancillary?.[index]?.descriptorCount ?? 0,
    );
    return this.counts;
  }

  /**
   * The descriptors that came with a message and were not taken yet. They are the caller's, who has to close them. None if one message brought
   * more than `maxOpenDescriptors`: then the connection ends.
   */
  takeDescriptors(index: number): Descriptor[] {
    if (this.offsets[index] === undefined) throw indexError(index, this.length);
    return this.ancillary?.[index]?.takeDescriptors() ?? [];
  }

  /** @internal Whether the descriptors of a message may be its user's now. */
  fitsAt(index: number): boolean {
    return this.ancillary?.[index]?.fits() ?? true;
  }

  /** @internal How many messages from the front on may be a user's now, with all of their descriptors. */
  get fitting(): number {
    const { ancillary } = this;
    if (ancillary === null) return this.length;
    let descriptors = 0;
    for (let index = 0; index < ancillary.length; ++index) {
      const one = ancillary[index];
      if (one === null || one.descriptors.length === 0) continue;
      if (!one.fits(descriptors)) return index;
      descriptors += one.descriptors.length;
    }
    return this.length;
  }

  /** @internal What is known of a message, which takes its descriptors along: for a user, or to be thrown away. */
  takeInfo(index: number, forUser: boolean): MessageInfo {
    const info = this.info(index);
    if (this.ancillary !== null) {
      if (forUser) this.ancillary[index]?.admit();
      this.ancillary[index] = null;
    }
    return info;
  }

  /** @internal The connection is another socket's, which counts the descriptors, or takes none. */
  moveTo(receiver: AncillaryReceiver | null): void {
    if (receiver === null) this.dropDescriptors();
    else this.ancillary?.forEach((ancillary) => ancillary?.moveTo(receiver));
  }

  /** @internal Closes the descriptors, and notes that they were dropped. */
  dropDescriptors(): void {
    this.ancillary?.forEach((ancillary, index) => {
      ancillary?.close();
      if (ancillary === null || ancillary.descriptorCount === 0) return;
      this.flags[index] = ((this.flags[index] ?? 0) & ~DESCRIPTORS_CAME) | DESCRIPTORS_DROPPED;
    });
  }

  *[Symbol.iterator](): Generator<Buffer, void, undefined> {
    for (let i = 0; i < this.offsets.length; ++i) yield this.message(i);
  }

  /** @internal What of it is left behind its first `index` messages; this one is not to be used any more. */
  from(index: number): MessageBatch {
    return this.part(index, this.length, this.onRelease);
  }

  /** @internal Its first `index` messages, and the others. Borrowed memory is given back with the second that is released. */
  split(index: number): [MessageBatch, MessageBatch] {
    const { onRelease } = this;
    let left = 2;
    const release = (): void => {
      left -= 1;
      if (left === 0) onRelease?.(this);
    };
    const given = onRelease === null ? null : release;
    return [this.part(0, index, given), this.part(index, this.length, given)];
  }

  private part(
    from: number,
    to: number,
    onRelease: ((batch: MessageBatch) => void) | null,
  ): MessageBatch {
    return new MessageBatch(
      this.bytes,
      this.offsets.subarray(from, to),
      this.lengths.subarray(from, to),
      this.fullLengths.subarray(from, to),
      this.flags.subarray(from, to),
      this.ancillary?.slice(from, to) ?? null,
      onRelease,
    );
  }

  /** @internal The same messages in memory of their own; this one is released. */
  toOwned(): MessageBatch {
    if (this.onRelease === null) return this;
    const last = this.length - 1;
    const end = (this.offsets[last] ?? 0) + (this.lengths[last] ?? 0);
    const bytes = Buffer.allocUnsafeSlow(end);
    this.bytes.copy(bytes, 0, 0, end);
    this.giveBack();
    const { offsets, lengths, fullLengths, flags, ancillary } = this;
    return new MessageBatch(bytes, offsets, lengths, fullLengths, flags, ancillary, null);
  }

  /** Closes the descriptors that nobody took, and gives a borrowed batch's memory back. */
  release(): void {
    this.closeDescriptors();
    this.giveBack();
  }

  /** @internal Those that nobody took. */
  closeDescriptors(): void {
    if (this.ancillary !== null) for (const ancillary of this.ancillary) ancillary?.close();
  }

  private giveBack(): void {
    if (this.released || this.onRelease === null) return;
    this.released = true;
    this.onRelease(this);
  }
}

// Node 20 has the symbol, its types do not everywhere.
const dispose = (Symbol as { dispose?: symbol }).dispose;
if (dispose !== undefined) {
  Object.defineProperty(MessageBatch.prototype, dispose, {
    value: MessageBatch.prototype.release,
    writable: true,
    configurable: true,
  });
}

function releasedError(): Error {
  return codedError(
    Error,
    'ERR_AFUNIX_RELEASED',
    'This batch was borrowed and has been released; its memory holds other messages now',
  );
}

function indexError(index: number, length: number): Error {
  return codedError(
    RangeError,
    'ERR_OUT_OF_RANGE',
    `The value of "index" is out of range. It must be an integer from 0 to ${length - 1}. Received ${index}`,
  );
}

interface Columns {
  readonly offsets: Int32Array;
  readonly lengths: Int32Array;
  readonly fullLengths: Int32Array;
  readonly flags: Int32Array;
}

/** Rows `first` to `first + count` of the table; `base` is taken off the offsets. */
function copyColumns(first: number, count: number, base: number): Columns {
  const all = new Int32Array(4 * count);
  for (let i = 0; i < count; ++i) {
    const row = first + i;
    all[i] = received[OFFSETS + row] - base;
    all[count + i] = received[LENGTHS + row];
    all[2 * count + i] = received[FULL_LENGTHS + row];
    all[3 * count + i] = received[FLAGS + row];
  }
  return {
    offsets: all.subarray(0, count),
    lengths: all.subarray(count, 2 * count),
    fullLengths: all.subarray(2 * count, 3 * count),
    flags: all.subarray(3 * count),
  };
}

/** The messages in these rows, in memory that is their user's for ever. */
export function ownedBatch(
  memory: ReceiveMemory,
  first: number,
  count: number,
  ancillary: AncillaryOfBatch,
): MessageBatch {
  const base = received[OFFSETS + first];
  const last = first + count - 1;
  const span = received[OFFSETS + last] + received[LENGTHS + last] - base;
  const columns = copyColumns(first, count, base);
  const { offsets, lengths, fullLengths, flags } = columns;
  let sum = 0;
  for (let i = 0; i < count; ++i) sum += lengths[i];
  const bytes =
    span === 0
      ? NONE
      : span <= sum + sum / 4 + PADDING_ALLOWED
        ? chunkFrom(memory, base, span)
        : gather(memory.bytes, base, columns, sum);
  return new MessageBatch(bytes, offsets, lengths, fullLengths, flags, ancillary, null);
}

/** A message on its own, as it goes through a message channel. */
export interface LoneMessage {
  readonly bytes: Uint8Array;
  readonly fullLength: number;
  readonly flags: number;
}

/** The messages of a batch, copied; their descriptors and who sent them stay behind. */
export function loneMessages(batch: MessageBatch): LoneMessage[] {
  batch.dropDescriptors();
  return Array.from(batch, (bytes, index) => ({
    bytes: new Uint8Array(bytes),
    fullLength: batch.fullLengths[index] ?? bytes.length,
    flags: (batch.flags[index] ?? 0) & (MESSAGE_TRUNCATED | DESCRIPTORS_DROPPED),
  }));
}

/** The other way round. */
export function batchOf(messages: readonly LoneMessage[]): MessageBatch {
  const lengths = Int32Array.from(messages, ({ bytes }) => bytes.length);
  let end = 0;
  const offsets = lengths.map((length) => (end += length) - length);
  return new MessageBatch(
    Buffer.concat(messages.map(({ bytes }) => bytes)),
    offsets,
    lengths,
    Int32Array.from(messages, ({ fullLength }) => fullLength),
    Int32Array.from(messages, ({ flags }) => flags),
    null,
    null,
  );
}

/** Long messages lie apart from each other: one behind the other in memory of their size. */
function gather(area: Buffer, base: number, columns: Columns, sum: number): Buffer {
  const { offsets, lengths } = columns;
  const bytes = Buffer.allocUnsafeSlow(sum);
  let used = 0;
  for (let i = 0; i < offsets.length; ++i) {
    const from = base + offsets[i];
    area.copy(bytes, used, from, from + lengths[i]);
    offsets[i] = used;
    used += lengths[i];
  }
  return bytes;
}

/** The messages in these rows where they lie in `area`, until the batch is released. */
export function borrowedBatch(
  area: Buffer,
  first: number,
  count: number,
  ancillary: AncillaryOfBatch,
  onRelease: (batch: MessageBatch) => void,
): MessageBatch {
  const { offsets, lengths, fullLengths, flags } = copyColumns(first, count, 0);
  return new MessageBatch(area, offsets, lengths, fullLengths, flags, ancillary, onRelease);
}
