/** Strings on their way out: which encodings are plain, and how long they become. */
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
