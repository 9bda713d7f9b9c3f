/**
 * What `afunix/register` has done to this thread's `net`. It is kept where every copy of this package finds it, so that `net` is
 * never replaced twice.
 */
import net from 'node:net';

/** As they were when this was loaded: whoever replaces one of them later expects it to be called. */
export const socketMethodsThen = Object.getOwnPropertyDescriptors(net.Socket.prototype);

export interface Registration {
  /** Whether paths go to afunix here. It is not known to be false before a path has been asked for. */
  active: boolean;
  /** Why not. */
  reason?: string;
  /** What of `node:net` is ours. */
  replaced: readonly string[];
  /** The patterns of AFUNIX_REGISTER_PATHS; null if every path is served. */
  readonly paths: readonly string[] | null;
  /** Sockets that went to a path by `connect()` so far. */
  sockets: number;
  /** Servers that `listen()` put on a path so far. */
  servers: number;
}

const kRegistration = Symbol.for('afunix.register');

const everywhere = globalThis as { [kRegistration]?: Registration };

export function registration(): Registration | undefined {
  return everywhere[kRegistration];
}

export function register(registered: Registration): void {
  Object.defineProperty(everywhere, kRegistration, { value: registered, configurable: true });
}
