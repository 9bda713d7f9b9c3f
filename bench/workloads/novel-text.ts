import { randomBits } from '../random.js';

const LINES = 66_000;
const BYTES = 3_200_000;
const LONGEST = 2 * Math.round(BYTES / LINES) - 2;
const LETTERS = 'etaoinshrdlu cmfwyp vbgkj';

/** The lines of a long book, made up from a seed: as many and as long as the published one had. */
export function novelLines(): Buffer[] {
  const bits = randomBits(1862);
  const below = (limit: number): number => Math.floor((bits() / 2 ** 32) * limit);
  return Array.from({ length: LINES }, () => {
    const length = 1 + below(LONGEST);
    let text = '';
    while (text.length < length) text += LETTERS[below(LETTERS.length)];
    return Buffer.from(`${text}\n`, 'latin1');
  });
}
