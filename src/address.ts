/**
 * Addresses as Node writes them: a pathname, or an abstract name behind a leading NUL. Linux has room for 107
 * bytes of either (unix(7)).
 */
import { ABSTRACT_NAMES_ARE_EXACT } from './net-version';

export const LONGEST_NAME = 107;

export function isAbstract(address: string): boolean {
  return address.startsWith('\0');
}

/** A path that looks like one of the strings that address-string.ts reads. */
export function looksLikeAddress(path: string): boolean {
  return /^(?:unix|unix-abstract|tcp):/.test(path);
}

/** Bytes of the name: of a pathname without its NUL, of an abstract one without the leading NUL. */
export function byteLength(address: string): number {
  return Buffer.byteLength(address) - (isAbstract(address) ? 1 : 0);
}

/** The address as the addon takes it. */
export function encodeAddress(address: string): Buffer {
  return Buffer.from(address, 'utf8');
}

/**
 * How an abstract name becomes an address: `exact`, as unix(7) has it, or `padded` with NULs to the full 108
 * bytes, as libuv before 1.51 (Node 20) does. The two are different names to the kernel.
 */
export type AbstractLength = 'exact' | 'padded';

/** What the `net` of this Node does, so that it and afunix find each other. */
export const NET_ABSTRACT_LENGTH: AbstractLength = ABSTRACT_NAMES_ARE_EXACT ? 'exact' : 'padded';

export function isPadded(wanted: AbstractLength | undefined): boolean {
  return (wanted ?? NET_ABSTRACT_LENGTH) === 'padded';
}
