import { parseArgs, type ParseArgsConfig } from 'node:util';

import { nearest } from './nearest.js';

/** A mistake on the command line: shown without a stack, exit code 2. */
export class UsageError extends Error {}

export function unknown(kind: string, name: string, known: readonly string[]): UsageError {
  return new UsageError(`no ${kind} is called '${name}'; did you mean '${nearest(name, known)}'?`);
}

/** `util.parseArgs`, with the nearest name for an option that does not exist. */
export function parseCommandLine<T extends NonNullable<ParseArgsConfig['options']>>(
  args: string[],
  options: T,
) {
  for (const [, name] of args.map((arg) => /^--([^=]+)/.exec(arg) ?? [])) {
    if (name === undefined || name in options) continue;
    throw unknown(
      'option',
      `--${name}`,
      Object.keys(options).map((option) => `--${option}`),
    );
  }
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

export function positive(
  name: string,
  text: string | undefined,
  otherwise: number,
  valid: (value: number) => boolean = Number.isFinite,
): number {
  const value = text === undefined ? otherwise : Number(text);
  if (valid(value) && value > 0) return value;
  throw new UsageError(
    `--${name} takes a positive ${valid === Number.isInteger ? 'integer' : 'number'}, not '${text}'`,
  );
}

/** Whole positive numbers with commas between them, a K or M behind them for KiB and MiB. */
export function positiveList(name: string, text: string | undefined): number[] {
  if (text === undefined) return [];
  return text.split(',').map((item) => {
    const [, digits = '', unit = ''] = /^(\d+)([kKmM]?)$/.exec(item.trim()) ?? [];
    const factor = { k: 2 ** 10, m: 2 ** 20 }[unit.toLowerCase()] ?? 1;
    return positive(
      name,
      digits === '' ? item : String(Number(digits) * factor),
      1,
      Number.isInteger,
    );
  });
}

export function oneOf<T extends string>(
  name: string,
  text: string | undefined,
  known: readonly T[],
  otherwise: T,
): T {
  if (text === undefined) return otherwise;
  const found = known.find((value) => value === text);
  if (found === undefined) throw unknown(`value of --${name}`, text, known);
  return found;
}
