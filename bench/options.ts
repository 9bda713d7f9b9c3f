import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';

import { contenders } from './contenders/index.js';
import { nearest } from './nearest.js';
import { workloads } from './workloads/index.js';
import type { Workload } from './workloads/workload.js';

export interface Options {
  rounds: number;
  seconds: number;
  warmUp: number;
  idleSeconds: number;
  seed: number;
  workloads: readonly Workload[];
  contenders: readonly string[];
  /** Contenders that are left out because nobody asked for them. */
  leftOut: readonly string[];
  json: string | undefined;
  list: boolean;
  help: boolean;
}

/** A mistake on the command line: shown without a stack. */
export class UsageError extends Error {}

// The warm-up is what it takes to have everything compiled: with less, http is half as fast.
const FULL = { rounds: 5, seconds: 1, warmUp: 0.75, idleSeconds: 2 };
const QUICK = { rounds: 2, seconds: 0.3, warmUp: 0.4, idleSeconds: 0.5 };

const accepted = {
  quick: { type: 'boolean' },
  all: { type: 'boolean' },
  rounds: { type: 'string' },
  seconds: { type: 'string' },
  seed: { type: 'string' },
  filter: { type: 'string', multiple: true },
  contender: { type: 'string', multiple: true },
  json: { type: 'string' },
  list: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

export const help = `Usage: npm run bench -- [options]

  --quick            ${QUICK.rounds} short rounds instead of ${FULL.rounds}
  --all              also the contenders that are not JavaScript or not Node, where they can be had
  --rounds N         rounds; in each, every contender runs every workload once
  --seconds S        seconds measured per cell
  --filter TEXT      only workloads whose name contains TEXT (may be repeated)
  --contender NAME   only this contender (may be repeated)
  --seed N           repeats the order of an earlier run
  --json FILE        where the raw results go (default bench/results/<date>-<commit>.json)
  --list             names workloads and contenders
  --help
`;

export function parseOptions(args: string[]): Options {
  checkNames(args);
  const { values } = parse(args);
  const defaults = values.quick ? QUICK : FULL;
  return {
    rounds: positive('rounds', values.rounds, defaults.rounds, Number.isInteger),
    seconds: positive('seconds', values.seconds, defaults.seconds),
    warmUp: defaults.warmUp,
    idleSeconds: defaults.idleSeconds,
    seed: positive('seed', values.seed, randomInt(1, 2 ** 32), Number.isInteger),
    workloads: selectWorkloads(values.filter ?? []),
    ...selectContenders(values.contender ?? [], values.all ?? false),
    json: values.json,
    list: values.list ?? false,
    help: values.help ?? false,
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({ args, options: accepted });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function checkNames(args: string[]): void {
  for (const [, name] of args.map((arg) => /^--([^=]+)/.exec(arg) ?? [])) {
    if (name === undefined || name in accepted) continue;
    throw unknown(
      'option',
      `--${name}`,
      Object.keys(accepted).map((option) => `--${option}`),
    );
  }
}

function positive(
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

function selectWorkloads(filters: string[]): readonly Workload[] {
  for (const filter of filters) {
    if (workloads.some(({ id }) => id.includes(filter))) continue;
    throw unknown(
      'workload',
      filter,
      workloads.map(({ id }) => id),
    );
  }
  if (filters.length === 0) return workloads;
  return workloads.filter(({ id }) => filters.some((filter) => id.includes(filter)));
}

function selectContenders(names: string[], all: boolean): Pick<Options, 'contenders' | 'leftOut'> {
  const known = contenders.map(({ id }) => id);
  for (const name of names) {
    if (!known.includes(name)) throw unknown('contender', name, known);
  }
  if (names.length > 0)
    return { contenders: known.filter((id) => names.includes(id)), leftOut: [] };
  const leftOut = all ? [] : contenders.filter(({ onRequest }) => onRequest).map(({ id }) => id);
  return { contenders: known.filter((id) => !leftOut.includes(id)), leftOut };
}

function unknown(kind: string, name: string, known: readonly string[]): UsageError {
  return new UsageError(`no ${kind} is called '${name}'; did you mean '${nearest(name, known)}'?`);
}
