import { EventEmitter } from 'node:events';

import { findProgram } from '../installed.js';
import { launchWorker } from '../launch.js';
import type { Connection, JavaScriptContender } from './contender.js';

/** The part of Deno's own API that is used here. */
interface DenoConn {
  /** How many bytes were read, null at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  closeWrite(): Promise<void>;
}
declare const Deno: {
  version: { deno: string };
  listen(options: { transport: 'unix'; path: string }): AsyncIterable<DenoConn>;
  connect(options: { transport: 'unix'; path: string }): Promise<DenoConn>;
};

const BUFFER_SIZE = 64 * 1024;

/** A connection of Deno's behind the events that workloads listen to. */
class DenoConnection extends EventEmitter implements Connection {
  writableFinished = false;
  private conn: DenoConn | undefined;
  private ending = false;
  /** While something is being written, and what comes after it. */
  private writing: Promise<void> | undefined;
  private queue: Uint8Array[] = [];

  async attach(conn: DenoConn): Promise<void> {
    this.conn = conn;
    this.emit('connect');
    const buffer = Buffer.alloc(BUFFER_SIZE);
    for (;;) {
      const size = await conn.read(buffer);
      if (size === null) break;
      this.emit('data', buffer.subarray(0, size));
      await this.writing; // An answer may still be in the buffer.
    }
    this.emit('end');
    this.emit('close');
  }

  write(bytes: Uint8Array): boolean {
    if (this.writing) this.queue.push(bytes);
    else this.writing = this.send(bytes).catch((error: unknown) => void this.emit('error', error));
    return false;
  }

  end(): void {
    this.ending = true;
    if (!this.writing) void this.finish();
  }

  resume(): void {
    // It never pauses.
  }

  private async send(first: Uint8Array): Promise<void> {
    for (let bytes: Uint8Array | undefined = first; bytes; bytes = this.queue.shift()) {
      while (bytes.length > 0) bytes = bytes.subarray(await this.conn?.write(bytes));
    }
    this.writing = undefined;
    if (this.ending) await this.finish();
    else this.emit('drain');
  }

  private async finish(): Promise<void> {
    await this.conn?.closeWrite();
    this.writableFinished = true;
    this.emit('finish');
  }
}

export const deno: JavaScriptContender = {
  id: 'deno',
  title: 'Deno',
  baselines: ['net-unix'],
  onRequest: true,
  reads: 'data',
  launch: () =>
    launchWorker(
      findProgram('deno', '@deno', 'deno'),
      ...['run', '--quiet', '--allow-all', '--no-lock', '--v8-flags=--expose-gc'],
    ),
  probe: () => ({ version: Deno.version.deno }),
  listen: (path, onConnection) => {
    const listener = Deno.listen({ transport: 'unix', path });
    void (async () => {
      for await (const conn of listener) {
        const connection = new DenoConnection();
        onConnection(connection);
        connection.attach(conn).catch((error: unknown) => connection.emit('error', error));
      }
    })();
    return Promise.resolve({ path });
  },
  connect: (endpoint) => {
    if (!('path' in endpoint)) throw new Error('only Unix sockets are measured here');
    const connection = new DenoConnection();
    Deno.connect({ transport: 'unix', path: endpoint.path })
      .then((conn) => connection.attach(conn))
      .catch((error: unknown) => connection.emit('error', error));
    return connection;
  },
  counters: () => ({}),
};
