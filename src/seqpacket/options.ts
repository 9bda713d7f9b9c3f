/** What message sockets and their servers can be told, and what is wrong with what they were told. */
import { inspect } from 'node:util';
import type { AbstractLength } from '../address';
import { checkBusyPoll } from '../busy-poll';
import { checkDescriptorLimits, type DescriptorLimits } from '../descriptor-quota';
import type { ExpectationOptions } from '../credentials/expectation';
import type { GateOptions } from '../server/gate-options';
import type { FileOptions } from '../server/options';
import { codedError } from '../errors';
import { MESSAGE_AREA_SIZE, MESSAGE_ALIGNMENT, MESSAGE_ROWS } from '../engine/records';

/** The longest `maxMessageSize`. */
export const LONGEST_MESSAGE = MESSAGE_AREA_SIZE - MESSAGE_ALIGNMENT;
const LONGEST_BUFFER = 2 ** 30;

export interface MessageOptions extends DescriptorLimits {
  /**
   * The longest message, in bytes, that is received whole and can be sent, up to 4,194,240. Default: what the kernel lets this
   * socket send, 212,960 unless it was told otherwise. What is longer is cut on arrival and told to be, and refused on
   * sending. SO_SNDBUF is raised for it, as far as net.core.wmem_max lets it.
   */
  maxMessageSize?: number;
  /** The most messages told at once, 1 to 1024; default 256. */
  batchSize?: number;
  /** SO_SNDBUF as setsockopt takes it: the kernel doubles it. */
  sendBufferSize?: number;
  /** SO_RCVBUF as setsockopt takes it; Linux gives it no meaning for Unix sockets. */
  recvBufferSize?: number;
  /** Bytes that may wait for the kernel before `send` returns false; default 65,536. */
  highWaterMark?: number;
  /** Stay able to send after the other end has ended; default false. */
  allowHalfOpen?: boolean;
  /** Microseconds to look for events before sleeping, while this socket is open. Burns a core; default 0. */
  busyPoll?: number;
}

export interface SocketOptions extends MessageOptions {
  /** A connected SOCK_SEQPACKET socket; the socket's own from here on. */
  fd?: number;
  /** Destroys the socket. */
  signal?: AbortSignal;
}

export interface SocketConnectOptions extends ExpectationOptions {
  /** A pathname of at most 107 bytes, or an abstract name behind a leading NUL. */
  path: string;
  /** Milliseconds to wait for room in the server's backlog, default 30,000; then EAGAIN. */
  connectTimeout?: number;
  /** How an abstract name becomes an address. Default: as the `net` of this Node does it. */
  abstractLength?: AbstractLength;
  /** Milliseconds without activity until 'timeout', as `setTimeout()`. */
  timeout?: number;
}

export interface ServerOptions extends MessageOptions, GateOptions, FileOptions {
  /**
   * Ask the kernel who sent each message (SO_PASSCRED), which may be another process than the one that connected: `info.credentials`.
   * Default false.
   * `'pidfd'`: each writer comes with a pidfd as well (SO_PASSPIDFD), where the kernel has them (Linux 6.5).
   */
  passCredentials?: boolean | 'pidfd';
  /** Accepted sockets read nothing until `resume()`. */
  pauseOnConnect?: boolean;
  /** A 'connection' listener that rejects destroys its socket. */
  captureRejections?: boolean;
}

/** A whole number from `least` to `most`, or undefined; anything else is an error that says so. */
export function checkInteger(
  name: string,
  value: unknown,
  least: number,
  most: number,
): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'number') {
    throw codedError(
      TypeError,
      'ERR_INVALID_ARG_TYPE',
      `The "${name}" option must be a number. Received ${inspect(value)}`,
    );
  }
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw codedError(
    RangeError,
    'ERR_OUT_OF_RANGE',
    `The value of "${name}" is out of range. It must be an integer from ${least} to ${most}. Received ${value}`,
  );
}

export function checkMessageOptions(options: MessageOptions): void {
  checkInteger('options.maxMessageSize', options.maxMessageSize, 1, LONGEST_MESSAGE);
  checkInteger('options.batchSize', options.batchSize, 1, MESSAGE_ROWS);
  checkInteger('options.sendBufferSize', options.sendBufferSize, 1, LONGEST_BUFFER);
  checkInteger('options.recvBufferSize', options.recvBufferSize, 1, LONGEST_BUFFER);
  checkInteger('options.highWaterMark', options.highWaterMark, 0, Number.MAX_SAFE_INTEGER);
  checkDescriptorLimits(options);
  if (options.busyPoll !== undefined) checkBusyPoll('options.busyPoll', options.busyPoll);
}
