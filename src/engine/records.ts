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
export const RING_BUFFER_SIZE = READ_SIZE;
export const RING_BUFFER_COUNT = 128;
export const RECEIVE_MEMORY_SIZE = RECEIVE_AREA_SIZE + RING_BUFFER_COUNT * RING_BUFFER_SIZE;
export const SLAB_COUNT = 4;
export const DESCRIPTOR_CAPACITY = 1024;

/** Columns of the table of peers, which has a row for each that a completion or a message names. */
export const PEER = { pid: 0, uid: 1, gid: 2, pidfd: 3, width: 4 } as const;
/** Instead of a row of it: whoever was told last on the same connection. */
export const SAME_WRITER = -2;

/** Columns of the table of received messages, each `MESSAGE_ROWS` long; the last three only where a flag says so. */
export const RECEIVED = {
  offset: 0,
  length: 1,
  fullLength: 2,
  flags: 3,
  descriptorCount: 4,
  descriptorPlace: 5,
  peer: 6,
  width: 7,
} as const;
/** Columns of the table of messages to send, each `OUTGOING_ROWS` long. */
export const OUTGOING = { offset: 0, length: 1, width: 2 } as const;

export const MESSAGE_AREA_SIZE = 4 * 1024 * 1024;
export const MESSAGE_ALIGNMENT = 64;
export const MESSAGE_BUDGET = 256;
export const MESSAGE_ROWS = 1024;
export const OUTGOING_ROWS = 2048;
export const PEER_ROWS = COMPLETION_CAPACITY + MESSAGE_ROWS;

/** Flags of a received message. */
export const MESSAGE_TRUNCATED = 1;
export const DESCRIPTORS_DROPPED = 2;
export const DESCRIPTORS_CAME = 4;
export const CREDENTIALS_CAME = 8;

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
  messages: 13,
  credentials: 14,
} as const;

/** What is asked for. */
export const Ask = {
  write: 1,
  writePayload: 2,
  send: 3,
  sendPayload: 4,
  shutdown: 5,
  readStart: 6,
  readStop: 7,
  readTargets: 8,
  close: 9,
} as const;

/** The length of `readStop`: how somebody stops reading. */
export const ReadStop = {
  plain: 0,
  /** The end is told all the same, once nothing else is left to read: messages only. */
  watchEnd: 1,
  /** It goes on as soon as its user has done something with what came, and counts as reading. */
  awaitUser: 2,
} as const;

/** The outcome of a submission that a completion will tell. */
export const PENDING = 1;
