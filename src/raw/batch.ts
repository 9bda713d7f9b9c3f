/**
 * The table that describes a batch: rows of four integers. Received: where in the memory, how many bytes lie there, how many the
 * message had, and MSG_TRUNC or MSG_CTRUNC. Sent: where, how many bytes, how many of them the kernel took; the last is unused.
 */
import { outOfRange, wrongType } from '../checks';

export const BATCH_COLUMNS = 4;

export function rowsOf(table: unknown): number {
  if (!(table instanceof Int32Array)) throw wrongType('table', 'an instance of Int32Array', table);
  const rows = Math.floor(table.length / BATCH_COLUMNS);
  if (rows === 0) {
    throw outOfRange('table.length', `>= ${BATCH_COLUMNS}, a row of a batch`, table.length);
  }
  return rows;
}

/** The first row that is not within the memory. */
export function badRow(table: Int32Array, count: number, size: number): Error {
  for (let row = 0; row < count; row += 1) {
    const offset = table[BATCH_COLUMNS * row];
    const length = table[BATCH_COLUMNS * row + 1];
    if (offset < 0 || offset > size) {
      return outOfRange(`table[${BATCH_COLUMNS * row}]`, `an offset >= 0 && <= ${size}`, offset);
    }
    if (length < 0 || length > size - offset) {
      const place = `table[${BATCH_COLUMNS * row + 1}]`;
      return outOfRange(place, `a length >= 0 && <= ${size - offset}`, length);
    }
  }
  // Shared memory, and somebody has put it right meanwhile.
  return outOfRange('table', 'left alone while it is used', table);
}
