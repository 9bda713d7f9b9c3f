/**
 * Where a listener is put, and how safely: the options of `listen` about the socket file. What takes the place, in one go and
 * without a race, is `native/posix/socket_place.cc`.
 */
import cluster from 'node:cluster';
import fs from 'node:fs';
import { resolve } from 'node:path';
import { encodeAddress, isAbstract } from '../address';
import { isPipeName, type LooseOptions } from '../arguments';
import { STREAM, type SocketType } from '../binding';
import { checkInteger, outOfRange, wrongType, wrongValue } from '../checks';
import { checkIdOrName } from '../credentials/names';
import { engine } from '../engine/engine';
import { addHint, errnoException, type SystemError } from '../errors';
import { FILE_GUARDS, guardsAmong, SERVER_GUARDS } from '../guards';
import { findUnsafeDirectory } from './directory';
import { listenFailure } from './failure';

/** What to do about a socket file that is there already. */
export type Stale = 'error' | 'probe' | 'replace';

export interface Place<Id = number> {
  /** Permission bits of the socket file. */
  readonly mode: number;
  /** −1: as bind(2) makes it. */
  readonly uid: Id;
  readonly gid: Id;
  readonly stale: Stale;
  readonly checkDirectory: boolean;
}

/** As it was asked for: an owner may be a name, see owner.ts. */
export type AskedPlace = Place<number | string>;

/** Options of `listen` that ask for a safe file: those that say how it is made, and who is let in. */
const ASK_FOR_A_PLACE = [...FILE_GUARDS, 'authorize', 'maxConnectionsPerUid'] as const;

const DEFAULT_MODE = 0o600;
const MOST_MODE = 0o777;
const KEEP = -1;
const READABLE_BY_ALL = 0o444;
const WRITABLE_BY_ALL = 0o222;

/** The Int32Array of `listenAtPlace`; native/binding/addon.cc has the same. */
const FIELD = { mode: 0, uid: 1, gid: 2, stale: 3, step: 4, occupant: 5, owner: 6, count: 7 };
const STALE: readonly Stale[] = ['error', 'probe', 'replace'];

/** PlaceStep in native/posix/socket_place.h: what the kernel was asked when it said no. */
const STEPS = ['', 'open', 'connect', 'bind', 'chmod', 'chown', 'listen', 'rename'] as const;
type Step = (typeof STEPS)[number];

/** Occupant in native/posix/socket_place.h. */
const OCCUPANT = { none: 0, notSocket: 1, foreign: 2, alive: 3, unknown: 4 };

const EADDRINUSE = -98;
const EEXIST = -17;
const EBUSY = -16;
const EPERM = -1;

function given(options: LooseOptions, names: readonly string[]): string[] {
  return Object.keys(guardsAmong(names, options) ?? {});
}

/** Throws if there is an option that nobody would follow. `why` goes on from "the option x". */
export function refuseOptions(options: LooseOptions, why: string): void {
  const [name] = given(options, SERVER_GUARDS);
  if (name === undefined) return;
  throw wrongValue(`options.${name}`, options[name], why);
}

/**
 * What `options` ask for, or null if they ask for nothing that `net` has not. Throws ERR_INVALID_ARG_VALUE where they cannot be
 * followed, ERR_INVALID_ARG_TYPE and ERR_OUT_OF_RANGE for values that are none.
 */
export function placeOf(options: LooseOptions, type: SocketType): AskedPlace | null {
  if (given(options, ASK_FOR_A_PLACE).length === 0) return null;
  if (cluster.isWorker && !options['exclusive'] && type === STREAM) {
    refuseOptions(
      options,
      'is not followed in a cluster worker, whose listeners are opened by the primary: listen with exclusive: true, or in the primary',
    );
  }
  const names = given(options, FILE_GUARDS);
  const [name] = names;
  const { path, fd } = options;
  if (name !== undefined) refuseWithout(name, options);
  // Whatever `net` says of them, or a listener without a file.
  if (fd !== undefined || !isPipeName(path) || path === '' || isAbstract(path)) return null;
  return {
    mode: modeOf(options),
    uid: idOf('uid', 'user', options['uid']),
    gid: idOf('gid', 'group', options['gid']),
    stale: staleOf(options['stale']),
    checkDirectory: flagOf(options['checkDirectory']),
  };
}

/** Options about a file where there is none, or none that is ours to make. */
function refuseWithout(name: string, options: LooseOptions): void {
  const { path, fd } = options;
  const refuse = (why: string): never => {
    throw wrongValue(`options.${name}`, options[name], why);
  };
  if (fd !== undefined) {
    refuse(
      'cannot be combined with fd: the file of an inherited socket has been made by whoever bound it',
    );
  }
  if (!isPipeName(path) || path === '') {
    refuse('is about the socket file, and there is none without a path');
  } else if (isAbstract(path)) {
    refuse(
      `protects nothing with the abstract name '@${path.slice(1)}': it has no file, and everybody in its network namespace may connect; say who is let in with authorize`,
    );
  }
}

function modeOf(options: LooseOptions): number {
  const { mode, readableAll, writableAll } = options;
  let wider = 0;
  if (readableAll === true) wider |= READABLE_BY_ALL;
  if (writableAll === true) wider |= WRITABLE_BY_ALL;
  if (mode === undefined) return DEFAULT_MODE | wider;
  if (wider !== 0) {
    throw wrongValue(
      'options.mode',
      mode,
      'is the whole mode of the socket file, and cannot be combined with readableAll or writableAll',
    );
  }
  if (typeof mode === 'string') {
    throw wrongType('options.mode', 'of type number, such as 0o600', mode);
  }
  if (typeof mode === 'number' && Number.isInteger(mode) && (mode < 0 || mode > MOST_MODE)) {
    // 600 is 0o1130; what is meant shows in its digits.
    const meant = /^[0-7]{1,3}$/.test(String(mode)) ? ` (permissions are octal: 0o${mode}?)` : '';
    throw outOfRange('options.mode', `>= 0 && <= 0o777${meant}`, mode);
  }
  return checkInteger('options.mode', mode, 0, MOST_MODE);
}

function idOf(name: string, kind: 'user' | 'group', value: unknown): number | string {
  return value === undefined ? KEEP : checkIdOrName(`options.${name}`, kind, value);
}

function staleOf(value: unknown): Stale {
  if (value === undefined) return 'error';
  const index = STALE.indexOf(value as Stale);
  if (index >= 0) return STALE[index];
  throw wrongValue('options.stale', value, `must be one of: 'error', 'probe', 'replace'`);
}

function flagOf(value: unknown): boolean {
  if (value === undefined) return true;
  if (typeof value === 'boolean') return value;
  throw wrongType('options.checkDirectory', 'of type boolean', value);
}

/** Binds and listens: a handle, or why not. `from` is where a relative path begins, if that is not certainly where the process is. */
export function openAtPlace(
  path: string,
  place: Place,
  backlog: number,
  type: SocketType,
  passing: number,
  from?: string,
): number | Error {
  const where = from === undefined || from === process.cwd() ? path : resolve(from, path);
  if (place.checkDirectory) {
    const unsafe = checkWay(where, place.uid);
    if (unsafe !== null) return unsafe;
  }
  const fields = new Int32Array(FIELD.count);
  fields[FIELD.mode] = place.mode;
  fields[FIELD.uid] = place.uid;
  fields[FIELD.gid] = place.gid;
  fields[FIELD.stale] = STALE.indexOf(place.stale);
  const handle = engine().listenAtPlace(encodeAddress(where), backlog, type, passing, fields);
  return handle < 0 ? explain(handle, path, place, fields) : handle;
}

function checkWay(path: string, uid: number): Error | null {
  const trusted = new Set([process.geteuid?.() ?? 0]);
  if (uid !== KEEP) trusted.add(uid);
  try {
    return findUnsafeDirectory(path, trusted);
  } catch (error) {
    // Nothing is opened where nobody could look.
    const { errno } = error as SystemError;
    if (errno === undefined) throw error;
    const failure = listenFailure(errno, path);
    failure.cause ??= error;
    return failure;
  }
}

function explain(status: number, path: string, place: Place, fields: Int32Array): SystemError {
  const error = listenFailure(status, path);
  const step = STEPS[fields[FIELD.step]] ?? '';
  if (step !== '' && step !== 'bind' && step !== 'connect') {
    error.cause ??= errnoException(status, step, step === 'open' ? `${path}.lock` : path);
  }
  const hint =
    hintForStep(status, step, path, place) ??
    hintForOccupant(status, fields[FIELD.occupant], fields[FIELD.owner] >>> 0, path);
  if (hint !== undefined) addHint(error, hint);
  return error;
}

function hintForStep(status: number, step: Step, path: string, place: Place): string | undefined {
  if (step === 'open') {
    if (status === EBUSY) return `other starters have kept '${path}.lock' locked for five seconds`;
    return hintForLock(`${path}.lock`);
  }
  if (step === 'chown' && status === EPERM) {
    return place.uid === KEEP
      ? `only a member of group ${place.gid}, or root, can give it '${path}'`
      : `only root can give '${path}' to uid ${place.uid}`;
  }
  if (step === 'connect' && status === EEXIST) {
    return `'${path}.old' is in the way: it is not a socket file that was left behind`;
  }
  if (step === 'bind' && status === EADDRINUSE && place.stale === 'replace') {
    return `'${path}.new' is in the way: it is not a socket file that was left behind`;
  }
  return undefined;
}

/** What is there in the place of a file that could be locked; undefined if nothing is: then it could not be made. */
function hintForLock(lock: string): string | undefined {
  try {
    const found = fs.lstatSync(lock);
    const owner = `of uid ${found.uid}`;
    if (found.isSymbolicLink()) {
      return `'${lock}' is in the way: it is a symbolic link ${owner}, which is not followed`;
    }
    const what = found.isFile() ? 'a file' : found.isDirectory() ? 'a directory' : 'no file';
    return `'${lock}' is in the way: it is ${what} ${owner}, which this process cannot lock`;
  } catch {
    return undefined;
  }
}

function hintForOccupant(
  status: number,
  occupant: number,
  owner: number,
  path: string,
): string | undefined {
  if (status !== EADDRINUSE) return undefined;
  switch (occupant) {
    case OCCUPANT.notSocket:
      return `'${path}' is not a socket, and is left alone`;
    case OCCUPANT.foreign:
      return `'${path}' is a socket of uid ${owner}, and is left alone`;
    case OCCUPANT.alive:
      return `a socket is bound to '${path}': its server is running, or about to`;
    case OCCUPANT.unknown:
      return `whether anybody listens on '${path}' could not be found out`;
    case OCCUPANT.none:
      return `'${path}' changed hands again and again while it was looked at`;
    default:
      return `'${path}' was left behind: with stale: 'probe' it would be replaced`;
  }
}
