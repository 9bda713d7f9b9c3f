/** Which parts of a peer's credentials this kernel tells; found out on a pair of sockets, once. */
import { native } from '../binding';
import { RawSocket } from '../raw/raw-socket';
import { peerCredentials } from './snapshot';

export interface PeerFeature {
  readonly available: boolean;
  readonly reason?: string;
}

export interface PeerFeatures {
  readonly peerGroups: PeerFeature;
  readonly peerLabel: PeerFeature;
  readonly peerPidfd: PeerFeature;
  readonly writerPidfd: PeerFeature;
}

let found: PeerFeatures | undefined;

export function peerFeatures(missing: string | undefined): PeerFeatures {
  if (native === null) {
    const none = { available: false, reason: missing };
    return { peerGroups: none, peerLabel: none, peerPidfd: none, writerPidfd: none };
  }
  found ??= probe();
  return found;
}

function probe(): PeerFeatures {
  const pair = RawSocket.socketpair('stream');
  try {
    const peer = peerCredentials(pair[0]);
    const feature = (value: unknown, reason: () => string | undefined): PeerFeature =>
      value === null ? { available: false, reason: reason() } : { available: true };
    const features = {
      peerGroups: feature(peer.groups, () => peer.reasons.groups),
      peerLabel: feature(peer.labelBytes, () => peer.reasons.label),
      peerPidfd: feature(peer.pidfd, () => peer.reasons.pidfd),
      writerPidfd: feature(passesPidfds(pair[0]), () => 'SO_PASSPIDFD needs Linux 6.5'),
    };
    peer.close();
    return features;
  } finally {
    for (const socket of pair) socket.close();
  }
}

function passesPidfds(socket: RawSocket): true | null {
  try {
    socket.setsockopt('SO_PASSPIDFD', 1);
    return true;
  } catch {
    return null;
  }
}
