/**
 * The addon: found, loaded, and declared. Nothing else in the project touches the `.node` file, and
 * every native function returns a number: a handle, a count, 0, or −errno.
 */
import path from 'node:path';
import type { CredentialsBinding } from './credentials/native';
import type { ActivationBinding } from './activation/native';
import type { RawBinding } from './raw/native';

/** SOCK_STREAM and SOCK_SEQPACKET, as `describe` says them. */
export const STREAM = 1;
export const SEQPACKET = 5;
export type SocketType = typeof STREAM | typeof SEQPACKET;

/** Memory that both sides see; laid out by `engine/engine.ts`, kept by the addon. */
export interface EngineMemory {
  readonly completions: Int32Array;
  readonly submissions: Int32Array;
  readonly sendArea: Uint8Array;
  readonly receiveArea: Uint8Array;
  /** Spare slabs for long reads; the engine fills them, we replace them. */
  readonly slabs: Uint8Array[];
  /** Numbers of descriptors that came with data, see `claimDescriptors`. */
  readonly descriptors: Int32Array;
  /** Who is at the other end of what is told, see `PEER`. */
  readonly peers: Int32Array;
  /** By handle: memory of the user's that reads go into. */
  readonly targets: (Uint8Array | undefined)[];
  /** By handle: the bytes of a large write under way, kept alive and unchanged until it is done. */
  readonly payloads: (Uint8Array | Uint8Array[] | undefined)[];
}

/** Memory for messages; laid out by `seqpacket/memory.ts`, kept by the addon. */
export interface MessageMemory {
  /** What is received lies here until the next batch of events. */
  readonly area: Uint8Array;
  /** The table of received messages, column by column. */
  readonly received: Int32Array;
  /** The table of messages to send, column by column. */
  readonly outgoing: Int32Array;
}

export interface NativeBinding extends RawBinding, CredentialsBinding, ActivationBinding {
  /** Built for debugging. */
  readonly debug: boolean;
  /**
   * Starts this thread's engine, on io_uring or on epoll; after a failure another kind can be tried. `dispatch` is called
   * with the number of rows in `completions`.
   */
  attach(memory: EngineMemory, dispatch: (count: number) => void, uring: boolean): number;
  /** 0 if there can be an io_uring that does all we need; ENOSYS, EPERM, EINVAL (before Linux 6.1) ... */
  probeUring(): number;
  /** SOCK_* of an AF_UNIX socket, plus 0x100 if it listens; −errno otherwise (EAFNOSUPPORT, ENOTSOCK, EBADF). */
  describe(fd: number): number;
  /** A handle; a `kConnected` completion tells the outcome. */
  connect(
    address: Uint8Array,
    padded: boolean,
    patienceMilliseconds: number,
    type: SocketType,
    descriptors: boolean,
  ): number;
  /** connect(2) on a handle that has been connected, or is about to be. */
  connectAgain(
    handle: number,
    address: Uint8Array,
    padded: boolean,
    patienceMilliseconds: number,
  ): number;
  /** Takes ownership of `fd`, also when it fails, and also of one that this thread owns. */
  adopt(fd: number): number;
  /** Puts the handles of two sockets connected to each other into `handles`. */
  socketpair(handles: Int32Array, type: SocketType): number;
  /** `mode`, unless it is 0, is the socket file's whole mode, or is added to it. `passing` is what peers may pass, see `server/passing.ts`. */
  listen(
    address: Uint8Array,
    padded: boolean,
    backlog: number,
    mode: number,
    whole: boolean,
    type: SocketType,
    passing: number,
  ): number;
  /** `place`: see `server/place.ts`. The path is no abstract name. */
  listenAtPlace(
    path: Uint8Array,
    backlog: number,
    type: SocketType,
    passing: number,
    place: Int32Array,
  ): number;
  /** Takes ownership of `fd` as `adopt` does. */
  adoptListener(fd: number, backlog: number, passing: number): number;
  /** Others accept from the same socket: whichever is free shall have the next connection. */
  share(listener: number): number;
  /** Once per thread, before the first message socket. */
  setMessageMemory(memory: MessageMemory): number;
  /** 0 leaves a setting as it is. The longest message that can be sent now. */
  setMessageLimits(
    handle: number,
    longest: number,
    batchSize: number,
    sendBuffer: number,
    receiveBuffer: number,
  ): number;
  /** Carries out the first `count` rows of `submissions`. `more`: others follow at once. */
  flush(count: number, more: boolean): number;
  /**
   * How many descriptors one message may bring to a connection, and how many those that are received together; 0 at first. Before the
   * first read.
   */
  setMaxDescriptors(handle: number, most: number, atOnce: number): number;
  /** Descriptors that are told in this batch become this thread's: closed with it, unless they are closed before. */
  claimDescriptors(place: number, count: number): number;
  /** The same for the pidfd at `place`, one less than a row of `peers` says: a descriptor. EBADF if it is not there any more. */
  claimPidfd(place: number): number;
  /** A copy of `fd`, this thread's like the claimed ones. EBADF, EMFILE. */
  duplicate(fd: number): number;
  /** The next payload of `handle` takes these along. Claimed ones or duplicates; the engine's from here on, also on failure. */
  attachDescriptors(handle: number, descriptors: Int32Array): number;
  /** The descriptor of a connection, this thread's like the claimed ones; the handle closes. EBUSY while a write is under way. */
  detach(handle: number): number;
  /** How many bytes the last detached connection had received without telling; copied if `into` has room for them. */
  unread(into: Uint8Array): number;
  setReferenced(handle: number, referenced: boolean): number;
  /** Handle −1: every socket of this thread. */
  setBusyPoll(handle: number, microseconds: number): number;
  pendingBytes(handle: number): number;
  /** The descriptor behind a handle, still the engine's. */
  descriptor(handle: number): number;
  counters(into: Float64Array): number;
}

export interface Loaded {
  readonly native: NativeBinding | null;
  /** Why there is no addon. */
  readonly reason?: string;
}

/** As node-gyp-build has it. */
interface Find {
  (folder: string): unknown;
  resolve(folder: string): string;
}

/** On what a copy of this module has from the addon: it is that copy's. */
const kTaken = Symbol.for('afunix.taken');

/**
 * The addon in `file`, whose exports belong to one copy of this module. `require` gives one object to all that are in a thread: test runners that
 * load modules anew for each file, or a bundle beside the package. A copy that comes later has an instance of its own, with its own engine.
 */
function ownInstance(first: unknown, file: () => string): NativeBinding {
  let instance = first as NativeBinding & { [kTaken]?: true };
  if (instance[kTaken] === true) {
    const module = { exports: {} };
    process.dlopen(module, file());
    instance = module.exports as NativeBinding;
  }
  Object.defineProperty(instance, kTaken, { value: true });
  return instance;
}

/** What Node's permission model says, and what is said if addons are not allowed. */
interface Denied extends NodeJS.ErrnoException {
  readonly permission?: string;
  readonly resource?: string;
}

function runsOnGlibc(): boolean {
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return header?.glibcVersionRuntime !== undefined;
}

/**
 * node-gyp-build, which looks for a file in /etc to know the C library. Where the permission model does not let it, it is told: a program
 * whose own folder can be read needs no more than `--allow-addons`.
 */
function nodeGypBuild(): Find {
  try {
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    return require('node-gyp-build') as Find;
  } catch (error) {
    if ((error as Denied).code !== 'ERR_ACCESS_DENIED' || process.env['LIBC'] !== undefined) {
      throw error;
    }
    process.env['LIBC'] = runsOnGlibc() ? 'glibc' : 'musl';
    try {
      // eslint-disable-next-line @typescript-eslint/no-require-imports
      return require('node-gyp-build') as Find;
    } finally {
      Reflect.deleteProperty(process.env, 'LIBC');
    }
  }
}

/** The package: what is looked into for the addon. */
const folder = path.join(__dirname, '..');

/** What has to be allowed, of what Node only says that it is not; node-gyp-build finds nothing in a folder that it cannot read. */
function remedy({ code, permission, resource }: Denied): string {
  if (code === 'ERR_DLOPEN_DISABLED') return ': allow it by --allow-addons';
  const { permission: permissions } = process as {
    permission?: { has(scope: string, reference: string): boolean };
  };
  if (permissions?.has('fs.read', folder) === false)
    return `: allow it by --allow-fs-read=${folder}/*`;
  if (code !== 'ERR_ACCESS_DENIED' || permission !== 'FileSystemRead') return '';
  return `: allow it by --allow-fs-read=${resource ?? ''}`;
}

function find(): NativeBinding {
  const named = process.env['AFUNIX_ADDON'];
  if (named !== undefined && named !== '') {
    const file = path.resolve(named);
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    return ownInstance(require(file), () => file);
  }
  const build = nodeGypBuild();
  return ownInstance(build(folder), () => build.resolve(folder));
}

/** The first line of its message, and what would help. */
function whatFailed(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const [line = ''] = message.split('\n', 1);
  return line.replace(/\.? Use --allow-fs-read .*$/, '') + remedy(Object(error) as Denied);
}

function load(): Loaded {
  if (process.platform !== 'linux') {
    return { native: null, reason: `afunix runs on Linux; this is ${process.platform}` };
  }
  try {
    return { native: find() };
  } catch (error) {
    return { native: null, reason: `the addon could not be loaded: ${whatFailed(error)}` };
  }
}

export const { native, reason: missingBecause }: Loaded = load();

export const debugBuild = native?.debug === true;
