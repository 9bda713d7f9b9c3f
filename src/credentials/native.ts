/**
 * What the addon has for credentials. Every function returns a number: a descriptor, a count of bytes, 0, or −errno. A count
 * that is larger than the memory that was given says how much it takes; nothing was written then.
 */

/** What can be looked up in the user database. */
export const LookUp = { userName: 0, groupName: 1, userId: 2, groupId: 3 } as const;
export type LookUpKind = (typeof LookUp)[keyof typeof LookUp];

export interface CredentialsBinding {
  /** SO_PEERCRED: pid, uid and gid, see `PEER`. */
  peerCredentials(fd: number, into: Int32Array): number;
  /** SO_PEERGROUPS with the primary group: 32-bit numbers, sorted, each once. ENOPROTOOPT before Linux 4.13. */
  peerGroups(fd: number, into: Uint32Array): number;
  /** SO_PEERSEC, without a trailing NUL. ENOPROTOOPT where no security module keeps labels. */
  peerLabel(fd: number, into: Uint32Array): number;
  /** SO_PEERPIDFD, owned as if by `own`. ENOPROTOOPT before Linux 6.5; before 6.16 EINVAL or ESRCH for one that was reaped. */
  peerPidFd(fd: number): number;
  /** 1 if the process of a pidfd has exited, 0 if not. */
  hasExited(pidfd: number): number;
  /** Asks the user database on another thread; names as bytes. `answer` is undefined if there is none. */
  lookUp(
    kind: LookUpKind,
    what: number | Uint8Array,
    callback: (status: number, answer: string | number | undefined) => void,
  ): number;
}
