/**
 * The layout of the two tables, as `native/engine/records.h` and `native/engine/budgets.h` have it. The addon test
 * compares the two.
 */

/** Columns of a completion row. */
export const COMPLETION = { handle: 0, kind: 1, offset: 2, result: 3, flags: 4, width: 5 } as const;

/** Columns of a submission row. The engine overwrites `offset` with the outcome. */
export const SUBMISSION = { handle: 0, kind: 1, offset: 2, length: 3, width: 4 } as const;

export const COMPLETION_CAPACITY = 1024;
export const SUBMISSION_CAPACITY = 1024;
export const SEND_AREA_SIZE = 256 * 1024;
export const READ_SIZE = 64 * 1024;
export const RECEIVE_AREA_SIZE = 5 * READ_SIZE;
/** Behind it: the buffers that an io_uring fills. */
export const RING_BUFFER_SIZE = 8 * 1024;
export const RING_BUFFER_COUNT = 128;
export const RECEIVE_MEMORY_SIZE = RECEIVE_AREA_SIZE + RING_BUFFER_COUNT * RING_BUFFER_SIZE;
export const SLAB_COUNT = 4;
export const DESCRIPTOR_CAPACITY = 1024;

/** What happened. */
export const Happened = {
  connected: 1,
  accepted: 2,
  data: 3,
  slabData: 4,
  targetData: 5,
  end: 6,
  readError: 7,
  written: 8,
  shutdown: 9,
  closed: 10,
  dropped: 11,
  descriptors: 12,
} as const;

/** What is asked for. */
export const Ask = {
  write: 1,
  writePayload: 2,
  shutdown: 3,
  readStart: 4,
  readStop: 5,
  readTargets: 6,
  close: 7,
} as const;

/** The outcome of a submission that a completion will tell. */
export const PENDING = 1;
