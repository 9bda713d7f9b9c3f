/** Bytes that tell where they belong: those of one seed at one offset, and nowhere near it. */

/** A prime, so that no buffer, page or slab begins at the same place twice. */
const period = 65_521;

/** A generator that a number starts: the same numbers again for the same seed (mulberry32's constants). */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export type Random = ReturnType<typeof generator>;

export function below(random: Random, limit: number): number {
  return Math.floor(random() * limit);
}

/** Mostly short, sometimes long: up to `longest`, each order of magnitude as often as the others. */
export function someLength(random: Random, longest: number): number {
  return Math.max(1, Math.floor(longest ** random()));
}

const once = Buffer.alloc(period);
const random = generator(1);
for (let index = 0; index < period; index += 1) once[index] = below(random, 256);
const twice = Buffer.concat([once, once]);

/** A view of the bytes of `seed` from `offset` on, as many as lie together. */
function view(seed: number, offset: number, length: number): Buffer {
  const start = (seed + offset) % period;
  return twice.subarray(start, Math.min(start + length, twice.length));
}

export function patternOf(seed: number, offset: number, length: number): Buffer {
  const parts: Buffer[] = [];
  for (let done = 0; done < length;) {
    const part = view(seed, offset + done, length - done);
    parts.push(part);
    done += part.length;
  }
  return Buffer.concat(parts);
}

/** Compares what arrives with what was sent. */
export class Checker {
  offset = 0;

  constructor(private readonly seed: number) {}

  push(bytes: Buffer): void {
    for (let done = 0; done < bytes.length;) {
      const expected = view(this.seed, this.offset, bytes.length - done);
      const part = bytes.subarray(done, done + expected.length);
      if (!part.equals(expected)) {
        throw new Error(`seed ${this.seed}: other bytes at ${this.offset}, of ${bytes.length}`);
      }
      done += expected.length;
      this.offset += expected.length;
    }
  }

  finish(length: number): void {
    if (this.offset !== length) {
      throw new Error(`seed ${this.seed}: ${this.offset} bytes of ${length}`);
    }
  }
}
