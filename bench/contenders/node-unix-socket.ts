import { EventEmitter } from 'node:events';

import { requirePackage } from '../installed.js';
import { launchNode } from '../launch.js';
import type { Connection, Endpoint, JavaScriptContender } from './contender.js';
import type { MessageConnection, MessageReader } from './messages.js';

/** The part of the package that is used here: its SOCK_SEQPACKET sockets; it has no streams. */
interface NodeUnixSocket {
  SeqpacketServer: new () => EventEmitter & { listen(path: string, backlog?: number): void };
  SeqpacketSocket: new () => EventEmitter & SeqpacketSocket;
}
interface SeqpacketSocket {
  connect(path: string): void;
  write(bytes: Uint8Array, offset?: number, length?: number, written?: () => void): void;
  end(ended?: () => void): void;
}

/** As many as the kernel lets wait; the package's own 511 is less than the workloads open. */
const BACKLOG = 4_096;

function library(): NodeUnixSocket {
  return requirePackage('node-unix-socket') as NodeUnixSocket;
}

/** What echo needs of a connection is there. */
function asConnection(socket: EventEmitter & SeqpacketSocket): Connection {
  return socket as unknown as Connection;
}

/** It has no 'drain': the callback of the last write of a batch says that there is room. */
class Messages extends EventEmitter implements MessageConnection {
  constructor(private readonly socket: EventEmitter & SeqpacketSocket) {
    super();
    socket.on('connect', () => this.emit('connect'));
    socket.on('error', (error) => this.emit('error', error));
  }

  send(messages: readonly Buffer[]): boolean {
    const last = messages.length - 1;
    let taken = false;
    let waits = false;
    messages.forEach((message, i) => {
      if (i < last) {
        this.socket.write(message);
        return;
      }
      this.socket.write(message, 0, message.length, () => {
        taken = true;
        if (waits) this.emit('drain');
      });
    });
    waits = !taken;
    return taken;
  }

  read(reader: MessageReader): void {
    this.socket.on('data', (message: Buffer) => {
      if (reader.each) reader.each(message);
      else reader.count(1, message.length);
    });
    this.socket.on('end', () => reader.end());
  }

  end(): Promise<void> {
    return new Promise((resolve) => this.socket.end(resolve));
  }
}

function listen(
  path: string,
  onConnection: (socket: EventEmitter & SeqpacketSocket) => void,
): Promise<Endpoint> {
  const server = new (library().SeqpacketServer)();
  server.on('connection', onConnection);
  server.listen(path, BACKLOG);
  return Promise.resolve({ path });
}

function connect(endpoint: Endpoint): EventEmitter & SeqpacketSocket {
  if (!('path' in endpoint)) throw new Error('only Unix sockets are measured here');
  const socket = new (library().SeqpacketSocket)();
  socket.connect(endpoint.path);
  return socket;
}

export const nodeUnixSocket: JavaScriptContender = {
  id: 'node-unix-socket',
  title: 'node-unix-socket, SEQPACKET',
  baselines: ['net-unix'],
  onRequest: true,
  reads: 'data',
  launch: launchNode,
  probe: () => {
    library();
    return {};
  },
  listen: (path, onConnection) => listen(path, (socket) => onConnection(asConnection(socket))),
  connect: (endpoint) => asConnection(connect(endpoint)),
  messages: {
    listen: (path, onConnection) => listen(path, (socket) => onConnection(new Messages(socket))),
    connect: (endpoint) => new Messages(connect(endpoint)),
  },
  counters: () => ({}),
};
