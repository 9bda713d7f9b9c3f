/**
 * A process that performs programs over one implementation: `node:net`, `afunix`, or what `afunix/register` makes of `node:net`. It does as
 * its parent tells it.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import type * as Net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { textOf } from './compare';
import { make, perform, type Program } from './kinds';
import type { World } from './perform';
import type { Recording } from './recorder';

export type Way = 'net' | 'import' | 'register';

export type Request =
  | {
      readonly do: 'numbers';
      readonly seed: number;
      readonly from: number;
      readonly count: number;
      readonly kinds: readonly string[] | undefined;
    }
  | { readonly do: 'programs'; readonly programs: readonly Program[] }
  /** What was seen of these programs of the last batch. */
  | { readonly do: 'recordings'; readonly places: readonly number[] };

export type Answer =
  | { readonly digests: readonly string[] }
  | { readonly recordings: readonly Recording[] }
  | { readonly failed: string };

const way = process.argv[2] as Way;

function load(): typeof Net {
  const name = way === 'import' ? 'afunix' : 'node:net';
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  return require(name) as typeof Net;
}

const folder = mkdtempSync(join(tmpdir(), 'afd-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

let addresses = 0;
const world: World = {
  net: load(),
  address(pathname) {
    addresses += 1;
    return pathname ? join(folder, String(addresses)) : `\0afd-${process.pid}-${addresses}`;
  },
};

let last: Recording[] = [];
let warm = false;

/** Opens the descriptors that are opened once and then kept. */
async function warmUp(): Promise<void> {
  warm = true;
  await perform(world, make(0, 0));
}

async function batch(programs: readonly Program[]): Promise<Answer> {
  if (!warm) await warmUp();
  last = [];
  const digests: string[] = [];
  for (const program of programs) {
    const recording = await perform(world, program);
    last.push(recording);
    digests.push(createHash('md5').update(textOf(recording)).digest('base64'));
  }
  return { digests };
}

async function answer(request: Request): Promise<Answer> {
  switch (request.do) {
    case 'numbers': {
      const { seed, from, count, kinds } = request;
      return batch(Array.from({ length: count }, (_, index) => make(seed, from + index, kinds)));
    }
    case 'programs':
      return batch(request.programs);
    case 'recordings':
      return { recordings: request.places.map((place) => last[place]) };
  }
}

process.on('message', (request: Request) => {
  void answer(request)
    .catch((error: unknown) => ({
      failed: error instanceof Error ? String(error.stack) : String(error),
    }))
    .then((reply) => process.send?.(reply));
});
process.on('disconnect', () => process.exit());
