import type * as http from 'node:http';
import type { Duplex } from 'node:stream';

import type { Launch } from '../launch.js';
import type { MessageContender } from './messages.js';

/** Where a server listens, in a form that survives the trip to another process. */
export type Endpoint = { path: string } | { host: string; port: number };

/** `net`'s own way to read into one reused buffer. */
export interface OnRead {
  buffer: Buffer;
  callback(bytesRead: number, buffer: Buffer): boolean;
}

export interface ConnectOptions {
  onread?: OnRead;
}

/** One way to move bytes between two processes, as the runner and the report see it. */
export interface Contender {
  readonly id: string;
  readonly title: string;
  /** Contenders this one is compared with, the first of them in the table's main column. */
  readonly baselines: readonly string[];
  /** Runs only with --all, or when it is asked for by name. */
  readonly onRequest?: boolean;
  /** Has known faults, to test the instrument with; runs only when it is asked for by name. */
  readonly selfTest?: boolean;
  /** How one of its processes is started; throws when that cannot work here. */
  launch(nodeOptions: readonly string[]): Launch;
}

/** What a workload may do with a connection: the part of `stream.Duplex` that all of them have. */
export interface Connection extends NodeJS.EventEmitter {
  readonly writableFinished: boolean;
  write(bytes: Uint8Array): boolean;
  end(): unknown;
  resume(): unknown;
}

/**
 * A contender that is driven from JavaScript. A workload is written once against this interface;
 * every connection it is given emits 'connect', 'data', 'drain', 'end' and so on.
 */
export interface JavaScriptContender extends Contender {
  /** How a bulk reader takes its bytes: as 'data' events, or through `onread`. */
  readonly reads: 'data' | 'onread';
  /** Returns what is worth recording about this contender; throws when it cannot run here. */
  probe(): Record<string, unknown>;
  /** Listens on `socketPath`, or wherever its kind of address lives. */
  listen(socketPath: string, onConnection: (connection: Connection) => void): Promise<Endpoint>;
  connect(endpoint: Endpoint, options?: ConnectOptions): Connection;
  /** Whether messages may be lost without that being a failure. */
  readonly loses?: boolean;
  /** For workloads that pass open files. */
  readonly descriptors?: DescriptorContender;
  /** With messages of its own; without, they are framed on its streams. */
  readonly messages?: MessageContender;
  /** With one listener for several threads. */
  readonly threads?: ThreadsContender;
  /** Under `node:http`; only contenders that are streams have it. */
  readonly http?: HttpContender;
  /** Monotonic counters of this process, kept with the raw results. */
  counters(): Record<string, unknown>;
}

/** A connection that open files travel over, with afunix's method and event for it. */
export interface DescriptorConnection extends Connection {
  sendDescriptors(descriptors: number[], bytes: Uint8Array): boolean;
}

/** A server whose listener other threads of its process can have as well. */
export interface ThreadsContender {
  listen(
    socketPath: string,
    onConnection: (connection: Connection) => void,
  ): Promise<{ endpoint: Endpoint; share(): unknown }>;
  /** In another thread, with what `share` returned. */
  receive(shared: unknown, onConnection: (connection: Connection) => void): void;
}

export interface DescriptorContender {
  listen(
    socketPath: string,
    onConnection: (connection: DescriptorConnection) => void,
  ): Promise<Endpoint>;
  connect(endpoint: Endpoint): DescriptorConnection;
}

export interface HttpContender {
  /** Serves an unmodified `http.Server`. */
  listen(server: http.Server, socketPath: string): Promise<Endpoint>;
  /** Opens a connection for the HTTP client. */
  connect(endpoint: Endpoint): Duplex;
}
