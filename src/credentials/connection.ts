/** PeerConnection: what every connection of the engine's knows of its other end. */
import { AsyncResource } from 'node:async_hooks';
import { engine, peers } from '../engine/engine';
import { PEER } from '../engine/records';
import { meet, type Expectation } from './expectation';
import { kRelease, PeerCredentials, type PeerSource } from './peer';
import { credentialsOf } from './snapshot';

/** A handle for as long as it is somebody's. */
export class HandleSource implements PeerSource {
  #open = true;

  constructor(private readonly handle: number) {}

  descriptor(): number {
    return this.#open ? engine().descriptor(this.handle) : -1;
  }

  close(): void {
    this.#open = false;
  }
}

/** Counts who is there. */
export interface Attendance {
  left(uid: number): void;
}

const NOTHING_EXPECTED: readonly Expectation[] = [];

export abstract class PeerConnection extends AsyncResource implements PeerSource {
  private open = true;
  /** What was told with an accepted connection. */
  private accepted = false;
  private pid = 0;
  private uid = 0;
  private gid = 0;
  private known: PeerCredentials | null = null;
  /** What it was known by before it was a connection. */
  private source: HandleSource | null = null;
  private attendance: Attendance | null = null;
  /** What has to be met before it is told to be connected, by every connect() that named it; the last is asked first. */
  private expectations: readonly Expectation[] = NOTHING_EXPECTED;
  /** Takes back the question whether it is met. */
  private forgo: (() => void) | null = null;

  constructor(
    type: string,
    readonly handle: number,
  ) {
    super(type);
  }

  /** It is told to be connected only if this is met, and whatever it was to meet before: the connection may be the one of before. */
  expect(expectation: Expectation | null): this {
    if (expectation !== null && !this.expectations.includes(expectation)) {
      this.expectations = [...this.expectations, expectation];
    }
    return this;
  }

  /** Calls `connected`, or `refused` with the reason, unless it is closed before. */
  protected whenMet(connected: () => void, refused: (error: Error) => void): void {
    const expectation = this.expectations.at(-1);
    if (expectation === undefined) {
      connected();
      return;
    }
    const forgo = this.runInAsyncScope(
      meet,
      undefined,
      expectation,
      this.peerCredentials,
      (error: Error | null) => {
        if (!this.open) return;
        if (error !== null) {
          refused(error);
          return;
        }
        this.expectations = this.expectations.filter((other) => other !== expectation);
        this.whenMet(connected, refused);
      },
    );
    if (forgo === null) return;
    // Whoever is asked may have closed it.
    if (this.open) this.forgo = forgo;
    else forgo();
  }

  /** It was accepted from whoever is in this row of the table. */
  acceptedFrom(row: number): void {
    const at = row * PEER.width;
    this.pid = peers[at + PEER.pid];
    this.uid = peers[at + PEER.uid];
    this.gid = peers[at + PEER.gid];
    this.accepted = true;
  }

  /** It was let in, as this one, and `attendance` wants to know when it has gone. */
  admittedAs(peer: PeerCredentials, source: HandleSource, attendance: Attendance): void {
    this.known = peer;
    this.source = source;
    this.attendance = attendance;
  }

  /** Null if nobody asked while the connection was open, unless it was accepted. */
  get peerCredentials(): PeerCredentials | null {
    if (this.known === null && this.accepted) {
      this.known = new PeerCredentials(this.pid, this.uid, this.gid, this);
    } else if (this.known === null && this.open) {
      const found = credentialsOf(this.descriptor(), this);
      if (typeof found !== 'number') this.known = found;
    }
    return this.known;
  }

  descriptor(): number {
    return this.open ? engine().descriptor(this.handle) : -1;
  }

  /** The handle is somebody else's from now on. */
  protected closed(): void {
    this.open = false;
    this.forgo?.();
    this.source?.close();
    this.known?.[kRelease]();
    const { attendance } = this;
    this.attendance = null;
    if (attendance !== null && this.known !== null) attendance.left(this.known.uid);
  }
}
