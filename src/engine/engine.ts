/**
 * The thread's engine, seen from JavaScript: what is asked for is gathered in the submission table and handed over
 * once per batch of events, or at the end of the current tick; what happened comes in batches and is passed to
 * whoever owns the handle.
 *
 * User code runs in the middle of all loops here and may throw. Every loop therefore keeps its position in module
 * state and goes on from there: the addon calls `dispatch` again, or a next tick does.
 */
import { native, type NativeBinding } from '../binding';
import { debug, debugging } from '../debug';
import { engineChannel } from '../diagnostics';
import { errnoException } from '../errors';
import { chosenEngine, engineRuns, uringReason } from './choice';
import { chunkFromArea, chunkFromSlab, receiveArea, slabs } from './chunks';
import { batchBegins, batchEnds } from './moment';
import {
  Ask,
  COMPLETION,
  COMPLETION_CAPACITY,
  DESCRIPTOR_CAPACITY,
  Happened,
  OUTGOING,
  OUTGOING_ROWS,
  PEER,
  PEER_ROWS,
  PENDING,
  SEND_AREA_SIZE,
  SUBMISSION,
  SUBMISSION_CAPACITY,
} from './records';
import { nextTick } from '../real-time';

/** What the engine tells the owner of a handle. */
export interface HandleOwner {
  /** How the last flush of a write ended. */
  writeOutcome: number;
  /** Its outcome is about to be passed on. */
  settling: boolean;
  /** Bytes in the send area that have not been flushed. */
  unflushed: number;
  /** Of a stream: bytes out of the send area that were flushed and that the kernel has not taken, or never will. */
  untaken: number;
  /** Somebody wants to know when what is written now has been taken. */
  readonly awaitsWrite: boolean;
  /** The kernel has not taken everything: no further write until `onWritten`. */
  blocked: boolean;
  /** The turn in which it was told something last. */
  toldIn: number;

  onConnected(status: number): void;
  /** `peer` is the row of `peers` with whoever connected. */
  onAccepted(handle: number, peer: number): void;
  onData(offset: number, length: number): void;
  onSlabData(slab: number, length: number): void;
  onTargetData(length: number): void;
  /** Rows `first` to `first + count` of the table of received messages are yours. */
  onMessages(first: number, count: number): void;
  onEnd(): void;
  onReadError(status: number): void;
  onWritten(status: number): void;
  onShutdown(status: number): void;
  onClosed(): void;
  onDropped(status: number, count: number): void;
  onDescriptors(place: number, count: number): void;
  /** What is told next was written by whoever is in this row of `peers`. */
  onCredentials(peer: number): void;
}

/**
 * The first requests of a batch, at most half of them, go out ahead of the rest, so that the peer works on them while we do on the others. Otherwise
 * two ends that answer each other would take turns, one asleep while the other works: docs/decisions/0010.
 */
const HEAD_START = 4;

/** Rounds of flushing inside one batch before the rest waits for the next tick. */
const FLUSH_ROUNDS = 16;

const completions = new Int32Array(COMPLETION_CAPACITY * COMPLETION.width);
const submissions = new Int32Array(SUBMISSION_CAPACITY * SUBMISSION.width);
export const sendArea: Buffer = Buffer.allocUnsafeSlow(SEND_AREA_SIZE);
/** Descriptors that came with what is told in this batch; the engine's until they are claimed. */
export const descriptorNumbers: Int32Array = new Int32Array(DESCRIPTOR_CAPACITY);
/** Who connected, by the rows that completions name; read before the next batch. */
export const peers: Int32Array = new Int32Array(PEER_ROWS * PEER.width);
/** Messages to send; only message sockets use it. */
export const outgoing: Int32Array = new Int32Array(OUTGOING_ROWS * OUTGOING.width);
export const targets: (Uint8Array | undefined)[] = [];
export const payloads: (Uint8Array | Uint8Array[] | undefined)[] = [];

const owners: (HandleOwner | undefined)[] = [];

/** A handle that nobody has. */
const NOBODY = -1;

let attached = false;
let submitted = 0;
let sendUsed = 0;
let outgoingUsed = 0;

let inBatch = false;
let settling = false;
let batchCursor = 0;
let batchSize = 0;
/** So many requests and they go out in the middle of the batch. */
let headStart = Infinity;
/** Whether a flush costs about the same, however much there is to carry out. */
let submitsAtOnce = false;
/** Calls of `dispatch` so far. */
let turn = 0;
let flushScheduled = false;

/** Owners whose write outcome has not been passed on yet; their `writeOutcome` says which. */
let settled: HandleOwner[] = [];
let settledCursor = 0;

/** The addon; its engine has been started. */
export function engine(): NativeBinding {
  if (native === null) throw new Error('afunix: there is no addon');
  const status = startEngine();
  if (status !== 0) throw errnoException(status, 'epoll_create1');
  return native;
}

/** 0, or −errno if there is no descriptor or memory for an engine now; it can be tried again. */
export function startEngine(): number {
  if (attached || native === null) return 0;
  const memory = {
    completions,
    submissions,
    sendArea,
    receiveArea,
    slabs,
    targets,
    payloads,
    descriptors: descriptorNumbers,
    peers,
  };
  let choice = chosenEngine();
  let status = native.attach(memory, dispatch, choice.engine === 'io_uring');
  if (status !== 0 && choice.engine === 'io_uring') {
    choice = { engine: 'epoll', reason: uringReason(status) };
    status = native.attach(memory, dispatch, false);
  }
  if (status !== 0) return status;
  engineRuns(choice);
  submitsAtOnce = choice.engine === 'io_uring';
  attached = true;
  const { engine: name, reason } = choice;
  if (debugging) debug('engine: %s%s', name, reason === undefined ? '' : ` (${reason})`);
  if (engineChannel.hasSubscribers) engineChannel.publish({ ...choice });
  // First: one that was there before may throw.
  process.prependListener('exit', flushAtExit);
  if (defaultBusyPoll > 0) native.setBusyPoll(-1, defaultBusyPoll);
  return 0;
}

/** There are no more ticks: what is written from now on goes out at once. */
let exiting = false;

/** What was written in the last tick must not be lost: `net` would have passed it to the kernel at once. */
function flushAtExit(): void {
  exiting = true;
  flush();
}

let defaultBusyPoll = 0;

/** Busy polling for every socket of this thread, in microseconds. */
export function setDefaultBusyPoll(microseconds: number): void {
  defaultBusyPoll = microseconds;
  if (attached) engine().setBusyPoll(-1, microseconds);
}

export function isAttached(): boolean {
  return attached;
}

export function own(handle: number, owner: HandleOwner): void {
  owners[handle] = owner;
}

/** Puts one request at the end of the submission table. */
export function submit(handle: number, kind: number, offset: number, length: number): void {
  if (submitted === SUBMISSION_CAPACITY) flush();
  const row = submitted++ * SUBMISSION.width;
  submissions[row] = handle;
  submissions[row + 1] = kind;
  submissions[row + 2] = offset;
  submissions[row + 3] = length;
  flushSoon();
}

/** Sees to it that what was submitted is flushed, unless whoever is running now will do it anyway. */
function flushSoon(): void {
  if (exiting) flush();
  if (inBatch || settling || flushScheduled) return;
  flushScheduled = true;
  nextTick(flushTick);
}

/** Where up to `length` bytes may be put into the send area now. */
export function reserve(length: number): number {
  // A full table would be flushed between the copying and its row, and the area begin anew.
  if (sendUsed + length > SEND_AREA_SIZE || submitted === SUBMISSION_CAPACITY) flush();
  return sendUsed;
}

/** The same for one message. */
export function reserveMessage(length: number): number {
  if (outgoingUsed === OUTGOING_ROWS) flush();
  return reserve(length);
}

/** Sends the message of `length` bytes that was put where `reserveMessage` said. */
export function submitMessage(handle: number, owner: HandleOwner, length: number): void {
  const message = outgoingUsed++;
  outgoing[message] = sendUsed;
  outgoing[OUTGOING_ROWS + message] = length;
  sendUsed += length;
  owner.unflushed += length;
  if (submitted > 0) {
    // Neighbouring messages of one socket leave in one system call.
    const last = (submitted - 1) * SUBMISSION.width;
    if (submissions[last] === handle && submissions[last + 1] === Ask.send) {
      submissions[last + 3] += 1;
      return;
    }
  }
  submit(handle, Ask.send, message, 1);
}

/** Sends the `length` bytes that were put where `reserve` said. */
export function submitWrite(handle: number, owner: HandleOwner, length: number): void {
  const offset = sendUsed;
  sendUsed += length;
  owner.unflushed += length;
  if (submitted > 0) {
    // Neighbouring writes of one socket leave in one system call.
    const last = (submitted - 1) * SUBMISSION.width;
    if (submissions[last] === handle && submissions[last + 1] === Ask.write) {
      submissions[last + 3] += length;
      return;
    }
  }
  submit(handle, Ask.write, offset, length);
}

function flushTick(): void {
  flushScheduled = false;
  settleAll();
}

/** Hands the submission table to the engine, and says whether there is `more` at once. Outcomes are kept for `settle`. */
export function flush(more = false): void {
  const count = submitted;
  if (count === 0) return;
  engine().flush(count, more);
  submitted = 0;
  sendUsed = 0;
  outgoingUsed = 0;
  for (let row = 0; row < count * SUBMISSION.width; row += SUBMISSION.width) {
    const kind = submissions[row + 1];
    if (kind > Ask.sendPayload) continue;
    const owner = owners[submissions[row]];
    if (owner === undefined) continue;
    const outcome = submissions[row + 2];
    owner.unflushed = 0;
    if (outcome !== 0 && kind === Ask.write) owner.untaken += submissions[row + 3];
    if (outcome === PENDING) {
      owner.blocked = true;
    } else if (outcome !== 0 || owner.awaitsWrite) {
      if (!owner.settling) {
        owner.settling = true;
        owner.writeOutcome = outcome;
        settled.push(owner);
      } else if (owner.writeOutcome === 0) {
        // What failed first is told, however many flushes there are before it can be.
        owner.writeOutcome = outcome;
      }
    }
  }
  // A flush in the middle of somebody's code: outcomes are passed on later.
  if (settled.length > 0) flushSoon();
}

/** Passes outcomes on to their owners. */
function settle(): void {
  if (settled.length === 0) return;
  while (settledCursor < settled.length) {
    const owner = settled[settledCursor++];
    // It may have been passed on already, see Connection.writePayload.
    if (!owner.settling) continue;
    owner.settling = false;
    if (!owner.blocked) owner.onWritten(owner.writeOutcome);
  }
  // Setting its length is a call into the runtime, which costs more than a new one.
  settled = [];
  settledCursor = 0;
}

function settleAll(): void {
  settling = true;
  try {
    for (let round = 0; round < FLUSH_ROUNDS && hasWork(); ++round) {
      flush();
      settle();
    }
  } finally {
    settling = false;
    if (hasWork()) flushSoon();
  }
}

function hasWork(): boolean {
  return submitted > 0 || settled.length > 0;
}

/**
 * Called by the addon with a batch, and with 0 for each exception that came out of it or of the ticks behind it, and for the next turn. True:
 * there is more, for another turn: ticks and promises run between two events of one owner, as they do in `net`, where somebody may await
 * one to listen for the next.
 */
function dispatch(count: number): boolean {
  if (count > 0) {
    inBatch = true;
    batchBegins();
    batchCursor = 0;
    batchSize = count;
    if (count > 1) acceptedFirst(count);
    headStart = submitsAtOnce && count > 1 ? Math.min(HEAD_START, count >> 1) : Infinity;
  }
  if (!inBatch) return false;
  ++turn;
  while (batchCursor < batchSize) {
    const row = batchCursor * COMPLETION.width;
    const owner = owners[completions[row]];
    if (owner !== undefined) {
      if (owner.toldIn === turn) return true;
      owner.toldIn = turn;
    }
    if (submitted >= headStart) {
      headStart = Infinity;
      flush(true);
    }
    // First, so that whoever throws, or asks for what is untold, has had it.
    ++batchCursor;
    deliver(row, owner);
  }
  settleAll();
  inBatch = false;
  batchEnds();
  if (hasWork()) flushSoon();
  return false;
}

/** Bytes of `handle` in the batch under way that are told next; 0 if none are. */
export function untoldLength(handle: number): number {
  for (let index = batchCursor; index < batchSize; ++index) {
    const row = index * COMPLETION.width;
    if (completions[row] !== handle) continue;
    const kind = completions[row + 1];
    const isData =
      kind === Happened.data || kind === Happened.slabData || kind === Happened.targetData;
    if (isData) return completions[row + 3];
  }
  return 0;
}

/**
 * Of the two ends of a connection inside one thread, `net` tells the server first: it finds the listener ready before it looks at the
 * clients, and takes one connection then. The engine knows of the client's when `connect()` returns, and tells it at the front of the batch.
 */
function acceptedFirst(count: number): void {
  const { width } = COMPLETION;
  let first = 0;
  while (first < count && completions[first * width + 1] === Happened.closed) ++first;
  if (first === count || completions[first * width + 1] !== Happened.connected) return;
  const place = first * width;
  let row = place;
  while (row < count * width && completions[row + 1] !== Happened.accepted) row += width;
  if (row === count * width) return;
  const accepted = completions.slice(row, row + width);
  completions.copyWithin(place + width, place, row);
  completions.set(accepted, place);
}

/**
 * Takes the bytes of `handle` that are in the batch under way and have not been told, in order: whoever gives the
 * connection away has to pass them on.
 */
export function takeUntold(handle: number): Buffer[] {
  const taken: Buffer[] = [];
  for (let index = batchCursor; index < batchSize; ++index) {
    const row = index * COMPLETION.width;
    if (completions[row] !== handle) continue;
    const offset = completions[row + 2];
    const length = completions[row + 3];
    const kind = completions[row + 1];
    if (kind === Happened.data) taken.push(chunkFromArea(offset, length));
    else if (kind === Happened.slabData) taken.push(chunkFromSlab(offset, length));
    else if (kind === Happened.targetData) {
      // The user's own memory, which the next read may go into.
      taken.push(Buffer.from(targets[handle]?.subarray(0, length) ?? []));
    } else continue;
    completions[row] = NOBODY;
  }
  return taken;
}

/** The same for messages: the rows of each piece, first and how many. They are in the table while the batch lasts. */
export function takeUntoldMessages(handle: number): [first: number, count: number][] {
  const taken: [number, number][] = [];
  for (let index = batchCursor; index < batchSize; ++index) {
    const row = index * COMPLETION.width;
    if (completions[row] !== handle || completions[row + 1] !== Happened.messages) continue;
    taken.push([completions[row + 2], completions[row + 3]]);
    completions[row] = NOBODY;
  }
  return taken;
}

function deliver(row: number, owner: HandleOwner | undefined): void {
  const handle = completions[row];
  const result = completions[row + 3];
  switch (completions[row + 1]) {
    case Happened.data:
      owner?.onData(completions[row + 2], result);
      return;
    case Happened.slabData:
      owner?.onSlabData(completions[row + 2], result);
      return;
    case Happened.targetData:
      owner?.onTargetData(result);
      return;
    case Happened.messages:
      owner?.onMessages(completions[row + 2], result);
      return;
    case Happened.connected:
      owner?.onConnected(result);
      return;
    case Happened.accepted:
      if (owner === undefined) submit(result, Ask.close, 0, 0);
      else owner.onAccepted(result, completions[row + 2]);
      return;
    case Happened.end:
      owner?.onEnd();
      return;
    case Happened.readError:
      owner?.onReadError(result);
      return;
    case Happened.written:
      if (owner === undefined) return;
      owner.blocked = false;
      owner.onWritten(result);
      return;
    case Happened.shutdown:
      owner?.onShutdown(result);
      return;
    case Happened.closed:
      owners[handle] = undefined;
      targets[handle] = undefined;
      payloads[handle] = undefined;
      owner?.onClosed();
      return;
    case Happened.descriptors:
      owner?.onDescriptors(completions[row + 2], result);
      return;
    case Happened.credentials:
      owner?.onCredentials(completions[row + 2]);
      return;
    case Happened.dropped:
      owner?.onDropped(result, completions[row + 2]);
      return;
  }
}
