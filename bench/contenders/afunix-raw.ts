import { EventEmitter } from 'node:events';

import { launchNode } from '../launch.js';
import { afunixEntry } from './afunix-library.js';
import type { Connection, JavaScriptContender } from './contender.js';

/** The part of afunix/raw that is used here. */
interface Raw {
  RawSocket: { socket(type: 'stream'): RawSocket };
}

interface RawSocket {
  bind(path: string): void;
  listen(): void;
  accept(): RawSocket | null;
  connect(path: string): boolean;
  send(memory: Uint8Array): number;
  /** −1: nothing yet. 0: the end. */
  recv(memory: Uint8Array): number;
}

/** Looks at the socket before the event loop, which the runner speaks to us through, gets a turn. */
const LOOKS = 10_000;

function newSocket(): RawSocket {
  return (afunixEntry('afunix/raw') as Raw).RawSocket.socket('stream');
}

/** recv that never waits, again and again, on one connection: nobody is ever woken. */
class SpinningConnection extends EventEmitter implements Connection {
  readonly writableFinished = true;
  private readonly buffer = Buffer.alloc(64 * 1024);

  constructor(private readonly socket: RawSocket) {
    super();
    setImmediate(() => this.spin());
  }

  private spin(): void {
    const { socket, buffer } = this;
    for (let look = 0; look < LOOKS; look += 1) {
      const length = socket.recv(buffer);
      if (length === -1) continue;
      if (length === 0) {
        this.emit('end');
        return;
      }
      this.emit('data', buffer.subarray(0, length));
    }
    setImmediate(() => this.spin());
  }

  write(bytes: Uint8Array): boolean {
    if (this.socket.send(bytes) !== bytes.length) throw new Error('a message was not sent whole');
    return true;
  }

  end(): void {
    throw new Error('only echo runs here');
  }

  resume(): void {
    // It always reads.
  }
}

export const afunixRawSpin: JavaScriptContender = {
  id: 'afunix-raw-spin',
  title: 'afunix RawSocket, spinning',
  baselines: ['net-unix', 'cpp-spin'],
  reads: 'data',
  launch: launchNode,
  probe: () => {
    newSocket();
    return {};
  },
  listen: (path, onConnection) => {
    const server = newSocket();
    server.bind(path);
    server.listen();
    const accept = (): void => {
      const socket = server.accept();
      if (socket === null) setTimeout(accept, 1);
      else onConnection(new SpinningConnection(socket));
    };
    accept();
    return Promise.resolve({ path });
  },
  connect: (endpoint) => {
    if (!('path' in endpoint)) throw new Error('only Unix sockets are measured here');
    const socket = newSocket();
    if (!socket.connect(endpoint.path)) throw new Error('the backlog is full');
    const connection = new SpinningConnection(socket);
    setImmediate(() => connection.emit('connect'));
    return connection;
  },
  counters: () => ({}),
};
