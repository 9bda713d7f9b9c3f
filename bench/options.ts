import { randomInt } from 'node:crypto';

import { CORES, type Cores } from './cpu-placement.js';
import { presetById } from './presets/index.js';
import type { Preset } from './presets/preset.js';
import { select, type Selection } from './selection.js';
import { oneOf, parseCommandLine, positive, positiveList, UsageError } from './usage.js';

/** How a run measures; with the selection, all that its cells depend on. */
export interface Method {
  rounds: number;
  seconds: number;
  warmUp: number;
  idleSeconds: number;
  /** No workload opens more, unless the number is what tells it from others: `echo-1000` keeps to its name. */
  mostConnections: number;
  seed: number;
  cores: Cores;
  /** Whether system calls and allocations are counted, in cells of their own. */
  inspect: boolean;
  /** Seconds that a cell may take beside what it measures. */
  patience: number;
  preset?: string;
}

export interface Options extends Method, Selection {
  json: string | undefined;
  csv: string | undefined;
  html: string | undefined;
  /** Results to go on with instead of a run of one's own. */
  resume: string | undefined;
  help: boolean;
}

// The warm-up is what it takes to have everything compiled: with less, http is half as fast.
const USUAL = {
  rounds: 5,
  seconds: 1,
  warmUp: 0.75,
  idleSeconds: 2,
  mostConnections: Number.MAX_SAFE_INTEGER,
  inspect: false,
};
const QUICK = {
  rounds: 2,
  seconds: 0.15,
  warmUp: 0.3,
  idleSeconds: 0.3,
  mostConnections: 2_000,
  inspect: false,
};
const FULL = { ...USUAL, inspect: true };
const PATIENCE = 20;

const accepted = {
  quick: { type: 'boolean' },
  full: { type: 'boolean' },
  all: { type: 'boolean' },
  preset: { type: 'string' },
  rounds: { type: 'string' },
  seconds: { type: 'string' },
  seed: { type: 'string' },
  cores: { type: 'string' },
  inspect: { type: 'boolean' },
  patience: { type: 'string' },
  filter: { type: 'string', multiple: true },
  workload: { type: 'string', multiple: true },
  contender: { type: 'string', multiple: true },
  size: { type: 'string' },
  connections: { type: 'string' },
  rate: { type: 'string' },
  json: { type: 'string' },
  csv: { type: 'string' },
  html: { type: 'string' },
  resume: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

export const runHelp = `Usage: bench [run] [options]

  --quick            ${QUICK.rounds} short rounds instead of ${USUAL.rounds}: under two minutes
  --full             everything: ${FULL.rounds} rounds of all workloads and contenders, and an inspection
  --preset NAME      a published comparison (bench list names them)
  --filter TEXT      only workloads whose name is or contains TEXT (may be repeated); also --workload
  --contender NAME   only this contender (may be repeated)
  --all              also the contenders that are not JavaScript or not Node, where they can be had
  --size LIST        bytes of a message, as 128,4K,1M, instead of the workload's own
  --connections LIST connections, as 1,10,100
  --rate LIST        messages per second of the workloads that keep to a rate
  --rounds N         rounds; in each, every contender runs every workload once
  --seconds S        seconds measured per cell
  --cores WHERE      different (default), same, or any: where the two processes run
  --inspect          counts system calls and allocations afterwards, in cells of their own
  --patience S       seconds that a cell may take beside what it measures (${PATIENCE})
  --seed N           repeats the order of an earlier run
  --json FILE        where the results go (default bench/results/<date>-<commit>.json)
  --csv FILE         every sample as a line, too
  --html FILE        a report with charts, too
  --resume FILE      goes on with a run that was interrupted
  --help
`;

export function parseOptions(args: string[]): Options {
  const { values, positionals } = parseCommandLine(args, accepted);
  if (positionals.length > 0) throw new UsageError(`'${positionals[0]}' is no option of run`);
  if (values.quick && values.full) throw new UsageError('--quick and --full exclude each other');
  onlyWith('--preset', values.preset, values, CHOICES);
  onlyWith('--resume', values.resume, values, [...CHOICES, ...METHOD]);
  const preset = values.preset === undefined ? undefined : presetById(values.preset);
  const usual = values.quick ? QUICK : values.full ? FULL : USUAL;
  const defaults = { ...usual, ...(values.quick ? {} : preset?.method) };
  return {
    rounds: positive('rounds', values.rounds, defaults.rounds, Number.isInteger),
    seconds: positive('seconds', values.seconds, defaults.seconds),
    warmUp: defaults.warmUp,
    idleSeconds: defaults.idleSeconds,
    mostConnections: defaults.mostConnections,
    seed: positive('seed', values.seed, randomInt(1, 2 ** 32), Number.isInteger),
    cores: oneOf('cores', values.cores, CORES, 'different'),
    inspect: values.inspect ?? defaults.inspect,
    patience: positive('patience', values.patience, PATIENCE),
    preset: preset?.id,
    ...(preset
      ? ofPreset(preset, values.contender)
      : select({
          filters: [...(values.filter ?? []), ...(values.workload ?? [])],
          sizes: positiveList('size', values.size),
          connections: positiveList('connections', values.connections),
          rates: positiveList('rate', values.rate),
          contenders: values.contender ?? [],
          allContenders: values.all ?? values.full ?? false,
          allWorkloads: values.full ?? false,
        })),
    json: values.json,
    csv: values.csv,
    html: values.html,
    resume: values.resume,
    help: values.help ?? false,
  };
}

/** Options that say what is measured, and how. */
const CHOICES = ['filter', 'workload', 'size', 'connections', 'rate', 'all', 'full'];
const METHOD = [
  ...['preset', 'contender', 'quick', 'rounds', 'seconds', 'seed', 'cores', 'inspect'],
  'patience',
];

/** A preset, and a run that is resumed, bring their own: what would be ignored is refused. */
function onlyWith(
  option: string,
  value: string | undefined,
  given: Record<string, unknown>,
  refused: readonly string[],
): void {
  const other = refused.find((name) => given[name] !== undefined);
  if (value === undefined || other === undefined) return;
  throw new UsageError(`${option} brings its own: --${other} does not go with it`);
}

function ofPreset(preset: Preset, names: string[] | undefined): Selection {
  const known = [...new Set(preset.workloads.flatMap(({ contenders }) => contenders))];
  const wrong = names?.find((name) => !known.includes(name));
  if (wrong !== undefined) {
    throw new UsageError(`${preset.id} does not run ${wrong}; it runs ${known.join(', ')}`);
  }
  return { workloads: preset.workloads, contenders: names ?? known, leftOut: [] };
}
