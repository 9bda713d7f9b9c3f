/** What a server can be told when it is made and when it listens. */
import type net from 'node:net';
import type { AbstractLength } from '../address';
import type { DescriptorLimits } from '../descriptor-quota';
import type { Stale } from './place';
import type { GateOptions } from './gate-options';

/** Limits are those of each accepted socket. */
export interface ServerOptions extends net.ServerOpts, DescriptorLimits, GateOptions, FileOptions {
  /** Of each accepted socket, for reading and for writing, in bytes. */
  highWaterMark?: number;
  /** True: a 'connection' listener that rejects destroys that socket with the reason. Anything else is ignored, as `net` ignores all of it. */
  captureRejections?: boolean;
  /**
   * Ask the kernel who wrote what is received (SO_PASSCRED), which may be another process than the one that connected. Told as the
   * event 'credentials' of accepted sockets, and as `info.credentials` of messages. Reads are shorter and cost more; default false.
   * `'pidfd'`: each writer comes with a pidfd as well (SO_PASSPIDFD), where the kernel has them (Linux 6.5).
   */
  passCredentials?: boolean | 'pidfd';
  /** Microseconds to look for events before sleeping, while a connection is open. Burns a core; default 0. */
  busyPoll?: number;
}

/** How the socket file is made. Those of `listen` come before those of `createServer`. */
export interface FileOptions {
  /**
   * The permission bits of the socket file, 0 to 0o777, which it has before anybody can connect; default 0o600 if any of these options
   * or `authorize` is given, otherwise as in `net`. Connecting takes write permission.
   */
  mode?: number;
  /**
   * Who owns the socket file: a number, or a name that is looked up on another thread before anything is bound. Giving it away takes root.
   * Default: this process's user.
   */
  uid?: number | string;
  /** The group of the socket file, the same way; one that this user is in unless it is root. Default: as bind(2) makes it. */
  gid?: number | string;
  /**
   * What to do about a socket file that is there already: fail with EADDRINUSE (`'error'`, the default), take its place if no socket is
   * bound to it any more (`'probe'`), or take it in one step from a server that may still be running (`'replace'`). Nothing but a socket of
   * this user, or of `uid`, is ever removed.
   */
  stale?: Stale;
  /**
   * Refuse, with ERR_AFUNIX_UNSAFE_DIRECTORY, a path on which somebody else could put another socket in the place of this one: below a directory
   * that is neither root's nor this user's (nor `uid`'s), or that everybody may write to and that has no sticky bit. Default true
   * if any of these options or `authorize` is given.
   */
  checkDirectory?: boolean;
}

export interface ServerListenOptions extends net.ListenOptions, GateOptions, FileOptions {
  /** An inherited descriptor of a bound Unix stream socket; ours from here on. */
  fd?: number;
  /** How an abstract name becomes an address. Default: as the `net` of this Node does it. */
  abstractLength?: AbstractLength;
}
