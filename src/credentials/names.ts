/** Names of users and groups, and back. The user database may be a directory server far away: it is asked on another thread. */
import { checkInteger, requireAddon, wrongType, wrongValue } from '../checks';
import { errnoException } from '../errors';
import { LookUp, type LookUpKind } from './native';

/** uid_t and gid_t; the last number is none. */
export const LARGEST_ID = 0xfffffffe;

function lookUp(kind: LookUpKind, what: number | string): Promise<string | number | null> {
  // What getpwnam(3) would see of it is another name.
  if (typeof what === 'string' && (what === '' || what.includes('\0')))
    return Promise.resolve(null);
  return new Promise((resolve, reject) => {
    const given = typeof what === 'string' ? Buffer.from(what) : what;
    const call = kind === LookUp.userName || kind === LookUp.userId ? 'getpwnam' : 'getgrnam';
    const status = requireAddon('afunix/credentials').lookUp(kind, given, (status, answer) => {
      if (status === 0) resolve(answer ?? null);
      else reject(errnoException(status, call));
    });
    if (status < 0) reject(errnoException(status, call));
  });
}

export function checkId(name: string, id: unknown): number {
  return checkInteger(name, id, 0, LARGEST_ID);
}

/** A user or a group as people write it: a number, or a name that has yet to be looked up. */
export function checkIdOrName(
  name: string,
  kind: 'user' | 'group',
  value: unknown,
): number | string {
  if (typeof value === 'number') return checkId(name, value);
  if (typeof value !== 'string') throw wrongType(name, 'of type number or string', value);
  if (value === '' || value.includes('\0') || /^-?\d+$/.test(value)) {
    throw wrongValue(name, value, `must be the name of a ${kind}, or a number as such`);
  }
  return value;
}

function checkName(name: unknown): string {
  if (typeof name !== 'string') throw wrongType('name', 'of type string', name);
  return name;
}

/** The name of a user; null if the user database has none for this number. Rejects if it cannot be asked. */
export async function userName(uid: number): Promise<string | null> {
  return (await lookUp(LookUp.userName, checkId('uid', uid))) as string | null;
}

/** The same for a group. */
export async function groupName(gid: number): Promise<string | null> {
  return (await lookUp(LookUp.groupName, checkId('gid', gid))) as string | null;
}

/** The number of a user; null if there is none of this name. Rejects if the user database cannot be asked. */
export async function userId(name: string): Promise<number | null> {
  return (await lookUp(LookUp.userId, checkName(name))) as number | null;
}

/** The same for a group. */
export async function groupId(name: string): Promise<number | null> {
  return (await lookUp(LookUp.groupId, checkName(name))) as number | null;
}
