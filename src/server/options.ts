/** What a server can be told when it is made and when it listens. */
import type net from 'node:net';
import type { AbstractLength } from '../address';
import type { DescriptorLimits } from '../descriptor-quota';

/** Limits are those of each accepted socket. */
export interface ServerOptions extends net.ServerOpts, DescriptorLimits {
  /** Of each accepted socket, for reading and for writing, in bytes. */
  highWaterMark?: number;
  /** Microseconds to look for events before sleeping, while a connection is open. Burns a core; default 0. */
  busyPoll?: number;
}

export interface ServerListenOptions extends net.ListenOptions {
  /** An inherited descriptor of a bound Unix stream socket; ours from here on. */
  fd?: number;
  /** How an abstract name becomes an address. Default: as the `net` of this Node does it. */
  abstractLength?: AbstractLength;
}
