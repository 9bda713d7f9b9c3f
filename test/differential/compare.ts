/** Whether two recordings of one program show the same; where they part if not, and whether that is meant. */
import type { Entry, Recording } from './recorder';

/** Where a lane of two recordings parts. */
export interface Difference {
  readonly lane: string;
  readonly expected: Part;
  readonly actual: Part;
}

/** One lane of one recording. */
export interface Part {
  readonly recording: Recording;
  readonly entries: readonly Entry[];
  /** The first entry that is not as in the other. */
  readonly place: number;
  /** Where that, or the recording's end, is among all entries. */
  readonly position: number;
}

export type Form = (entry: Entry) => string;

export const exact: Form = ({ text, state, sameTick }) =>
  `${sameTick ? '=' : ' '} ${text}${state === '' ? '' : `   [${state}]`}`;

export function laneOf(recording: Recording, lane: string): Entry[] {
  return recording.entries.filter((entry) => entry.lane === lane);
}

export function lanesOf(recording: Recording): Map<string, Entry[]> {
  const lanes = new Map<string, Entry[]>();
  for (const entry of recording.entries) {
    const lane = lanes.get(entry.lane);
    if (lane === undefined) lanes.set(entry.lane, [entry]);
    else lane.push(entry);
  }
  return lanes;
}

/** All lanes as one text; the order between sockets is not in it. */
export function textOf(recording: Recording): string {
  return [...lanesOf(recording)]
    .map(([lane, entries]) => `${lane}\n${entries.map(exact).join('\n')}`)
    .sort()
    .join('\n');
}

/** One for each lane that has one. */
export function differences(
  expected: Recording,
  actual: Recording,
  form: Form = exact,
): Difference[] {
  const left = lanesOf(expected);
  const right = lanesOf(actual);
  const found: Difference[] = [];
  for (const lane of [...new Set([...left.keys(), ...right.keys()])].sort()) {
    const a = left.get(lane) ?? [];
    const b = right.get(lane) ?? [];
    let place = 0;
    while (place < a.length && place < b.length && form(a[place]) === form(b[place])) place += 1;
    if (place === a.length && place === b.length) continue;
    found.push({ lane, expected: part(expected, a, place), actual: part(actual, b, place) });
  }
  return found;
}

function part(recording: Recording, entries: readonly Entry[], place: number): Part {
  const entry = entries[place];
  const position =
    entry === undefined ? recording.entries.length : recording.entries.indexOf(entry);
  return { recording, entries, place, position };
}

/** What stands at the place of the difference, for people and for telling kinds apart. */
export function headline({ lane, expected, actual }: Difference): string {
  const text = ({ entries, place }: Part): string => {
    const entry = entries[place];
    return entry === undefined ? '(nothing more)' : exact(entry);
  };
  return `${lane}: ${text(expected)} <> ${text(actual)}`;
}

/** The same for all differences of one kind. */
export function signature(difference: Difference): string {
  return headline(difference)
    .replace(/^([a-z]+)\d+/, '$1')
    .replace(/(bytes|text) \d+ \S+/g, '$1')
    .replace(/\d+/g, '#');
}
