/** Socket addresses: what a caller may say for one, and what the kernel tells. unix(7). */
import { isAbstract, isPadded, LONGEST_NAME, type AbstractLength } from '../address';
import { errnoException } from '../errors';
import { wrongType, wrongValue } from '../checks';

export interface RawAddress {
  readonly kind: 'unnamed' | 'pathname' | 'abstract';
  /** The name's bytes: a pathname without its NUL, an abstract name behind a leading NUL, nothing if unnamed. */
  readonly bytes: Buffer;
  /** The bytes as UTF-8: what `bind` and `connect` take for the same name, if it is UTF-8. */
  readonly text: string;
}

/** A pathname, or an abstract name behind a leading NUL; as text, as bytes, or as the kernel told it. */
export type RawAddressLike = string | Uint8Array | RawAddress;

export interface RawAddressOptions {
  /**
   * How an abstract name becomes an address. Text: as the `net` of this Node does it. Bytes: exactly as they are.
   */
  abstractLength?: AbstractLength;
}

export interface EncodedAddress {
  readonly bytes: Uint8Array;
  readonly padded: boolean;
  /** For errors. */
  readonly text: string;
}

const ENAMETOOLONG = -36;

/** As the addon takes it. */
export function encodeRawAddress(
  syscall: string,
  address: unknown,
  { abstractLength }: RawAddressOptions,
): EncodedAddress {
  const bytes = bytesOf(address);
  const text = bytes.toString();
  const abstract = isAbstract(text);
  if (bytes.length === 0 || (!abstract && bytes.includes(0))) {
    throw wrongValue('address', address, 'must be a name, and only an abstract one may hold a NUL');
  }
  if (bytes.length - Number(abstract) > LONGEST_NAME) {
    throw errnoException(ENAMETOOLONG, syscall, text);
  }
  const asText = typeof address === 'string' || abstractLength !== undefined;
  return { bytes, padded: asText && isPadded(abstractLength), text };
}

function bytesOf(address: unknown): Buffer {
  if (typeof address === 'string') return Buffer.from(address, 'utf8');
  if (address instanceof Uint8Array) return Buffer.from(address);
  const { bytes } = (address ?? {}) as Partial<RawAddress>;
  if (bytes instanceof Uint8Array) return Buffer.from(bytes);
  throw wrongType('address', 'a string, an instance of Uint8Array, or an address', address);
}

/** What is in `bytes`, which the kernel filled. */
export function decodeRawAddress(bytes: Uint8Array): RawAddress {
  const copy = Buffer.from(bytes);
  const kind = copy.length === 0 ? 'unnamed' : copy[0] === 0 ? 'abstract' : 'pathname';
  return { kind, bytes: copy, text: copy.toString('utf8') };
}
