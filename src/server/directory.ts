/**
 * Whether somebody else could put another socket at a pathname: every directory on the way to it is looked at, as sshd does
 * with the files that it trusts.
 */
import fs from 'node:fs';
import path from 'node:path';
import { addHint, codedError, errnoException } from '../errors';

const WRITABLE_BY_OTHERS = 0o002;
/** Only the owner of a file can rename or remove it (S_ISVTX in inode(7)). */
const STICKY = 0o1000;
/** As the kernel's path walk. */
const MOST_LINKS = 40;
const ELOOP = -40;

export interface UnsafeDirectoryError extends Error {
  code: 'ERR_AFUNIX_UNSAFE_DIRECTORY';
  /** The directory, or the symbolic link, that cannot be trusted. */
  directory: string;
  address: string;
}

function unsafe(directory: string, address: string, why: string): UnsafeDirectoryError {
  const error = codedError(
    Error,
    'ERR_AFUNIX_UNSAFE_DIRECTORY',
    `listen: '${directory}' ${why}, who could put another socket in the place of '${address}'`,
  ) as UnsafeDirectoryError;
  error.directory = directory;
  error.address = address;
  addHint(
    error,
    `use a directory that only root or this user may write to (or one with the sticky bit), or listen with checkDirectory: false`,
  );
  return error;
}

function user(uid: number): string {
  return uid === 65_534
    ? 'uid 65534, which may stand for any user of another namespace'
    : `uid ${uid}`;
}

/**
 * What is unsafe on the way to the file `address`, or null. `trusted` are the uids that may own directories beside root. Throws what
 * lstat(2) and readlink(2) say.
 */
export function findUnsafeDirectory(
  address: string,
  trusted: ReadonlySet<number>,
): UnsafeDirectoryError | null {
  const slash = address.lastIndexOf('/');
  const way = address.startsWith('/') ? [] : process.cwd().split('/');
  const pending = [...way, ...address.slice(0, slash + 1).split('/')];
  let place = '/';
  let links = 0;
  let problem = look(place, fs.lstatSync(place), address, trusted);
  while (problem === null && pending.length > 0) {
    const name = pending.shift() ?? '';
    if (name === '' || name === '.') continue;
    if (name === '..') {
      // `place` has no symbolic link in it.
      place = path.dirname(place);
      continue;
    }
    const next = path.join(place, name);
    const status = fs.lstatSync(next);
    if (status.isSymbolicLink()) {
      links += 1;
      if (links > MOST_LINKS) throw errnoException(ELOOP, 'lstat', next);
      if (status.uid !== 0 && !trusted.has(status.uid)) {
        return unsafe(next, address, `is a symbolic link of ${user(status.uid)}`);
      }
      const target = fs.readlinkSync(next);
      if (target.startsWith('/')) place = '/';
      pending.unshift(...target.split('/'));
    } else {
      place = next;
      problem = look(place, status, address, trusted);
    }
  }
  return problem;
}

function look(
  directory: string,
  { uid, mode }: fs.Stats,
  address: string,
  trusted: ReadonlySet<number>,
): UnsafeDirectoryError | null {
  if (uid !== 0 && !trusted.has(uid)) {
    return unsafe(directory, address, `belongs to ${user(uid)}`);
  }
  if ((mode & WRITABLE_BY_OTHERS) !== 0 && (mode & STICKY) === 0) {
    return unsafe(directory, address, 'has no sticky bit and is writable by everybody');
  }
  return null;
}
