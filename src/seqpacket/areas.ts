/** Memory that batches are borrowed from: as large as the area that all sockets share, and used again and again. */
import { debugBuild } from '../binding';
import { MESSAGE_AREA_SIZE } from '../engine/records';
import type { MessageBatch } from './batch';

/** Areas that are kept although nobody needs them now. */
const SPARE = 4;
const POISON = 0xdb;

const spare: Buffer[] = [];

/** Released memory is overwritten, so that whoever still looks at it sees that it is gone. */
const poisons = debugBuild || (process.env['AFUNIX_DEBUG'] ?? '0') !== '0';

export function takeArea(): Buffer {
  return spare.pop() ?? Buffer.allocUnsafeSlow(MESSAGE_AREA_SIZE);
}

export function giveArea(area: Buffer): void {
  // A user may have detached it.
  if (area.length === MESSAGE_AREA_SIZE && spare.length < SPARE) spare.push(area);
}

/** What the batch had borrowed is given back. */
export function giveAreaOf(batch: MessageBatch): void {
  const last = batch.length - 1;
  if (poisons) batch.bytes.fill(POISON, 0, (batch.offsets[last] ?? 0) + (batch.lengths[last] ?? 0));
  giveArea(batch.bytes);
}
