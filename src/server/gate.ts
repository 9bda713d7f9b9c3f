/**
 * Gate: decides whom a listener lets in. It knows who has connected before anything is made of the connection; while somebody is being
 * authorized nothing of theirs is read, so that all they send is still there afterwards.
 */
import { AsyncResource } from 'node:async_hooks';
import { HandleSource, type PeerConnection } from '../credentials/connection';
import { PeerCredentials } from '../credentials/peer';
import { judge, messageOf, Question } from '../credentials/policy';
import type { Verdict } from '../credentials/verdict';
import { peers, submit } from '../engine/engine';
import { Ask, PEER } from '../engine/records';
import { threeQuarters, type Rules } from './gate-options';
import type * as HangUp from './hang-up';
import { Refusal, type RefusalCode } from './refusal';
import { clearTimeout, nextTick, setTimeout } from '../real-time';

const CLOSED = 'the server was closed';
const GONE = 'the client has gone';

/** The server, as its gate sees it. */
export interface GateUser {
  /** Those who were admitted and have not gone, of this listener and of those before it. */
  readonly present: Tally;
  /** How many there may be, and are. */
  maxConnections(): number;
  connections(): number;
  make(handle: number): PeerConnection;
  admit(connection: PeerConnection): void;
  refused(peer: PeerCredentials, refusal: Refusal): void;
}

/** Somebody whose authorization takes time. */
class Pending extends Question {
  /** Where its connection shall be made: in the context of nobody, as if there had been no wait. */
  origin: AsyncResource | null = null;
  timer: NodeJS.Timeout | null = null;
  /** Ends the watch whether the other end is still there. */
  unwatch: (() => void) | null = null;

  constructor(
    readonly handle: number,
    readonly peer: PeerCredentials,
    readonly source: HandleSource,
  ) {
    super();
  }

  settle(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.unwatch?.();
  }
}

/** How many there are of each user. */
export class Tally {
  readonly #counts = new Map<number, number>();

  of(uid: number): number {
    return this.#counts.get(uid) ?? 0;
  }

  add(uid: number): void {
    this.#counts.set(uid, this.of(uid) + 1);
  }

  remove(uid: number): void {
    const left = this.of(uid) - 1;
    if (left > 0) this.#counts.set(uid, left);
    else this.#counts.delete(uid);
  }
}

export class Gate {
  readonly #pending = new Set<Pending>();
  readonly #waiting = new Tally();
  /** Of the pending, those who have gone and left something to read: whoever is there comes before them. */
  readonly #departed = new Set<Pending>();
  #whenIdle: (() => void) | null = null;
  #closed = false;

  constructor(
    private readonly rules: Rules,
    private readonly user: GateUser,
    private readonly context: AsyncResource,
  ) {}

  /** Connection `handle` was accepted from whoever is in this row of the table of peers. */
  come(handle: number, row: number): void {
    const at = row * PEER.width;
    const source = new HandleSource(handle);
    const peer = new PeerCredentials(
      peers[at + PEER.pid],
      peers[at + PEER.uid],
      peers[at + PEER.gid],
      source,
    );
    let limit: Refusal | null;
    try {
      limit = this.#limit(peer.uid);
      if (limit !== null && this.#makeRoom(peer.uid, limit)) limit = this.#limit(peer.uid);
    } catch (error) {
      // `maxConnections` is the user's property, and may be a getter.
      limit = new Refusal('error', `the limits cannot be read: ${messageOf(error)}`, error);
    }
    if (limit !== null) {
      this.#refuse(handle, peer, source, limit);
      return;
    }
    const { authorize } = this.rules;
    if (authorize === undefined) {
      this.#admit(handle, peer, source);
      return;
    }
    const pending = new Pending(handle, peer, source);
    const verdict = this.context.runInAsyncScope(judge, undefined, authorize, peer, pending);
    if (verdict instanceof Promise) this.#wait(pending, verdict);
    else this.#decide(pending, verdict);
  }

  #limit(uid: number): Refusal | null {
    const maxConnections = this.user.maxConnections();
    const waiting = this.#pending.size;
    if (this.user.connections() + waiting >= maxConnections) {
      return new Refusal('maxConnections', `there are ${maxConnections} connections already`);
    }
    const perUid = this.rules.perUid(maxConnections);
    if (this.user.present.of(uid) + this.#waiting.of(uid) >= perUid) {
      return new Refusal(
        'maxConnectionsPerUid',
        `uid ${uid} has ${perUid} connections already, which is maxConnectionsPerUid`,
      );
    }
    const { maxUnauthorized } = this.rules;
    const own = threeQuarters(maxUnauthorized);
    if (waiting >= maxUnauthorized || this.#waiting.of(uid) >= own) {
      const who = waiting >= maxUnauthorized ? `${waiting}` : `${own} of uid ${uid}`;
      return new Refusal(
        'maxUnauthorized',
        `${who} connections are being authorized already; maxUnauthorized is ${maxUnauthorized}`,
      );
    }
    return null;
  }

  /** Refuses one who has gone, if that is what takes the place of one who comes. */
  #makeRoom(uid: number, { code }: Refusal): boolean {
    const full = this.#pending.size >= this.rules.maxUnauthorized;
    for (const pending of this.#departed) {
      if (!full && code !== 'maxConnections' && pending.peer.uid !== uid) continue;
      this.#forget(pending);
      pending.abort();
      const { handle, peer, source } = pending;
      // In a tick of its own: what listeners throw is no affair of whoever comes.
      nextTick(() => this.#refuse(handle, peer, source, new Refusal('gone', GONE)));
      return true;
    }
    return false;
  }

  /** Nobody is at the other end any more. */
  #departs(pending: Pending, words: boolean): void {
    if (!this.#pending.has(pending)) return;
    // What it sent is still to be served, if the answer is yes.
    if (words) this.#departed.add(pending);
    else this.#giveUp(pending, 'gone', GONE);
  }

  #wait(pending: Pending, verdict: Promise<Verdict>): void {
    const { uid } = pending.peer;
    pending.origin = new AsyncResource('AFUNIXPENDING');
    this.#pending.add(pending);
    this.#waiting.add(uid);
    const { authorizeTimeout } = this.rules;
    pending.timer = setTimeout(() => {
      const message = `the authorization took longer than ${authorizeTimeout} ms`;
      this.#giveUp(pending, 'timeout', message);
    }, authorizeTimeout);
    pending.timer.unref();
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    const { watchForHangUp } = require('./hang-up') as typeof HangUp;
    pending.unwatch = watchForHangUp(pending.source.descriptor(), (words) => {
      nextTick(() => this.#departs(pending, words));
    });
    // In a tick of its own: what listeners throw is their affair, and not a rejection of this promise.
    void verdict.then((decided) => {
      nextTick(() => {
        if (this.#forget(pending)) this.#decide(pending, decided);
      });
    });
  }

  /** Whether it was still waiting. */
  #forget(pending: Pending): boolean {
    if (!this.#pending.delete(pending)) return false;
    this.#departed.delete(pending);
    this.#waiting.remove(pending.peer.uid);
    pending.settle();
    if (this.#pending.size === 0 && this.#whenIdle !== null) nextTick(this.#whenIdle);
    return true;
  }

  #giveUp(pending: Pending, code: RefusalCode, message: string): void {
    if (!this.#forget(pending)) return;
    pending.abort();
    this.#refuse(pending.handle, pending.peer, pending.source, new Refusal(code, message));
  }

  #decide({ handle, peer, source, origin }: Pending, verdict: Verdict): void {
    // By whoever authorizes, perhaps.
    if (this.#closed) {
      this.#refuse(handle, peer, source, new Refusal('closed', CLOSED));
      return;
    }
    if (verdict.admitted === true) {
      if (origin === null) this.#admit(handle, peer, source);
      else origin.runInAsyncScope(() => this.#admit(handle, peer, source));
      return;
    }
    const code = verdict.cause === undefined ? 'policy' : 'error';
    this.#refuse(handle, peer, source, new Refusal(code, verdict.reason, verdict.cause));
  }

  #admit(handle: number, peer: PeerCredentials, source: HandleSource): void {
    const connection = this.user.make(handle);
    connection.admittedAs(peer, source, this);
    this.user.present.add(peer.uid);
    this.context.runInAsyncScope(() => this.user.admit(connection));
  }

  #refuse(handle: number, peer: PeerCredentials, source: HandleSource, refusal: Refusal): void {
    // Closed with the next flush: until then a listener can ask for what else is known of the peer.
    submit(handle, Ask.close, 0, 0);
    try {
      this.context.runInAsyncScope(() => this.user.refused(peer, refusal));
    } finally {
      source.close();
      peer.close();
    }
  }

  /** A connection that was admitted is gone. */
  left(uid: number): void {
    this.user.present.remove(uid);
  }

  /** Nobody comes any more: `idle` is called when everybody who waits has been admitted or refused. */
  finish(idle: () => void): void {
    if (this.#pending.size === 0) idle();
    else this.#whenIdle = idle;
  }

  /** The server listens no more: whoever still waits is refused. */
  close(): void {
    this.#closed = true;
    for (const pending of this.#pending) {
      nextTick(() => this.#giveUp(pending, 'closed', CLOSED));
    }
  }
}
