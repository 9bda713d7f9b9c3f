/**
 * What a stream with an encoding has decoded and not told is text; whoever gives its connection away has to pass on the bytes that it came
 * from. Text does not say which: an incomplete character is in no text, and what is not valid is replaced.
 */
import type { Duplex } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

interface Part {
  readonly text: string;
  readonly bytes: Buffer;
  readonly encoding: string;
}

/** Of a stream, as far as it concerns what it holds back; older and newer versions of Node keep that in different ways. */
interface ReadableState {
  buffer: (Iterable<Buffer | string | null> & { clear(): void }) | (Buffer | string | null)[];
  bufferIndex?: number;
  fastChunk?: Buffer | null;
  length: number;
  decoder: StringDecoder | null;
}

interface Holder extends Duplex {
  readonly _readableState: ReadableState;
  readonly readableBuffer: Iterable<Buffer | string | null | undefined>;
}

/** Bytes that a character stands for; UTF-8 has its own way. */
const BYTES_PER_CHARACTER: Readonly<Record<string, number>> = {
  latin1: 1,
  ascii: 1,
  hex: 1 / 2,
  base64: 3 / 4,
  base64url: 3 / 4,
  utf16le: 2,
};

/** Where the bytes begin of what follows the first `length` characters. A character that is cut counts as not begun. */
function offsetOf({ text, bytes, encoding }: Part, length: number): number {
  const ratio = BYTES_PER_CHARACTER[encoding];
  if (ratio !== undefined) return Math.min(bytes.length, Math.floor(length * ratio));
  const cut = (text.codePointAt(length - 1) ?? 0) > 0xffff && length < text.length;
  const whole = cut ? length - 1 : length;
  // The longest beginning that has no more characters than that.
  let least = 0;
  let most = bytes.length;
  while (least < most) {
    const middle = (least + most + 1) >> 1;
    if (bytes.toString('utf8', 0, middle).length <= whole) least = middle;
    else most = middle - 1;
  }
  return least;
}

function commonEnd(one: string, other: string): number {
  const most = Math.min(one.length, other.length);
  let length = 0;
  while (length < most && one.at(-1 - length) === other.at(-1 - length)) length += 1;
  return length;
}

/** The decoder of a stream, which keeps the bytes of what the stream has not told. */
class Recorder extends StringDecoder {
  /** Node's decoders say by these how many bytes of a character they have, and how many it has in all. */
  declare readonly lastNeed: number;
  declare readonly lastTotal: number;
  declare readonly encoding: string;
  private parts: Part[] = [];
  private length = 0;
  /** The beginning of a character. */
  private incomplete = Buffer.alloc(0);

  constructor(
    encoding: BufferEncoding,
    private readonly state: ReadableState,
  ) {
    super(encoding);
  }

  override write(chunk: Buffer | string): string {
    const text = super.write(chunk);
    if (typeof chunk === 'string') return text;
    this.trim(this.state.length);
    const all = this.incomplete.length === 0 ? chunk : Buffer.concat([this.incomplete, chunk]);
    const end = all.length - (this.lastTotal - this.lastNeed);
    this.incomplete = Buffer.from(all.subarray(end));
    this.add(text, all.subarray(0, end));
    return text;
  }

  override end(chunk?: Buffer): string {
    const text = chunk === undefined ? '' : this.write(chunk);
    const last = super.end();
    this.add(last, this.incomplete);
    this.incomplete = Buffer.alloc(0);
    return text + last;
  }

  /** Only the last `length` characters may still be asked for. */
  trim(length: number): void {
    if (length === 0) {
      this.parts = [];
      this.length = 0;
    }
    let read = 0;
    for (const { text } of this.parts) {
      if (this.length - text.length < length) break;
      this.length -= text.length;
      read += 1;
    }
    if (read > 0) this.parts.splice(0, read);
  }

  /** Goes on with what another one has recorded. */
  follow({ parts, length, incomplete, encoding }: Recorder): void {
    this.parts = [...parts, { text: '', bytes: incomplete, encoding }];
    this.length = length;
  }

  get hasLess(): boolean {
    return this.length < this.state.length;
  }

  takeIncomplete(): Buffer {
    const taken = this.incomplete;
    this.incomplete = Buffer.alloc(0);
    return taken;
  }

  /** The bytes of the last text, in order. What is not from here, as somebody has put it back, is encoded again. */
  takeLast(text: string): Buffer[] {
    const taken: Buffer[] = [];
    let left = text;
    for (let part = this.parts.pop(); part !== undefined; part = this.parts.pop()) {
      const common = commonEnd(part.text, left);
      const read = part.text.length - common;
      left = left.slice(0, left.length - common);
      if (read === 0) {
        taken.push(part.bytes);
        continue;
      }
      const offset = offsetOf(part, read);
      taken.push(part.bytes.subarray(offset));
      this.add(part.text.slice(0, read), part.bytes.subarray(0, offset));
      break;
    }
    if (left !== '') taken.push(Buffer.from(left, this.encoding as BufferEncoding));
    return taken.reverse();
  }

  private add(text: string, bytes: Buffer): void {
    if (text === '' && bytes.length === 0) return;
    this.parts.push({ text, bytes, encoding: this.encoding });
    this.length += text.length;
  }
}

/** To be called with a stream that has got an encoding; `before` is what it held then, `previous` its decoder. */
function record(
  stream: Holder,
  before: readonly (Buffer | string)[],
  previous: StringDecoder | null,
): void {
  const state = stream._readableState;
  const recorder = new Recorder(stream.readableEncoding ?? 'utf8', state);
  let following = false;
  for (const chunk of before) {
    if (typeof chunk !== 'string') {
      recorder.write(chunk);
    } else if (!following && previous instanceof Recorder) {
      following = true;
      recorder.follow(previous);
    }
  }
  // Newer versions of Node also tell what remains, if nothing can follow.
  if (recorder.hasLess) recorder.end();
  state.decoder = recorder;
}

/** To be called with a stream whose encoding is as old as itself. */
export function recordFromStart(stream: Duplex): void {
  if (stream.readableEncoding !== null) record(stream as Holder, [], null);
}

/** `set` gives the stream an encoding. */
export function recordWhile(stream: Duplex, set: () => void): void {
  const holder = stream as Holder;
  const before = heldBy(holder);
  const { decoder } = holder._readableState;
  set();
  record(holder, before, decoder);
}

/** Everything that the stream has decoded was told. */
export function forgetRecorded(stream: Duplex): void {
  const { decoder } = (stream as Holder)._readableState;
  if (decoder instanceof Recorder) decoder.trim(0);
}

function heldBy(stream: Holder): (Buffer | string)[] {
  return [...stream.readableBuffer].filter((chunk) => chunk !== null && chunk !== undefined);
}

/** Takes what the stream holds back out of it, as it was received; nobody is told. */
export function takeHeld(stream: Duplex): Buffer[] {
  const holder = stream as Holder;
  const held = heldBy(holder);
  const state = holder._readableState;
  const { buffer, decoder } = state;
  if ('clear' in buffer) buffer.clear();
  else buffer.length = 0;
  if (state.bufferIndex !== undefined) state.bufferIndex = 0;
  if (state.fastChunk !== undefined) state.fastChunk = null;
  state.length = 0;
  if (!(decoder instanceof Recorder)) {
    return held.map((chunk) =>
      typeof chunk === 'string' ? Buffer.from(chunk, stream.readableEncoding ?? 'utf8') : chunk,
    );
  }
  const taken = [decoder.takeIncomplete()];
  for (const chunk of held.reverse()) {
    taken.unshift(...(typeof chunk === 'string' ? decoder.takeLast(chunk) : [chunk]));
  }
  return taken;
}
