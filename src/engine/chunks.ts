/**
 * Chunks: how received bytes become the user's.
 *
 * A chunk handed out is its user's for ever, whatever they do to it or to the ArrayBuffer below it. So the engine never
 * writes to memory that a user has seen:
 *  - up to 4 KiB is copied out of the receive area into a pool of 8 KiB, which is all that such a chunk
 *    can keep from being collected;
 *  - longer chunks are copied to memory of exactly their size;
 *  - bulk reads land in a slab of 64 KiB directly. If they fill at least a quarter of it the slab goes with the chunk
 *    and the engine gets a fresh one; otherwise they are copied as above and the slab stays.
 */
import { markAsUntransferable } from 'node:worker_threads';
import { READ_SIZE, RECEIVE_MEMORY_SIZE, SLAB_COUNT } from './records';

const POOL_SIZE = 8 * 1024;
const LONGEST_POOLED = 4 * 1024;
/** Below this, copying word by word beats calling out. */
const LONGEST_BY_WORDS = 256;

/** Memory that the engine receives into, as bytes and as machine words. */
export interface ReceiveMemory {
  readonly bytes: Buffer;
  readonly words: Int32Array;
}

export function receiveMemory(size: number): ReceiveMemory {
  const bytes = Buffer.allocUnsafeSlow(size);
  return { bytes, words: new Int32Array(bytes.buffer) };
}

const streamMemory = receiveMemory(RECEIVE_MEMORY_SIZE);
export const receiveArea: Buffer = streamMemory.bytes;

export const slabs: Buffer[] = Array.from({ length: SLAB_COUNT }, () =>
  Buffer.allocUnsafeSlow(READ_SIZE),
);

let pool: Buffer;
let poolWords: Int32Array;
let poolUsed = POOL_SIZE;

function nextPool(): void {
  pool = Buffer.allocUnsafeSlow(POOL_SIZE);
  // It is shared by chunks of several sockets: moving it to a worker would empty all of them.
  markAsUntransferable(pool.buffer);
  poolWords = new Int32Array(pool.buffer);
  poolUsed = 0;
}

function pooled({ bytes, words }: ReceiveMemory, offset: number, length: number): Buffer {
  // A user may have detached the pool: its length is 0 then, and its words go nowhere.
  if (poolUsed + length > POOL_SIZE || pool.length === 0) nextPool();
  const start = poolUsed;
  if (length <= LONGEST_BY_WORDS) {
    // Both offsets are multiples of 8; what is copied beyond the end is overwritten by the next chunk.
    let from = offset >> 2;
    const last = from + ((length + 3) >> 2);
    for (let to = start >> 2; from < last;) poolWords[to++] = words[from++];
  } else {
    bytes.copy(pool, start, offset, offset + length);
  }
  poolUsed = (start + length + 7) & ~7;
  return pool.subarray(start, start + length);
}

function exactly(source: Buffer, offset: number, length: number): Buffer {
  const chunk = Buffer.allocUnsafeSlow(length);
  source.copy(chunk, 0, offset, offset + length);
  return chunk;
}

/** `length` bytes at `offset`, a multiple of 8, as the user's own. */
export function chunkFrom(memory: ReceiveMemory, offset: number, length: number): Buffer {
  return length <= LONGEST_POOLED
    ? pooled(memory, offset, length)
    : exactly(memory.bytes, offset, length);
}

/** The same of the receive area. */
export function chunkFromArea(offset: number, length: number): Buffer {
  return chunkFrom(streamMemory, offset, length);
}

/** The first `length` bytes of slab `index`, as the user's own. */
export function chunkFromSlab(index: number, length: number): Buffer {
  const slab = slabs[index];
  if (length * 4 < READ_SIZE) return exactly(slab, 0, length);
  slabs[index] = Buffer.allocUnsafeSlow(READ_SIZE);
  return length === READ_SIZE ? slab : slab.subarray(0, length);
}
