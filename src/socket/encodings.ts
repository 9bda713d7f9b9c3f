/** What is on its way out: which encodings are plain, how long strings become, and how short pieces become long ones. */
import type { Piece } from './connection';

/** Encodings that Buffer writes without a second thought; anything else is for Writable to complain about. */
export const STRING_ENCODINGS = new Set<string>([
  'utf8',
  'utf-8',
  'latin1',
  'binary',
  'ascii',
  'hex',
  'base64',
  'base64url',
  'utf16le',
  'utf-16le',
  'ucs2',
  'ucs-2',
]);

/** Bytes of what is being written: one piece, many, or none. */
export function lengthOf(
  data: string | Uint8Array | readonly Piece[] | null,
  encoding: string,
): number {
  if (data === null) return 0;
  if (typeof data === 'string') return Buffer.byteLength(data, encoding as BufferEncoding);
  if (data instanceof Uint8Array) return data.byteLength;
  return data.reduce((sum, piece) => sum + lengthOf(piece.chunk, piece.encoding), 0);
}

/** Longer writes go to the kernel from where they are, without a copy. */
export const LONGEST_COPIED = 16 * 1024;

/** Short pieces are put together in memory of this size. */
const JOINED_SIZE = 64 * 1024;

/** The most bytes that `data` can turn into: exact for bytes and for encodings of one byte a character. */
export function longestBytes(data: string | Uint8Array, encoding: BufferEncoding): number {
  if (typeof data !== 'string') return data.byteLength;
  const oneByte = encoding === 'latin1' || encoding === 'binary' || encoding === 'ascii';
  // UTF-16 needs 2 a character, UTF-8 up to 3, hex and base64 less than 1.
  return oneByte ? data.length : data.length * 3;
}

/** Copies `data` to `offset` of `memory`, and says how many bytes it is. */
export function put(
  memory: Buffer,
  data: string | Uint8Array,
  encoding: BufferEncoding,
  offset: number,
): number {
  // `http` ends each answer with an empty string; calling out for it costs as much as for a short one.
  if (data.length === 0) return 0;
  if (typeof data === 'string') return memory.write(data, offset, encoding);
  memory.set(data, offset);
  return data.byteLength;
}

/** The bytes of many pieces in few parts: short ones are copied, and so are their users' again; long ones stay where they are. */
export function joined(pieces: readonly Piece[]): Uint8Array[] {
  const lengths = pieces.map(({ chunk, encoding }) => longestBytes(chunk, encoding));
  let left = lengths.reduce((sum, length) => (length <= LONGEST_COPIED ? sum + length : sum), 0);
  const parts: Uint8Array[] = [];
  let memory = Buffer.alloc(0);
  let used = 0;
  const close = (): void => {
    if (used > 0) parts.push(memory.subarray(0, used));
    memory = memory.subarray(used);
    used = 0;
  };
  pieces.forEach(({ chunk, encoding }, index) => {
    const longest = lengths[index];
    if (longest > LONGEST_COPIED) {
      close();
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
      if (bytes.byteLength > 0) parts.push(bytes);
      return;
    }
    if (used + longest > memory.length) {
      close();
      memory = Buffer.allocUnsafeSlow(Math.min(left, JOINED_SIZE));
    }
    left -= longest;
    used += put(memory, chunk, encoding, used);
  });
  close();
  return parts;
}
