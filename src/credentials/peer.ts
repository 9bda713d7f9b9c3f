/**
 * PeerCredentials: who is at the other end, as the kernel recorded it when the connection was made. uid, gid and pid are taken with the
 * connection; everything else is asked of the kernel when somebody wants to know, and once.
 */
import { requireAddon } from '../checks';
import { Descriptor } from '../descriptor';
import { groupName, userName } from './names';
import { isKnownGid, isKnownUid } from './namespaces';
import type * as Exit from './exit';
import type { Exited } from './exit';

/** Where the rest can be asked for. */
export interface PeerSource {
  /** The connection's descriptor, still its owner's; −1 once that is gone. */
  descriptor(): number;
  /** Why there never was one. */
  readonly without?: string;
  /** The pidfd that came with the rest, 0 if nobody asked for one, or −errno. */
  readonly pidfd?: Descriptor | number;
}

/** Why a part is null. */
export interface MissingParts {
  readonly groups?: string;
  readonly label?: string;
  readonly pidfd?: string;
}

const ESRCH = -3;
const EMFILE = -24;
const ENODATA = -61;
const EINVAL = -22;
const ENOPROTOOPT = -92;

const GONE = 'the connection was closed before anybody asked';

export const kHold = Symbol('hold');
export const kRelease = Symbol('release');
export const kOpenPidfd = Symbol('open pidfd');

/** What the addon answers into; as long as the longest answer so far. */
let answer = new Uint32Array(256);

/** A list of whatever length: asked again with the room that it takes. How many bytes of `answer`; −errno if there is none. */
function ask(call: (into: Uint32Array) => number): number {
  for (;;) {
    const bytes = call(answer);
    if (bytes <= answer.byteLength) return bytes;
    answer = new Uint32Array(Math.ceil(bytes / answer.BYTES_PER_ELEMENT));
  }
}

export class PeerCredentials {
  /** The effective user id. Evidence, unless `unmappedUid`. */
  readonly uid: number;
  /** The effective primary group id. Evidence, unless `unmappedGid`. */
  readonly gid: number;
  /**
   * The process id, a hint: the process may have exited, and its number have gone to another one. What to rely on is `pidfd`. Null if
   * the process is in a pid namespace that this one cannot see into.
   */
  readonly pid: number | null;

  readonly #source: PeerSource;
  readonly #reasons: { groups?: string; label?: string; pidfd?: string } = {};
  #groups: readonly number[] | null | undefined;
  #label: Buffer | null | undefined;
  #pidfd: Descriptor | null | undefined;
  #exited: Exited | undefined;
  /** Who still needs the pidfd: at first whoever made this. */
  #holders = 1;

  /** @internal */
  constructor(pid: number, uid: number, gid: number, source: PeerSource) {
    this.uid = uid >>> 0;
    this.gid = gid >>> 0;
    this.pid = pid > 0 ? pid : null;
    this.#source = source;
    if (typeof source.pidfd === 'object') this.#pidfd = source.pidfd;
  }

  /** The process is in a pid namespace that is neither ours nor below it: another container, or the host seen from inside of one. */
  get foreignPidNamespace(): boolean {
    return this.pid === null;
  }

  /** The user has no number in our user namespace: `uid` is the overflow id, which many share. */
  get unmappedUid(): boolean {
    return !isKnownUid(this.uid);
  }

  /** The same for `gid`. */
  get unmappedGid(): boolean {
    return !isKnownGid(this.gid);
  }

  /** All groups, `gid` among them, sorted. Null before Linux 4.13, or if nobody asked before the connection was closed. */
  get groups(): readonly number[] | null {
    if (this.#groups === undefined) {
      const bytes = this.#ask(
        'groups',
        (fd, into) => requireAddon('groups').peerGroups(fd, into),
        'SO_PEERGROUPS needs Linux 4.13',
      );
      this.#groups = bytes < 0 ? null : groupsOf(bytes);
    }
    return this.#groups;
  }

  /** The security label (SELinux, AppArmor, Smack) as bytes, whose encoding nothing says. Null if no security module keeps one. */
  get labelBytes(): Buffer | null {
    if (this.#label === undefined) {
      const bytes = this.#ask(
        'label',
        (fd, into) => requireAddon('labelBytes').peerLabel(fd, into),
        'no security module of this kernel keeps labels of sockets',
      );
      this.#label = bytes < 0 ? null : Buffer.from(new Uint8Array(answer.buffer, 0, bytes));
    }
    return this.#label;
  }

  /** The same as text, a character for each byte. */
  get label(): string | null {
    return this.labelBytes?.toString('latin1') ?? null;
  }

  /** How many bytes of `answer` it takes; negative if there is none, and then there is a reason. */
  #ask(
    part: 'groups' | 'label',
    call: (fd: number, into: Uint32Array) => number,
    without: string,
  ): number {
    const fd = this.#source.descriptor();
    if (fd < 0) {
      this.#reasons[part] = this.#source.without ?? GONE;
      return fd;
    }
    const bytes = ask((into) => call(fd, into));
    if (bytes < 0) {
      this.#reasons[part] = bytes === ENOPROTOOPT ? without : `getsockopt failed with ${-bytes}`;
    }
    return bytes;
  }

  /**
   * A descriptor for the process itself, whatever its number comes to be (SO_PEERPIDFD, Linux 6.5). Opened when first asked for and
   * closed with the connection, unless somebody has called its `take()`. Null, and why in `reasons`, where there is none.
   */
  get pidfd(): Descriptor | null {
    this.#pidfd ??= this.#pidfd === undefined ? this[kOpenPidfd]() : null;
    return this.#pidfd;
  }

  /**
   * One that is the caller's to close.
   * @internal
   */
  [kOpenPidfd](): Descriptor | null {
    const { pidfd } = this.#source;
    if (pidfd !== undefined) return this.#openAnother(pidfd);
    const source = this.#source.descriptor();
    const fd = source < 0 ? source : requireAddon('pidfd').peerPidFd(source);
    if (fd >= 0) return new Descriptor(fd);
    this.#reasons.pidfd =
      source < 0
        ? (this.#source.without ?? GONE)
        : fd === ENOPROTOOPT
          ? 'SO_PEERPIDFD needs Linux 6.5'
          : fd === ESRCH || fd === EINVAL
            ? PROCESS_IS_GONE
            : `getsockopt failed with ${-fd}`;
    return null;
  }

  /** Of one that came with data. */
  #openAnother(pidfd: Descriptor | number): Descriptor | null {
    if (typeof pidfd === 'number') {
      this.#reasons.pidfd = reasonAgainst(pidfd);
      return null;
    }
    const copy = pidfd.closed ? -1 : requireAddon('pidfd').duplicate(pidfd.fd);
    if (copy >= 0) return new Descriptor(copy);
    this.#reasons.pidfd = pidfd.closed ? 'it was closed or taken before' : reasonAgainst(copy);
    return null;
  }

  /**
   * Fulfilled when the process has exited, which has nothing to do with the connection: others may have it, too. Rejected where there is
   * no pidfd to tell. `exited.signal` is aborted at the same moment. Neither keeps our own process running.
   */
  get exited(): Exited {
    if (this.#exited === undefined) {
      const pidfd = this[kOpenPidfd]();
      const { pidfd: reason } = this.#reasons;
      // Few ask, and it takes the poller of afunix/raw.
      // eslint-disable-next-line @typescript-eslint/no-require-imports
      const { watchExit } = require('./exit') as typeof Exit;
      this.#exited = watchExit(pidfd, reason === PROCESS_IS_GONE, reason);
    }
    return this.#exited;
  }

  /** Why `groups`, `label` or `pidfd` was null. */
  get reasons(): MissingParts {
    return this.#reasons;
  }

  /** What the user database calls `uid`; null if it has no name, or has no number here. Rejects if it cannot be asked. */
  async userName(): Promise<string | null> {
    return this.unmappedUid ? null : userName(this.uid);
  }

  /** The same for `gid`. */
  async groupName(): Promise<string | null> {
    return this.unmappedGid ? null : groupName(this.gid);
  }

  /** Somebody else needs the pidfd, too, and will release it. @internal */
  [kHold](): void {
    this.#holders += 1;
  }

  /** The connection, or a message, is gone, and with the last of them the pidfd that nobody took. @internal */
  [kRelease](): void {
    this.#holders -= 1;
    if (this.#holders === 0) this.close();
  }

  /** Closes the pidfd, if there is one. Of a connection of ours that happens by itself. */
  close(): void {
    this.#pidfd?.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function groupsOf(bytes: number): readonly number[] {
  const groups: number[] = [];
  for (let i = 0; i < bytes / answer.BYTES_PER_ELEMENT; ++i) groups.push(answer[i]);
  return Object.freeze(groups);
}

/** Why none came with data. */
function reasonAgainst(status: number): string {
  switch (status) {
    case 0:
      return "nobody asked for it: passCredentials is not 'pidfd'";
    case ENOPROTOOPT:
      return 'SO_PASSPIDFD needs Linux 6.5';
    case ENODATA:
      return 'none came with this';
    case ESRCH:
    case EINVAL:
      return PROCESS_IS_GONE;
    case EMFILE:
      return 'this process has no room for another descriptor';
    default:
      return `recvmsg brought error ${-status} instead`;
  }
}

const PROCESS_IS_GONE = 'the process has exited';
