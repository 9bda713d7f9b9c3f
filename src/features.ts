/** What works here, and why the rest does not. */
import { NET_ABSTRACT_LENGTH } from './address';
import { missingBecause, native } from './binding';
import { chosenEngine, noUringBecause } from './engine/choice';
import { peerFeatures } from './credentials/features';
import { engine, isAttached } from './engine/engine';
import { registration } from './register/registration';
import { refusedConnections } from './server/refusal';

export interface Feature {
  readonly available: boolean;
  /** Why not. */
  readonly reason?: string;
}

export interface Features {
  /** Paths are served by the addon; otherwise they go to `node:net`. */
  readonly addon: Feature;
  readonly engine: 'epoll' | 'io_uring' | 'net';
  /** Why it is not the engine that was asked for. */
  readonly engineReason?: string;
  readonly ioUring: Feature;
  readonly busyPoll: Feature;
  readonly abstractNames: Feature;
  /** Parts of a peer's credentials: `groups`, `label` and `pidfd`. */
  readonly peerGroups: Feature;
  readonly peerLabel: Feature;
  readonly peerPidfd: Feature;
  /** What `passCredentials: 'pidfd'` asks for. */
  readonly writerPidfd: Feature;
  /** How this Node's `net`, and so afunix by default, turns an abstract name into an address. */
  readonly abstractLength: 'exact' | 'padded';
  /** Whether paths of `node:net` are served by afunix in this thread, and how. */
  readonly register: RegisterFeature;
}

export interface RegisterFeature extends Feature {
  /** What of `node:net` is ours. */
  readonly replaced?: readonly string[];
  /** The patterns of AFUNIX_REGISTER_PATHS; without, every path is served. */
  readonly paths?: readonly string[];
  /** Sockets of `net`'s that went to a path so far. */
  readonly sockets?: number;
  /** Servers of `net`'s that listened on a path so far. */
  readonly servers?: number;
}

export interface Stats {
  readonly engine: 'epoll' | 'io_uring' | 'net';
  readonly connected: number;
  readonly accepted: number;
  /** Connections that `authorize` or a limit of it refused. */
  readonly refused: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Times that the engine had something to tell. */
  readonly wakeups: number;
  readonly completions: number;
  readonly flushes: number;
  /** System calls of the engine, without libuv's own. */
  readonly syscalls: number;
}

export function features(): Features {
  const hasAddon = native !== null;
  const because = hasAddon ? {} : { reason: missingBecause };
  const choice = chosenEngine();
  return {
    addon: { available: hasAddon, ...because },
    engine: hasAddon ? choice.engine : 'net',
    ...(choice.reason === undefined ? {} : { engineReason: choice.reason }),
    ioUring: ioUring(),
    busyPoll: { available: hasAddon, ...because },
    abstractNames:
      process.platform === 'linux'
        ? { available: true }
        : { available: false, reason: 'only Linux has them' },
    ...peerFeatures(missingBecause),
    abstractLength: NET_ABSTRACT_LENGTH,
    register: registerFeature(),
  };
}

function registerFeature(): RegisterFeature {
  const registered = registration();
  if (registered === undefined) {
    return { available: false, reason: 'afunix/register has not been loaded in this thread' };
  }
  const because = native === null ? missingBecause : registered.reason;
  if (because !== undefined) return { available: false, reason: because };
  const { replaced, paths, sockets, servers } = registered;
  return { available: true, replaced, sockets, servers, ...(paths === null ? {} : { paths }) };
}

function ioUring(): Feature {
  const reason = native === null ? missingBecause : noUringBecause();
  return reason === undefined ? { available: true } : { available: false, reason };
}

/** Counters of the calling thread; they only grow. */
export function stats(): Stats {
  const counters = new Float64Array(8);
  if (native !== null && isAttached()) engine().counters(counters);
  const [connected, accepted, bytesRead, bytesWritten, wakeups, completions, flushes, syscalls] =
    counters as unknown as readonly [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
  return {
    engine: native === null ? 'net' : chosenEngine().engine,
    connected,
    accepted,
    refused: refusedConnections(),
    bytesRead,
    bytesWritten,
    wakeups,
    completions,
    flushes,
    syscalls,
  };
}
