/** Who is at the other end of a socket. */
import type { PeerCredentials } from '../credentials/peer';
import { kConnection, kGone, type SocketMethods } from './methods';

/** The getter of Socket. */
export function peerCredentialsOf(this: SocketMethods): PeerCredentials | null {
  if (this.connecting) return null;
  return (this[kConnection] ?? this[kGone])?.peerCredentials ?? null;
}
