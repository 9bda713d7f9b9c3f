/** Connection: the engine's side of one stream socket. A socket that connects again gets a new one. */
import type { PeerCredentials } from '../credentials/peer';
import { Writers } from '../credentials/writers';
import type { Descriptor } from '../descriptor';
import { DescriptorQuota, type DescriptorLimits } from '../descriptor-quota';
import { attachAll } from '../descriptor-sending';
import { chunkFromArea, chunkFromSlab } from '../engine/chunks';
import { flush, payloads, reserve, sendArea, submit, submitWrite, targets } from '../engine/engine';
import { Ask, ReadStop } from '../engine/records';
import { EngineConnection, type ConnectionUser } from '../engine/connection';
import { joined, LONGEST_COPIED, longestBytes, put } from './encodings';
import { HeldBackQueue, type HeldBack } from './held-back';
import { leftWith, loadOf } from './passing';
import { ECANCELED, Tellers } from './tellers';
import { nextTick, setImmediate } from '../real-time';

export type WriteCallback = (status: number) => void;

export const onChunk = Symbol('onChunk');
export const onTarget = Symbol('onTarget');
export const onDescriptors = Symbol('onDescriptors');
export const onCredentials = Symbol('onCredentials');

/** A stream socket, as its connection sees it. */
export interface StreamUser extends ConnectionUser {
  /** Something was sent or received. */
  _unrefTimer(): void;
  [onChunk](chunk: Buffer): void;
  /** `length` bytes are in the target that `readInto` named. */
  [onTarget](length: number): void;
  /** Descriptors came with the chunk that is told next; see `receiveDescriptors`. */
  [onDescriptors](place: number, count: number): void;
  /** What is told from here on was written by this one. */
  [onCredentials](writer: PeerCredentials): void;
}

/** A tick may gather this much for one socket before the kernel is asked to take it. */
const LONGEST_UNFLUSHED = 64 * 1024;

/** Parts that are handed over together: as many as one system call takes. The engine looks for its place among them each time. */
const MOST_PARTS = 64;

export interface Piece {
  readonly chunk: string | Uint8Array;
  readonly encoding: BufferEncoding;
}

export class Connection extends EngineConnection<StreamUser> {
  /** Bytes that went through the send area so far. */
  copied = 0;
  /** Who is told that the kernel has what they wrote. */
  readonly tellers = new Tellers(this);

  /** The stream has writes whose callbacks it calls itself: it may be done with them only when the kernel has them. */
  toldWhenTaken = false;
  /** What its socket was destroyed with. */
  destroyed: Error | null = null;

  /** The end came in one batch with what made its reader stop, who hears of it on reading on. */
  private endHeld = false;
  private writeCallback: WriteCallback | null = null;
  private writers: Writers | null = null;
  private quota: DescriptorQuota | null = null;
  private heldBack: HeldBackQueue | null = null;
  /** Who wants to know that a write has gone on. */
  private watchers: (() => void)[] = [];
  /** What has to wait until the kernel has taken what is pending; called with an error when it never will. */
  private afterBlocked: WriteCallback | null = null;

  constructor(handle: number) {
    super(handle, 'AFUNIXSOCKET');
  }

  override get awaitsWrite(): boolean {
    return this.writeCallback !== null;
  }

  override readStart(): void {
    if (this.heldBack !== null) {
      this.reading = true;
      this.awaitUser();
      return;
    }
    super.readStart();
    if (!this.endHeld) return;
    this.endHeld = false;
    // Not at once: whoever reads on is in the middle of it.
    setImmediate(() => this.onEnd());
  }

  override onEnd(): void {
    if (this.heldBack !== null) this.heldBack.push({ tell: () => this.onEnd() });
    else if (this.reading || this.user === null) super.onEnd();
    else this.endHeld = true;
  }

  override onReadError(status: number): void {
    if (this.heldBack !== null) this.heldBack.push({ tell: () => super.onReadError(status) });
    else super.onReadError(status);
  }

  /** Descriptors for which there is no room, and all that comes behind them; nothing more is read. `goOn()` looks again. */
  holdBack(one: HeldBack): void {
    if (this.heldBack === null) {
      this.heldBack = new HeldBackQueue(() => {
        this.heldBack = null;
        if (this.reading) super.readStart();
      });
      if (this.reading) this.awaitUser();
    }
    this.heldBack.push(one);
  }

  get holdsBack(): boolean {
    return this.heldBack !== null;
  }

  /** There may be room for what is held back. */
  goOn(): void {
    this.heldBack?.goOn();
  }

  /** The bytes that are held back, for whoever goes on with the connection; nothing of it is told here. */
  takeHeldBack(): Buffer[] {
    const taken = this.heldBack?.take() ?? [];
    this.heldBack = null;
    return taken;
  }

  private awaitUser(): void {
    submit(this.handle, Ask.readStop, 0, ReadStop.awaitUser);
  }

  /** Reads go into `target` from now on. */
  readInto(target: Uint8Array): void {
    if (targets[this.handle] === undefined) submit(this.handle, Ask.readTargets, 0, 1);
    targets[this.handle] = target;
  }

  /**
   * Takes a short write without telling when it is done. False if it can't be taken like that: it is long, or the kernel
   * has not taken what came before.
   */
  writeShort(data: string | Uint8Array, encoding: BufferEncoding): boolean {
    if (this.blocked) return false;
    const longest = longestBytes(data, encoding);
    if (longest > LONGEST_COPIED) return false;
    if (!this.hasRoomFor(longest)) return false;
    this.copiedOut(put(sendArea, data, encoding, reserve(longest)));
    return true;
  }

  /** The same for several pieces in one go. */
  writeShortMany(pieces: readonly Piece[]): boolean {
    if (this.blocked) return false;
    let longest = 0;
    for (const { chunk, encoding } of pieces) {
      if (loadOf(chunk) !== undefined) return false;
      longest += longestBytes(chunk, encoding);
      if (longest > LONGEST_UNFLUSHED) return false;
    }
    if (!this.hasRoomFor(longest)) return false;
    const start = reserve(longest);
    let end = start;
    for (const { chunk, encoding } of pieces) end += put(sendArea, chunk, encoding, end);
    this.copiedOut(end - start);
    return true;
  }

  /** Writes from where the bytes are, and tells, once, when the kernel has taken all of them: before it returns if that is now. */
  writeLong(data: string | Uint8Array, encoding: BufferEncoding, callback: WriteCallback): void {
    const load = loadOf(data);
    // A short one waits behind others: its memory is its user's again.
    const stays = typeof data !== 'string' && (load !== undefined || data.length > LONGEST_COPIED);
    const bytes = stays ? data : Buffer.from(data as string, encoding);
    this.bytesWritten += bytes.byteLength;
    if (load === undefined) this.writePayload(bytes, bytes.byteLength, callback);
    else
      this.writePayload(
        bytes,
        bytes.byteLength,
        (status) => callback(leftWith(data, status)),
        load,
      );
  }

  /** The same for several pieces in one go. */
  writeLongMany(pieces: readonly Piece[], callback: WriteCallback): void {
    if (pieces.some(({ chunk }) => loadOf(chunk) !== undefined)) {
      this.writeRuns(pieces, callback);
      return;
    }
    const parts = joined(pieces);
    for (const part of parts) this.bytesWritten += part.byteLength;
    this.writeParts(parts, callback);
  }

  private writeParts(parts: readonly Uint8Array[], callback: WriteCallback): void {
    let next = 0;
    let again = true;
    let inside = false;
    // May be called before writePayload returns: no recursion, however many parts there are.
    const goOn = (status: number): void => {
      const over = status !== 0 || next >= parts.length;
      if (over || this.user === null) {
        callback(over ? status : ECANCELED);
        return;
      }
      again = true;
      if (!inside) writeOn();
    };
    const writeOn = (): void => {
      inside = true;
      while (again) {
        again = false;
        const payload = parts.slice(next, next + MOST_PARTS);
        next += payload.length;
        const length = payload.reduce((sum, part) => sum + part.byteLength, 0);
        this.writePayload(payload, length, goOn);
      }
      inside = false;
    };
    writeOn();
  }

  /** What takes descriptors along is a message of its own; what lies between two of them goes together. */
  private writeRuns(pieces: readonly Piece[], callback: WriteCallback): void {
    let next = 0;
    let status = 0;
    let told = true;
    let looping = false;
    // A loop, because what the kernel takes at once is told at once, piece by piece.
    const goOn: WriteCallback = (outcome) => {
      status = outcome;
      told = true;
      if (looping) return;
      looping = true;
      // Closed meanwhile: the handle may be somebody else's.
      while (told && status === 0 && next < pieces.length && this.user !== null) {
        told = false;
        const first = next;
        next = endOfRun(pieces, first);
        const { chunk, encoding } = pieces[first];
        if (next === first + 1) this.writeLong(chunk, encoding, goOn);
        else this.writeLongMany(pieces.slice(first, next), goOn);
      }
      looping = false;
      if (told) callback(status);
    };
    goOn(0);
  }

  private hasRoomFor(longest: number): boolean {
    if (this.unflushed + longest > LONGEST_UNFLUSHED) flush();
    return !this.blocked;
  }

  /** So many bytes are where `reserve` said. */
  private copiedOut(length: number): void {
    this.bytesWritten += length;
    this.copied += length;
    submitWrite(this.handle, this, length);
  }

  private writePayload(
    payload: Uint8Array | Uint8Array[],
    length: number,
    callback: WriteCallback,
    load?: readonly Descriptor[],
  ): void {
    // Whatever was gathered goes first, and may already be too much.
    if (this.unflushed > 0) flush();
    if (this.blocked) {
      this.afterBlocked = (status) => {
        if (status !== 0) callback(status);
        else this.writePayload(payload, length, callback, load);
      };
      return;
    }
    // It was refused: what follows must not go without it.
    let status = this.takeOutcome();
    if (status === 0 && load !== undefined) status = attachAll(this.handle, load);
    if (status === 0) {
      payloads[this.handle] = payload;
      submit(this.handle, Ask.writePayload, 0, length);
      flush();
      if (this.blocked) {
        this.writeCallback = callback;
        return;
      }
      payloads[this.handle] = undefined;
      status = this.takeOutcome();
    }
    // As with `net`, what the kernel says at once is said before write() returns.
    callback(status);
  }

  /** Hands over what was gathered, and says what became of it: 0, or −errno. */
  flushNow(): number {
    flush();
    return this.takeOutcome();
  }

  /** What became of the writes of the last flush, unless it has been told already. */
  private takeOutcome(): number {
    const status = this.writeOutcome;
    this.settling = false;
    this.writeOutcome = 0;
    if (status !== 0) this.tellers.refuse(status);
    return status;
  }

  override onData(offset: number, length: number): void {
    if (this.user === null) this.bytesRead += length;
    else this.tellChunk(chunkFromArea(offset, length));
  }

  override onSlabData(slab: number, length: number): void {
    if (this.user === null) this.bytesRead += length;
    else this.tellChunk(chunkFromSlab(slab, length));
  }

  private tellChunk(chunk: Buffer): void {
    if (this.heldBack !== null) {
      this.heldBack.push({ tell: () => this.tellChunk(chunk), bytes: chunk });
      return;
    }
    this.bytesRead += chunk.length;
    if (this.user !== null) this.runInAsyncScope(data, this.user, chunk);
  }

  override onTargetData(length: number): void {
    if (this.heldBack !== null) {
      // There it stays: nothing is read meanwhile.
      const bytes = Buffer.from(targets[this.handle]?.subarray(0, length) ?? []);
      this.heldBack.push({ tell: () => this.onTargetData(length), bytes });
      return;
    }
    this.bytesRead += length;
    if (this.user !== null) this.runInAsyncScope(targetData, this.user, length);
  }

  override onCredentials(peer: number): void {
    if (this.user === null) return;
    this.writers ??= new Writers();
    this.tellWriter(this.writers.at(peer));
  }

  private tellWriter(writer: PeerCredentials): void {
    if (this.heldBack !== null) this.heldBack.push({ tell: () => this.tellWriter(writer) });
    else if (this.user !== null) this.runInAsyncScope(credentials, this.user, writer);
  }

  protected override closed(): void {
    super.closed();
    this.writers?.close();
    this.quota?.close();
    this.takeHeldBack();
  }

  override onDescriptors(place: number, count: number): void {
    if (this.user !== null) this.runInAsyncScope(descriptors, this.user, place, count);
  }

  /** What of the descriptors that come here may be open. */
  quotaFor(limits: DescriptorLimits): DescriptorQuota {
    return (this.quota ??= new DescriptorQuota(limits, () => this.goOn()));
  }

  /** `callback` runs once the kernel has taken what is pending, or never will. */
  whenWritten(callback: () => void): void {
    this.watchers.push(callback);
  }

  override onWritten(status: number): void {
    for (const watcher of this.watchers.splice(0)) nextTick(watcher);
    payloads[this.handle] = undefined;
    const callback = this.writeCallback;
    const next = this.afterBlocked;
    this.writeCallback = null;
    this.afterBlocked = null;
    this.writeOutcome = 0;
    if (status !== 0) {
      this.tellers.refuse(status);
    } else if (this.untaken > 0) {
      this.untaken = 0;
      this.user?._unrefTimer();
    }
    this.tellers.tellWaiting(() => {
      if (callback !== null) callback(status);
      else if (next !== null) next(status === 0 && this.user === null ? ECANCELED : status);
      else if (status !== 0) this.tellWriteError(status);
    });
  }

  override onClosed(): void {
    // What was still under way is over; its stream was destroyed.
    this.tellers.cancel(this.destroyed);
    this.onWritten(ECANCELED);
    const shutdown = this.shutdownCallback;
    this.shutdownCallback = null;
    if (shutdown !== null) shutdown(0);
    super.onClosed();
  }
}

/** The end of the pieces from `first` on that leave together. */
function endOfRun(pieces: readonly Piece[], first: number): number {
  let end = first + 1;
  if (loadOf(pieces[first].chunk) !== undefined) return end;
  while (end < pieces.length && loadOf(pieces[end].chunk) === undefined) ++end;
  return end;
}

function data(this: StreamUser, chunk: Buffer): void {
  this[onChunk](chunk);
}
function targetData(this: StreamUser, length: number): void {
  this[onTarget](length);
}
function credentials(this: StreamUser, writer: PeerCredentials): void {
  this[onCredentials](writer);
}
function descriptors(this: StreamUser, place: number, count: number): void {
  this[onDescriptors](place, count);
}
