/** Arguments that are wrong, told as Node tells them: which one, what it must be, what it was. */
import util from 'node:util';
import { missingBecause, native, type NativeBinding } from './binding';
import { codedError } from './errors';

/** Any value, in one line. */
export function shown(value: unknown): string {
  try {
    return util.inspect(value, { depth: 0, breakLength: Infinity });
  } catch {
    // A DataView without its memory cannot be looked into.
    return Object.prototype.toString.call(value);
  }
}

export function wrongType(name: string, wanted: string, value: unknown): Error {
  const received =
    value === null || value === undefined
      ? String(value)
      : typeof value === 'object' || typeof value === 'function'
        ? shown(value)
        : `type ${typeof value} (${shown(value)})`;
  return codedError(
    TypeError,
    'ERR_INVALID_ARG_TYPE',
    `The "${name}" argument must be ${wanted}. Received ${received}`,
  );
}

export function outOfRange(name: string, wanted: string, value: unknown): Error {
  return codedError(
    RangeError,
    'ERR_OUT_OF_RANGE',
    `The value of "${name}" is out of range. It must be ${wanted}. Received ${shown(value)}`,
  );
}

export function wrongValue(name: string, value: unknown, why: string): Error {
  return codedError(
    TypeError,
    'ERR_INVALID_ARG_VALUE',
    `The argument '${name}' ${why}. Received ${shown(value)}`,
  );
}

/** An integer within the bounds, both included. */
export function checkInteger(name: string, value: unknown, least: number, most: number): number {
  if (typeof value !== 'number') throw wrongType(name, 'of type number', value);
  if (!Number.isInteger(value)) throw outOfRange(name, 'an integer', value);
  if (value < least || value > most) {
    throw outOfRange(name, `>= ${least} && <= ${most}`, value);
  }
  return value;
}

export const LARGEST_INT = 0x7fffffff;

export function checkDescriptor(name: string, value: unknown): number {
  return checkInteger(name, value, 0, LARGEST_INT);
}

/** MSG_* for a system call, which says itself what it does not know. */
export function checkFlags(flags: number): number {
  return (flags | 0) === flags ? flags : checkInteger('flags', flags, 0, LARGEST_INT);
}

/** The addon, or an error that says why there is none. */
export function requireAddon(who: string): NativeBinding {
  if (native !== null) return native;
  throw codedError(Error, 'ERR_AFUNIX_NO_ADDON', `${who} needs the addon: ${missingBecause ?? ''}`);
}
