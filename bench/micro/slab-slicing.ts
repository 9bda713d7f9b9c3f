import { loadChunks } from './engine-modules.js';
import type { MicroCase, MicroSuite } from './micro-suite.js';

const KIB = 1024;
const PER_RUN = 16;
const READ_SIZE = 64 * KIB;

const LENGTHS: readonly [name: string, length: number][] = [
  ['128 B', 128],
  ['1 KiB', KIB],
  ['4 KiB', 4 * KIB],
  ['16 KiB', 16 * KIB],
];

/** Keeps the last chunk reachable, so that making it cannot be optimised away. */
const kept: { chunk: Buffer | undefined } = { chunk: undefined };

function repeated(name: string, make: (i: number) => Buffer): MicroCase {
  return {
    name,
    operations: PER_RUN,
    run: () => {
      for (let i = 0; i < PER_RUN; i++) kept.chunk = make(i);
    },
  };
}

/** How received bytes become the user's own, beside what Node offers for the same. */
export const slabSlicing: MicroSuite = {
  id: 'slab-slicing',
  description: 'turning received bytes into chunks that belong to the user',
  prepare: () => {
    const { chunkFromArea, chunkFromSlab } = loadChunks();
    const source = Buffer.alloc(PER_RUN * 16 * KIB);
    return Promise.resolve([
      ...LENGTHS.flatMap(([name, length]) => [
        repeated(`${name}: a chunk from the receive area`, (i) =>
          chunkFromArea(i * length, length),
        ),
        repeated(`${name}: Buffer.from, for comparison`, (i) =>
          Buffer.from(source.subarray(i * length, (i + 1) * length)),
        ),
      ]),
      repeated('64 KiB: a whole slab handed over', () => chunkFromSlab(0, READ_SIZE)),
      repeated('64 KiB: fresh memory, for comparison', () => Buffer.allocUnsafeSlow(READ_SIZE)),
    ]);
  },
};
