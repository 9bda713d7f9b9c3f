/** What this process has open, told by kind, so that a leak shows what leaked. */
import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const folder = '/proc/self/fd';

/** What scripts/test.mjs has Node's test runner write, which opens it whenever it gets to it: in the middle of the first test, if the machine is busy. */
const results = resolve(__dirname, '../../test-results');

/** How many descriptors there are of each kind: 'socket', 'anon_inode:[eventpoll]', a file's name, ... */
export type Census = ReadonlyMap<string, number>;

export function takeCensus(): Census {
  const census = new Map<string, number>();
  for (const number of readdirSync(folder)) {
    const kind = kindOf(number);
    if (kind !== undefined) census.set(kind, (census.get(kind) ?? 0) + 1);
  }
  return census;
}

/** Undefined for the descriptor that the reading of the folder itself needed, and for the test runner's. */
function kindOf(number: string): string | undefined {
  try {
    const target = readlinkSync(`${folder}/${number}`);
    if (target === `/proc/${process.pid}/fd` || target.startsWith(`${results}/`)) return undefined;
    return target.replace(/^(socket|pipe):\[\d+\]$/, '$1');
  } catch {
    return undefined;
  }
}

/** Kinds of which there are more than before, and how many more. */
export function grown(before: Census, after: Census): Record<string, number> {
  const growth: Record<string, number> = {};
  for (const [kind, count] of after) {
    const more = count - (before.get(kind) ?? 0);
    if (more > 0) growth[kind] = more;
  }
  return growth;
}

/**
 * Does it again and again and demands that no descriptor stays behind. The first few times are
 * not counted: an engine, or the loop, may open what it then keeps.
 */
export async function leavesNothingOpen(
  once: () => Promise<unknown>,
  repetitions = 200,
): Promise<void> {
  for (let round = 0; round < 3; round += 1) await once();
  const before = takeCensus();
  for (let round = 0; round < repetitions; round += 1) await once();
  const patience = 400;
  for (
    let wait = 0;
    wait < patience && Object.keys(grown(before, takeCensus())).length > 0;
    wait += 1
  )
    await delay(5);
  assert.deepEqual(
    grown(before, takeCensus()),
    {},
    `descriptors left open by ${repetitions} repetitions`,
  );
}
