/** What a socket can be told when it is made and when it connects. */
import type net from 'node:net';
import type { AbstractLength } from '../address';
import type { DescriptorLimits } from '../descriptor-quota';
import type { ExpectationOptions } from '../credentials/expectation';

export interface SocketOptions extends net.SocketConstructorOpts, DescriptorLimits {
  readableHighWaterMark?: number;
  writableHighWaterMark?: number;
  highWaterMark?: number;
  onread?: net.OnReadOpts;
  /** Taken without effect: a Unix socket has no keep-alive. */
  keepAliveInitialDelay?: number;
  /** Microseconds to look for events before sleeping, while this socket is open. Burns a core; default 0. */
  busyPoll?: number;
}

export interface SocketConnectOptions extends ExpectationOptions {
  /** A pathname of at most 107 bytes, or an abstract name behind a leading NUL. */
  path: string;
  /** Milliseconds to wait for room in the server's backlog, default 30,000; then EAGAIN. */
  connectTimeout?: number;
  /** How an abstract name becomes an address. Default: as the `net` of this Node does it. */
  abstractLength?: AbstractLength;
}
