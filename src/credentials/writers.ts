/** Writers: who wrote what was received, as the kernel said it of each piece. SO_PASSCRED and SO_PASSPIDFD in unix(7). */
import { Descriptor } from '../descriptor';
import { engine, peers } from '../engine/engine';
import { PEER, SAME_WRITER } from '../engine/records';
import { kRelease, PeerCredentials, type PeerSource } from './peer';

const UNKNOWN = -1;

/** There is nothing more to ask about a piece. */
function sourceFor(pidfd: number): PeerSource {
  const source = {
    descriptor: () => -1,
    without: 'what comes with data are uid, gid and pid alone',
  };
  const claimed = pidfd <= 0 ? pidfd : engine().claimPidfd(pidfd - 1);
  return { ...source, pidfd: claimed <= 0 ? claimed : new Descriptor(claimed) };
}

/** Of one connection: the same writer is the same object for as long as nobody else writes. */
export class Writers {
  private last: PeerCredentials | null = null;

  /** Who is in this row of the table of peers, while the batch of events lasts. To be asked once for each. */
  at(row: number): PeerCredentials {
    if (row === SAME_WRITER && this.last !== null) return this.last;
    const at = row * PEER.width;
    const [pid, uid, gid, pidfd] =
      row < 0 ? [UNKNOWN, UNKNOWN, UNKNOWN, 0] : peers.subarray(at, at + PEER.width);
    this.close();
    this.last = new PeerCredentials(pid, uid, gid, sourceFor(pidfd));
    return this.last;
  }

  /** Nobody will write any more. */
  close(): void {
    this.last?.[kRelease]();
    this.last = null;
  }
}
