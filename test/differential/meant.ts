/**
 * Differences that are meant. Each belongs to a row of docs/net-compatibility.md, "Deliberate differences", and without the row it is
 * a difference like any other.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Difference, Part } from './compare';
import type { Entry } from './recorder';

interface Meant {
  /** How the row begins. */
  readonly row: string;
  /** Whether the difference is one of these. */
  readonly explains: (difference: Difference) => boolean;
}

const page = join(__dirname, '../../../docs/net-compatibility.md');

/** The rows that a difference is looked up in. Fails if the page does not have one of them. */
export function readMeant(): readonly Meant[] {
  const section = readFileSync(page, 'utf8')
    .split('\n## ')
    .find((text) => text.startsWith('Deliberate differences'));
  const listed = [...(section ?? '').matchAll(/^\| ([^|]+?) \|/gm)].map(([, cell]) => cell);
  const missing = all.filter(({ row }) => !listed.some((cell) => cell.startsWith(row)));
  if (missing.length > 0)
    throw new Error(
      `docs/net-compatibility.md has no row for: ${missing.map(({ row }) => row).join('; ')}`,
    );
  return all;
}

/** The row that says that this difference is meant. */
export function rowOf(difference: Difference, meant: readonly Meant[]): string | undefined {
  return meant.find(({ explains }) => explains(difference))?.row;
}

const all: readonly Meant[] = [
  { row: 'which of two sockets is told first', explains: otherOrder },
  { row: 'clients that came together with the one whose listener', explains: endedByClose },
  { row: 'a socket that writes more than its queue holds', explains: fullQueue },
  { row: 'when short writes reach the kernel', explains: refusedLater },
  { row: 'when ticks and promises run', explains: tickBehindException },
  { row: 'when immediates run', explains: beforeImmediates },
];

/** What the other ends did until then came at another moment of this one, whose doings are the same: events of different sockets met otherwise. */
function otherOrder({ lane, expected, actual }: Difference): boolean {
  return interleaving(lane, expected) !== interleaving(lane, actual);
}

/** What was seen of this end, and what the others did in between that may have reached it. */
function interleaving(lane: string, { recording, position }: Part): string {
  const before = recording.entries.slice(0, position);
  const passesOn = before.some(({ text }) => /^pipe -> "(itself|[cs]\d)/.test(text));
  return before
    .filter((entry) => entry.lane === lane || reaches(entry, passesOn))
    .map((entry) => `${entry.lane} ${entry.text}`)
    .join('\n');
}

function reaches({ lane, kind, text }: Entry, passesOn: boolean): boolean {
  if (lane === 'server' || lane === 'process') return false;
  if (passesOn) return true;
  if (kind === 'event') return text.startsWith('close ');
  return /^(write|end|destroy|connectAgain|pause|resume|read|closeServer)/.test(text);
}

/** The server is closed; what `net` has not accepted is reset, and what we have accepted and not told of is ended. */
function endedByClose({ lane, expected, actual }: Difference): boolean {
  const left = expected.entries[expected.place];
  const right = actual.entries[actual.place];
  if (!lane.startsWith('c') || left === undefined || right === undefined) return false;
  const closed = expected.recording.entries
    .slice(0, expected.position)
    .some(({ text }) => text.startsWith('closeServer'));
  return closed && left.text.includes('ECONNRESET') && /^(connect|end)\b/.test(right.text);
}

/** Bytes, events and errors are the same; what waits in which queue, and for how long, is not. */
function fullQueue({ expected, actual }: Difference): boolean {
  if (!expected.recording.bulk && !actual.recording.bulk) return false;
  return summary(expected.entries) === summary(actual.entries);
}

function summary(entries: readonly Entry[]): string {
  const last = new Map<string, string>();
  const rest: string[] = [];
  for (const { text } of entries) {
    const chunk = /^(data|read|piped|iterated|onread)\b.* (\S+)$/.exec(text);
    if (chunk !== null) last.set(chunk[1], chunk[2]);
    else rest.push(text.replace(/^(write|writeMany) -> \w+$/, '$1'));
  }
  const skipped = /^(drain|pause|resume|readable|mark|in the end)/;
  return [...last, ...rest.filter((text) => !skipped.test(text)).sort()].join('\n');
}

/** The peer is gone: `net` knows in write(), afunix at the end of the tick. What else the tick does finds another socket; it ends with an error all the same. */
function refusedLater({ expected, actual }: Difference): boolean {
  const left = expected.entries[expected.place];
  const right = actual.entries[actual.place];
  if (left === undefined || right === undefined) return false;
  const knows = ({ text, state }: Entry): boolean =>
    state.includes(' errored') || text.includes('EPIPE');
  // The same error, which met a stream that had gone on.
  const sameError = left.text === right.text && /^error .*EPIPE/.test(left.text);
  if (!sameError && (!knows(left) || knows(right))) return false;
  return outcome(expected) === outcome(actual);
}

function outcome({ entries, place }: Part): string {
  const told = new Set(
    entries.slice(place).map(({ text }) => /^(error|close true)/.exec(text)?.[0]),
  );
  return [...told].sort().join();
}

/** Only the tick is another, behind an exception that nobody caught. */
function tickBehindException({ expected, actual }: Difference): boolean {
  const left = expected.entries[expected.place];
  const right = actual.entries[actual.place];
  if (left?.text !== right?.text || left?.state !== right?.state) return false;
  return expected.recording.entries
    .slice(0, expected.position)
    .some(({ text }) => text.startsWith('uncaught'));
}

/** What comes of a listener's doings inside this process, a close or an answer, may be told before the loop gets to its immediates. */
function beforeImmediates({ expected, actual }: Difference): boolean {
  const parts = [expected.entries[expected.place], actual.entries[actual.place]];
  const early = parts.filter((entry) => entry?.immediate);
  // What an action meets there decides what comes of it.
  if (early.some((entry) => entry?.kind === 'action')) return true;
  return early.length > 0 && summary(expected.entries) === summary(actual.entries);
}
