/**
 * Whom to tell that the kernel has what they wrote.
 *
 * As with `net`, the stream is done with a short write when write() returns, and tells on the next tick. But its bytes lie in the send
 * area then, and the kernel gets them with all that is written meanwhile. So what a user has the stream call is a `Teller`'s: it
 * hands over what the kernel has not got by then, and waits if the kernel can't take it, or says why it won't.
 */
import { AsyncResource } from 'node:async_hooks';
import { flush } from '../engine/engine';
import { codedError, errnoException } from '../errors';
import { DESTROYED_WRITES_FAIL } from '../net-version';
import { nextTick } from '../real-time';

/** Its socket was destroyed. */
export const ECANCELED = -125;

export type UserCallback = (error: Error | null | undefined) => void;

/** What the tellers of a connection have to know about it. */
export interface Writing {
  readonly copied: number;
  readonly unflushed: number;
  readonly untaken: number;
}

/** A write that its stream is done with, and the kernel not. */
interface Waiting {
  readonly callback: UserCallback;
  /** The context of the write. */
  readonly context: AsyncResource;
}

interface Failures {
  first: Error | null;
  /** What the others are told. */
  readonly further: Error | null;
}

/** What a stream calls instead of `callback`; one for all writes that have the same, because the stream calls those in one tick. */
export class Teller {
  readonly tell: UserCallback = (error) => this.told(error);
  /** Where its writes end among what is copied, in order; of the first one apart, because most have no more. */
  private first = -1;
  private ends: number[] | null = null;
  private next = 0;

  constructor(
    readonly tellers: Tellers,
    readonly callback: UserCallback,
  ) {}

  /** One write more, which ends there; Infinity if the stream has it still. */
  wrote(end: number): void {
    if (this.first < 0) this.first = end;
    else (this.ends ??= []).push(end);
  }

  private told(error: Error | null | undefined): void {
    const end = this.first;
    if (this.ends === null) {
      this.first = -1;
      this.tellers.forget(this);
    } else {
      this.first = this.ends[this.next++];
      if (this.next === this.ends.length) {
        this.ends = null;
        this.next = 0;
      }
    }
    if (error) this.callback(error);
    else this.tellers.whenTaken(end, this.callback);
  }
}

export class Tellers {
  /** Why the kernel did not take what it did not take: a negative errno; 0 while it takes everything. */
  private refusal = 0;
  private destroyedWith: Error | null = null;
  private failures: Failures | null = null;
  private last: Teller | null = null;
  private waiting: Waiting[] = [];

  constructor(private readonly writing: Writing) {}

  /** The one to give to the stream instead of `callback`; say `wrote` when it has it. */
  for(callback: UserCallback): Teller {
    if (this.last?.callback !== callback) this.last = new Teller(this, callback);
    return this.last;
  }

  forget(teller: Teller): void {
    if (this.last === teller) this.last = null;
  }

  whenTaken(end: number, callback: UserCallback): void {
    if (!this.isTaken(end) && this.writing.unflushed > 0) flush();
    if (this.isTaken(end)) callback(null);
    else if (this.refusal !== 0) callback(this.nextFailure());
    else this.waiting.push({ callback, context: new AsyncResource('AFUNIXWRITE') });
  }

  private isTaken(end: number): boolean {
    const { copied, unflushed, untaken } = this.writing;
    return Math.min(end, copied) <= copied - unflushed - untaken;
  }

  /** What has not been taken never will be. */
  refuse(status: number): void {
    if (this.refusal === 0) this.refusal = status;
  }

  /** The same, because the socket was destroyed: for `net` one write is under way then, and the others are in its stream. */
  cancel(error: Error | null): void {
    if (this.refusal !== 0) return;
    this.refusal = ECANCELED;
    this.destroyedWith = error;
  }

  /** What the first is told that waited for what was not taken. */
  get failure(): Error | null {
    if (this.refusal === 0) return null;
    return (this.failures ??= this.makeFailures()).first;
  }

  /** What the next one is told whose write was not taken. */
  nextFailure(): Error | null {
    const { failure, failures } = this;
    if (failures !== null) failures.first = failures.further;
    return failure;
  }

  /** Only when somebody is told: most sockets are closed with nobody waiting, and an error costs more than a connection. */
  private makeFailures(): Failures {
    const failure = errnoException(this.refusal, 'write');
    if (this.refusal !== ECANCELED) return { first: failure, further: failure };
    const first = DESTROYED_WRITES_FAIL ? failure : null;
    const destroyed = 'Cannot call write after a stream was destroyed';
    const further =
      this.destroyedWith ?? first ?? codedError(Error, 'ERR_STREAM_DESTROYED', destroyed);
    return { first, further };
  }

  /** Tells who waited, and goes on with `then`. Who throws keeps nobody else from it. */
  tellWaiting(then: () => void): void {
    const { waiting } = this;
    this.waiting = [];
    for (let i = 0; i < waiting.length; ++i) {
      const { callback, context } = waiting[i];
      let returned = false;
      try {
        context.runInAsyncScope(callback, undefined, this.nextFailure());
        returned = true;
      } finally {
        if (!returned) {
          this.waiting = [...waiting.slice(i + 1), ...this.waiting];
          nextTick(() => this.tellWaiting(then));
        }
      }
    }
    then();
  }
}
