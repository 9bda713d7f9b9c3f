import type { EventEmitter } from 'node:events';

import { requirePackage } from '../installed.js';
import { launchNode } from '../launch.js';
import type { Connection, JavaScriptContender } from './contender.js';

/** The part of the package that is used here: its SOCK_SEQPACKET sockets; it has no streams. */
interface NodeUnixSocket {
  SeqpacketServer: new () => EventEmitter & { listen(path: string, backlog?: number): void };
  SeqpacketSocket: new () => EventEmitter & SeqpacketSocket;
}
interface SeqpacketSocket {
  connect(path: string): void;
  write(bytes: Uint8Array): void;
}

/** As many as the kernel lets wait; the package's own 511 is less than the workloads open. */
const BACKLOG = 4_096;

function library(): NodeUnixSocket {
  return requirePackage('node-unix-socket') as NodeUnixSocket;
}

/** What echo needs of a connection is there; the rest is not, and no other workload runs here. */
function asConnection(socket: EventEmitter & SeqpacketSocket): Connection {
  return socket as unknown as Connection;
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
  listen: (path, onConnection) => {
    const server = new (library().SeqpacketServer)();
    server.on('connection', (socket: EventEmitter & SeqpacketSocket) =>
      onConnection(asConnection(socket)),
    );
    server.listen(path, BACKLOG);
    return Promise.resolve({ path });
  },
  connect: (endpoint) => {
    if (!('path' in endpoint)) throw new Error('only Unix sockets are measured here');
    const socket = new (library().SeqpacketSocket)();
    socket.connect(endpoint.path);
    return asConnection(socket);
  },
  counters: () => ({}),
};
