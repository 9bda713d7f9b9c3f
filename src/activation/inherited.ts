/**
 * Descriptors that a service manager passed on: sd_listen_fds(3). They start at 3; LISTEN_FDS says how many there are, LISTEN_PID for whom,
 * LISTEN_FDNAMES what they are called.
 */
import { SEQPACKET, STREAM } from '../binding';
import { boundName } from '../bound-name';
import { requireAddon } from '../checks';
import { codedError, errnoException } from '../errors';

export type DescriptorType = 'stream' | 'seqpacket' | 'dgram' | 'other';

export interface InheritedDescriptor {
  /** Close-on-exec, and whoever gets this has to close it, or give it to somebody who does. */
  readonly fd: number;
  /** As the manager calls it (`FileDescriptorName=`); `'unknown'` if it has no name. */
  readonly name: string;
  /** Of a Unix socket its type; `'other'` is anything else, a TCP socket too. */
  readonly type: DescriptorType;
  /** It is a Unix socket that listens. */
  readonly listening: boolean;
  /** What a Unix socket is bound to: a pathname, an abstract name behind a NUL, or null. */
  readonly address: string | null;
}

/** `server.listen(listener)` takes it as it is. */
export interface InheritedListener extends InheritedDescriptor {
  readonly type: 'stream' | 'seqpacket';
  readonly listening: true;
}

export interface TakeOptions {
  /**
   * Take the variables out of `process.env`, so that child processes do not believe that they are meant; default true. Without it the next call
   * takes the descriptors once more.
   */
  unset?: boolean;
}

const FIRST = 3;
/** The kernel's largest possible table of descriptors (`fs.nr_open`) is not longer than this by default. */
const MOST = 1024 * 1024;
const DGRAM = 2;
/** What `describe` adds. */
const LISTENING = 0x100;
const VARIABLES = ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES', 'LISTEN_PIDFDID'] as const;
const TYPES: Readonly<Record<number, DescriptorType>> = {
  [STREAM]: 'stream',
  [DGRAM]: 'dgram',
  [SEQPACKET]: 'seqpacket',
};
const EBADF = -9;

/** What was inherited and not handed out yet. */
let untaken: InheritedDescriptor[] = [];

function wrong(variable: string, why: string): Error {
  return codedError(
    Error,
    'ERR_AFUNIX_ACTIVATION',
    `${variable}=${process.env[variable] ?? ''}: ${why}`,
  );
}

function wholeNumber(variable: string, most: number): number | undefined {
  const value = process.env[variable];
  if (value === undefined) return undefined;
  const number = Number(value);
  if (/^\d+$/.test(value) && number <= most) return number;
  throw wrong(variable, `must be an integer from 0 to ${most}`);
}

function namesOf(count: number): string[] {
  const value = process.env['LISTEN_FDNAMES'];
  if (value === undefined) return Array<string>(count).fill('unknown');
  const names = value.split(':');
  if (names.length === count) return names;
  throw wrong('LISTEN_FDNAMES', `has ${names.length} names for ${count} descriptors`);
}

function inspectDescriptor(fd: number, name: string): InheritedDescriptor {
  const addon = requireAddon('activation');
  // Before anything else: a child that is spawned meanwhile must not get it.
  const marked = addon.closeOnExec(fd);
  if (marked < 0) throw errnoException(marked, 'fcntl', `descriptor ${fd}`);
  const kind = addon.describe(fd);
  if (kind === EBADF) throw errnoException(kind, 'getsockopt', `descriptor ${fd}`);
  if (kind < 0) return { fd, name, type: 'other', listening: false, address: null };
  return {
    fd,
    name,
    type: TYPES[kind & ~LISTENING] ?? 'other',
    listening: (kind & LISTENING) !== 0,
    address: boundName(fd),
  };
}

function inherit(): InheritedDescriptor[] {
  const pid = wholeNumber('LISTEN_PID', 2 ** 31 - 1);
  // Meant for a process further up that did not unset it.
  if (pid !== process.pid) return [];
  const count = wholeNumber('LISTEN_FDS', MOST) ?? 0;
  const names = namesOf(count);
  return names.map((name, index) => inspectDescriptor(FIRST + index, name));
}

function take<Wanted extends InheritedDescriptor>(
  options: TakeOptions,
  isWanted: (inherited: InheritedDescriptor) => inherited is Wanted,
): Wanted[] {
  const { unset = true } = options;
  if (process.env['LISTEN_PID'] !== undefined || process.env['LISTEN_FDS'] !== undefined) {
    try {
      untaken = inherit();
    } finally {
      if (unset) for (const variable of VARIABLES) Reflect.deleteProperty(process.env, variable);
    }
  }
  const taken = untaken.filter(isWanted);
  untaken = untaken.filter((inherited) => !isWanted(inherited));
  return taken;
}

function isListener(inherited: InheritedDescriptor): inherited is InheritedListener {
  return inherited.listening && (inherited.type === 'stream' || inherited.type === 'seqpacket');
}

function isAny(inherited: InheritedDescriptor): inherited is InheritedDescriptor {
  return inherited.fd >= 0;
}

/**
 * The Unix stream and SEQPACKET sockets that listen and were passed to this process, in the manager's order; none if it was not activated. Each
 * is handed out once. On the main thread: a worker has a copy of the environment. Errors: ERR_AFUNIX_ACTIVATION for variables that make no
 * sense, EBADF for a descriptor that is not open, ERR_AFUNIX_NO_ADDON. Source: sd_listen_fds_with_names(3).
 */
export function listeners(options: TakeOptions = {}): InheritedListener[] {
  return take(options, isListener);
}

/** Whatever else was passed on and not handed out yet: TCP sockets, connections, what was stored with `FDSTORE`. Errors as `listeners()`. */
export function descriptors(options: TakeOptions = {}): InheritedDescriptor[] {
  return take(options, isAny);
}
