/** Writers: who wrote what was received, as the kernel said it of each piece. SO_PASSCRED in unix(7). */
import { peers } from '../engine/engine';
import { PEER } from '../engine/records';
import { PeerCredentials, type PeerSource } from './peer';

/** There is nothing more to ask about a piece. */
const NOTHING_ELSE: PeerSource = {
  descriptor: () => -1,
  without: 'what comes with data are uid, gid and pid alone',
};

const UNKNOWN = -1;

/** Of one connection: the same writer is the same object for as long as nobody else writes. */
export class Writers {
  private last: PeerCredentials | null = null;

  /** Who is in this row of the table of peers, while the batch of events lasts. */
  at(row: number): PeerCredentials {
    const at = row * PEER.width;
    const pid = row < 0 ? UNKNOWN : peers[at + PEER.pid];
    const uid = row < 0 ? UNKNOWN : peers[at + PEER.uid];
    const gid = row < 0 ? UNKNOWN : peers[at + PEER.gid];
    const { last } = this;
    const known = last !== null && (last.pid ?? 0) === Math.max(pid, 0);
    if (known && last.uid === uid >>> 0 && last.gid === gid >>> 0) return last;
    this.last = new PeerCredentials(pid, uid, gid, NOTHING_ELSE);
    return this.last;
  }
}
