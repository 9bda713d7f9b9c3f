import type * as http from 'node:http';
import type { Duplex } from 'node:stream';

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

/**
 * One way to move bytes between two processes. A workload is written once against this
 * interface; everything it is given is a plain `stream.Duplex` that emits 'connect'.
 */
export interface Contender {
  readonly id: string;
  readonly title: string;
  /** How a bulk reader takes its bytes: as 'data' events, or through `onread`. */
  readonly reads: 'data' | 'onread';
  /** Contenders this one is compared with, the first of them in the table's main column. */
  readonly baselines: readonly string[];
  /** Returns what is worth recording about this contender; throws when it cannot run here. */
  probe(): Record<string, unknown>;
  /** Listens on `socketPath`, or wherever its kind of address lives. */
  listen(socketPath: string, onConnection: (connection: Duplex) => void): Promise<Endpoint>;
  connect(endpoint: Endpoint, options?: ConnectOptions): Duplex;
  /** Serves an unmodified `http.Server`. */
  listenHttp(server: http.Server, socketPath: string): Promise<Endpoint>;
  /** Opens a connection for the HTTP client. */
  connectHttp(endpoint: Endpoint): Duplex;
  /** Monotonic counters of this process, kept with the raw results. */
  counters(): Record<string, unknown>;
}
