import { contenders } from './contenders/index.js';
import { formatSize } from './units.js';
import { unknown, UsageError } from './usage.js';
import { families, workloads } from './workloads/index.js';
import { presetWorkloads } from './workloads/preset-workloads.js';
import type { Point, Workload } from './workloads/workload.js';

/** What was asked for on the command line. */
export interface Wanted {
  filters: readonly string[];
  sizes: readonly number[];
  connections: readonly number[];
  rates: readonly number[];
  contenders: readonly string[];
  /** Also the contenders that run on request. */
  allContenders: boolean;
  /** Also the workloads that do. */
  allWorkloads: boolean;
}

export interface Selection {
  workloads: readonly Workload[];
  contenders: readonly string[];
  /** What is left out because nobody asked for it: contenders, workloads. */
  leftOut: readonly string[];
}

export function select(wanted: Wanted): Selection {
  const chosen = withPoints(chooseWorkloads(wanted), wanted);
  const { contenders: ids, leftOut } = chooseContenders(wanted);
  for (const id of wanted.contenders) {
    if (chosen.some((workload) => workload.contenders.includes(id))) continue;
    throw new UsageError(cannotRun(id, chosen));
  }
  const runnable = chosen.filter((workload) => workload.contenders.some((id) => ids.includes(id)));
  if (runnable.length === 0) {
    const needed = [...new Set(chosen.flatMap((workload) => workload.contenders))];
    throw new UsageError(
      `${chosen.map(({ id }) => id).join(', ')}: run only by ${needed.join(', ')}; ask for them with --contender or --all`,
    );
  }
  return { workloads: runnable, contenders: ids, leftOut };
}

function cannotRun(contender: string, chosen: readonly Workload[]): string {
  const others = workloads.filter((workload) => workload.contenders.includes(contender));
  const names = others.map(({ id }) => id).join(', ') || 'nothing by itself';
  return `${contender} does not run ${chosen.map(({ id }) => id).join(', ')}; it runs ${names}`;
}

function chooseWorkloads({ filters, allWorkloads }: Wanted): readonly Workload[] {
  if (filters.length === 0) return workloads.filter(({ onRequest }) => allWorkloads || !onRequest);
  const everything = [
    ...workloads,
    ...presetWorkloads.filter(({ id }) => !workloads.some((workload) => workload.id === id)),
  ];
  return [
    ...new Set(
      filters.flatMap((filter) => {
        const exact = everything.filter(({ id }) => id === filter);
        const found = exact.length > 0 ? exact : workloads.filter(({ id }) => id.includes(filter));
        if (found.length === 0) {
          throw unknown(
            'workload',
            filter,
            everything.map(({ id }) => id),
          );
        }
        return found;
      }),
    ),
  ].sort((a, b) => everything.indexOf(a) - everything.indexOf(b));
}

/** Puts the sizes, connections and rates that were asked for in the place of the usual ones. */
function withPoints(
  chosen: readonly Workload[],
  { sizes, connections, rates }: Wanted,
): readonly Workload[] {
  const axes: [keyof Point, string, readonly number[]][] = [
    ['messageSize', '--size', sizes],
    ['connections', '--connections', connections],
    ['rate', '--rate', rates],
  ];
  const asked = axes.filter(([, , values]) => values.length > 0);
  if (asked.length === 0) return chosen;
  const made = new Map<string, Workload>();
  for (const { id, family, point } of chosen) {
    for (const [axis, option] of asked) {
      if (point[axis] !== undefined && families[family]) continue;
      throw new UsageError(`${option} does not go with ${id}, which has no such choice`);
    }
    let points: Point[] = [point];
    for (const [axis, , values] of asked) {
      points = points.flatMap((before) => values.map((value) => ({ ...before, [axis]: value })));
    }
    for (const wanted of points) {
      const workload = families[family](wanted);
      made.set(workload.id, workload);
    }
  }
  return [...made.values()];
}

function chooseContenders({
  contenders: names,
  allContenders,
}: Wanted): Pick<Selection, 'contenders' | 'leftOut'> {
  const ordinary = contenders.filter(({ selfTest }) => !selfTest);
  const known = contenders.map(({ id }) => id);
  for (const name of names) {
    if (!known.includes(name)) throw unknown('contender', name, known);
  }
  if (names.length > 0)
    return { contenders: known.filter((id) => names.includes(id)), leftOut: [] };
  const leftOut = allContenders
    ? []
    : ordinary.filter(({ onRequest }) => onRequest).map(({ id }) => id);
  return {
    contenders: ordinary.map(({ id }) => id).filter((id) => !leftOut.includes(id)),
    leftOut,
  };
}

/** A point in words. */
export function describePoint({ messageSize, connections, rate }: Point): string {
  return [
    messageSize === undefined ? '' : formatSize(messageSize),
    connections === undefined ? '' : `${connections} connections`,
    rate === undefined ? '' : `${rate}/s`,
  ]
    .filter(Boolean)
    .join(', ');
}
