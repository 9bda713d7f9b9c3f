import { randomBits } from './random.js';

/** A prime, so that no message size and no slab size divides it: a lost or repeated piece shows. */
const PERIOD = 65_521;

const table = (() => {
  const bytes = Buffer.allocUnsafe(2 * PERIOD);
  const next = randomBits(1);
  for (let i = 0; i < PERIOD; i++) bytes[i] = bytes[i + PERIOD] = next() & 0xff;
  return bytes;
})();

/** The bytes [offset, offset + length) of an endless known sequence. */
export function patternAt(offset: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let done = 0; done < length;) {
    const start = (offset + done) % PERIOD;
    done += table.copy(bytes, done, start, Math.min(start + PERIOD, start + length - done));
  }
  return bytes;
}

/** Throws when `bytes` is not what the sequence has at `offset`. */
export function checkPattern(bytes: Buffer, offset: number): void {
  if (bytes.equals(patternAt(offset, bytes.length))) return;
  throw new Error(
    `wrong bytes: the ${bytes.length} bytes at offset ${offset} are not what was written there`,
  );
}
