/**
 * Which ids mean somebody: what has no number in this process's user namespace is told as the overflow id, which may also be the number
 * of a real user. user_namespaces(7).
 */
import { readFileSync } from 'node:fs';

/** What the kernel says where it has nobody to tell of: (uid_t) −1. */
const NOBODY_AT_ALL = 0xffffffff;
/** Every id but the last, which is none. */
const ALL_IDS = 0xffffffff;
const DEFAULT_OVERFLOW_ID = 65_534;

interface Ids {
  readonly overflow: number;
  /** Every id of the machine has a number here, so the overflow id is an ordinary one. */
  readonly complete: boolean;
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function idsOf(kind: 'uid' | 'gid'): Ids {
  const overflow = Number(read(`/proc/sys/kernel/overflow${kind}`) ?? DEFAULT_OVERFLOW_ID);
  // Rows of: first id here, first id outside, how many. Unreadable: whatever it is, it is not complete.
  const rows = read(`/proc/self/${kind}_map`)?.trim().split('\n') ?? [];
  const mapped = rows.reduce((sum, row) => sum + Number(row.trim().split(/\s+/)[2] ?? 0), 0);
  return { overflow, complete: mapped >= ALL_IDS };
}

let uids: Ids | undefined;
let gids: Ids | undefined;

/** Whether this number says who it is. */
export function isKnownUid(uid: number): boolean {
  uids ??= idsOf('uid');
  return uid !== NOBODY_AT_ALL && (uid !== uids.overflow || uids.complete);
}

export function isKnownGid(gid: number): boolean {
  gids ??= idsOf('gid');
  return gid !== NOBODY_AT_ALL && (gid !== gids.overflow || gids.complete);
}
