/** Credentials of the other end of a descriptor that is not one of the engine's. */
import { PEER } from '../engine/records';
import { checkDescriptor, requireAddon, wrongType } from '../checks';
import { errnoException } from '../errors';
import { constants } from '../raw/constants';
import { PeerCredentials, type PeerSource } from './peer';

/** Something with a descriptor, or a connected socket of afunix or `node:net`. */
export type PeerCredentialsSource =
  | number
  | { readonly fd: number }
  | { readonly peerCredentials: PeerCredentials | null | undefined }
  | NodeJS.EventEmitter;

const EBADF = -9;
const ENOTCONN = -107;
const LISTENING = 0x100;
/** SO_COOKIE: a number that no other socket of this boot has. Linux 4.12. */
const SO_COOKIE = 57;

const row = new Int32Array(PEER.width);

/** Of a connection that is the engine's: `fd` is its descriptor now, and the rest is asked of `source`. −errno if there are none. */
export function credentialsOf(fd: number, source: PeerSource): PeerCredentials | number {
  const status = requireAddon('peerCredentials').peerCredentials(fd, row);
  if (status < 0) return status;
  const [pid, uid, gid] = row;
  // Of a socket that has no peer the kernel says uid −1.
  return uid === -1 && gid === -1 ? ENOTCONN : new PeerCredentials(pid, uid, gid, source);
}

function cookieOf(fd: number): bigint | undefined {
  const cookie = new BigUint64Array(1);
  const bytes = requireAddon('peerCredentials').rawGetOption(
    fd,
    constants.SOL_SOCKET,
    SO_COOKIE,
    cookie,
  );
  return bytes === 8 ? cookie[0] : undefined;
}

/**
 * Who is at the other end of a connected Unix socket: an afunix or `node:net` socket, a `Descriptor`, a `RawSocket`, or a number. It
 * stays its owner's. Errors: EBADF, ENOTSOCK, EAFNOSUPPORT for a socket of another family, ENOTCONN.
 */
export function peerCredentials(socketOrFd: PeerCredentialsSource): PeerCredentials {
  const addon = requireAddon('peerCredentials()');
  if (typeof socketOrFd === 'object' && socketOrFd !== null && 'peerCredentials' in socketOrFd) {
    const { peerCredentials: known } = socketOrFd;
    if (known instanceof PeerCredentials) return known;
    if (known === null) throw errnoException(ENOTCONN, 'getsockopt');
  }
  const owner = ownerOf(socketOrFd);
  const number = owner();
  // Closed: there is nothing wrong with what was given, only with when.
  if (typeof socketOrFd === 'object' && number === -1) throw errnoException(EBADF, 'getsockopt');
  const fd = checkDescriptor('socketOrFd', number);
  const kind = addon.describe(fd);
  if (kind < 0) throw errnoException(kind, 'getsockopt');
  // What it says of a listener is who listens.
  if ((kind & LISTENING) !== 0) throw errnoException(ENOTCONN, 'getsockopt');
  const cookie = cookieOf(fd);
  // Meanwhile the number may have come to belong to another socket.
  const source = {
    descriptor: () => {
      const now = owner();
      return cookie !== undefined && now >= 0 && cookieOf(now) === cookie ? now : -1;
    },
  };
  const found = credentialsOf(fd, source);
  if (typeof found === 'number') throw errnoException(found, 'getsockopt');
  return found;
}

/** Who knows the number, as long as there is one. */
function ownerOf(given: unknown): () => number {
  if (typeof given === 'number') return () => given;
  if (typeof given === 'object' && given !== null) {
    if (typeof (given as { fd?: unknown }).fd === 'number') {
      return () => (given as { fd: number }).fd;
    }
    // A socket of `node:net`: its handle is undocumented, and the only way.
    const handle = (): unknown => (given as { _handle?: { fd?: unknown } | null })._handle?.fd;
    if (typeof handle() === 'number') return () => Number(handle() ?? -1);
    if ('_handle' in given) throw errnoException(ENOTCONN, 'getsockopt');
  }
  throw wrongType('socketOrFd', 'a descriptor, a socket, or an object with an fd', given);
}
