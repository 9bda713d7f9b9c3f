import { EventEmitter } from 'node:events';

import { findProgram } from '../installed.js';
import { launchWorker } from '../launch.js';
import type { Connection, JavaScriptContender } from './contender.js';

/** The part of Bun's own API that is used here. */
interface BunSocket {
  data: BunConnection;
  /** How many of the bytes the kernel took; 'drain' follows when it was not all. */
  write(bytes: Uint8Array): number;
  end(): void;
}
interface BunHandlers {
  open?(socket: BunSocket): void;
  data(socket: BunSocket, bytes: Buffer): void;
  drain(socket: BunSocket): void;
  end(socket: BunSocket): void;
  close(socket: BunSocket): void;
  error(socket: BunSocket, error: Error): void;
}
declare const Bun: {
  version: string;
  listen(options: { unix: string; socket: BunHandlers }): unknown;
  connect(options: { unix: string; socket: BunHandlers; data: BunConnection }): Promise<unknown>;
};

/** A socket of Bun's behind the events that workloads listen to. */
class BunConnection extends EventEmitter implements Connection {
  writableFinished = false;
  private socket: BunSocket | undefined;
  private ending = false;
  private ended = false;
  /** What the kernel did not take. */
  private queue: Uint8Array[] = [];

  attach(socket: BunSocket): void {
    this.socket = socket;
    this.emit('connect');
  }

  write(bytes: Uint8Array): boolean {
    if (this.queue.length > 0) {
      this.queue.push(bytes);
      return false;
    }
    const taken = this.send(bytes);
    if (taken === bytes.length) return true;
    this.queue.push(Buffer.from(bytes.subarray(taken)));
    return false;
  }

  end(): void {
    this.ending = true;
    if (this.queue.length === 0) this.finish();
  }

  resume(): void {
    // It never pauses.
  }

  /** There is room in the kernel again. */
  drained(): void {
    if (this.queue.length === 0) return;
    for (let first = this.queue[0]; first; first = this.queue[0]) {
      const taken = this.send(first);
      if (taken < first.length) {
        this.queue[0] = first.subarray(taken);
        return;
      }
      this.queue.shift();
    }
    if (this.ending) this.finish();
    else this.emit('drain');
  }

  peerEnded(): void {
    if (this.ended) return;
    this.ended = true;
    this.emit('end');
  }

  private send(bytes: Uint8Array): number {
    return Math.max(0, this.socket?.write(bytes) ?? 0);
  }

  private finish(): void {
    this.socket?.end();
    this.writableFinished = true;
    this.emit('finish');
  }
}

const handlers: BunHandlers = {
  data: ({ data: connection }, bytes) => void connection.emit('data', bytes),
  drain: ({ data: connection }) => connection.drained(),
  end: ({ data: connection }) => connection.peerEnded(),
  close: ({ data: connection }) => {
    connection.peerEnded();
    connection.emit('close');
  },
  error: ({ data: connection }, error) => void connection.emit('error', error),
};

export const bun: JavaScriptContender = {
  id: 'bun',
  title: 'Bun',
  baselines: ['net-unix'],
  onRequest: true,
  reads: 'data',
  launch: () => launchWorker(findProgram('bun', '@oven', 'bin/bun'), '--expose-gc'),
  probe: () => ({ version: Bun.version }),
  listen: (path, onConnection) => {
    const open = (socket: BunSocket): void => {
      socket.data = new BunConnection();
      onConnection(socket.data);
      socket.data.attach(socket);
    };
    Bun.listen({ unix: path, socket: { ...handlers, open } });
    return Promise.resolve({ path });
  },
  connect: (endpoint) => {
    if (!('path' in endpoint)) throw new Error('only Unix sockets are measured here');
    const connection = new BunConnection();
    const open = (socket: BunSocket): void => connection.attach(socket);
    Bun.connect({
      unix: endpoint.path,
      socket: { ...handlers, open },
      data: connection,
    }).catch((error: unknown) => connection.emit('error', error));
    return connection;
  },
  counters: () => ({}),
};
