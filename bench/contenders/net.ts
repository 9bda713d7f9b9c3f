import type * as http from 'node:http';
import * as net from 'node:net';
import type { Duplex } from 'node:stream';

import { launchNode } from '../launch.js';
import type { ConnectOptions, Connection, Endpoint, JavaScriptContender } from './contender.js';

/** What differs between two ways of using `node:net`. */
interface NetVariant {
  id: string;
  title: string;
  reads: 'data' | 'onread';
  baselines: readonly string[];
  /** The address to listen on, given a socket path nobody else uses. */
  address(socketPath: string): net.ListenOptions;
}

/** Makes a contender out of `node:net` as it comes, with its default options. */
export function netContender(variant: NetVariant): JavaScriptContender {
  const { address, ...description } = variant;
  return {
    ...description,
    launch: launchNode,
    probe: () => ({}),
    listen: (socketPath: string, onConnection: (connection: Connection) => void) =>
      listening(net.createServer(onConnection), address(socketPath)),
    connect: connectNet,
    http: {
      listen: (server: http.Server, socketPath: string) => listening(server, address(socketPath)),
      connect: connectNet,
    },
    counters: () => ({}),
  };
}

/** A `net.Socket` to any endpoint. */
export function connectNet(endpoint: Endpoint, options: ConnectOptions = {}): Duplex {
  return net.connect({ ...endpoint, ...options });
}

function listening(server: net.Server, options: net.ListenOptions): Promise<Endpoint> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options, () => {
      const bound = server.address();
      if (bound === null) reject(new Error('the server has no address'));
      else if (typeof bound === 'string') resolve({ path: bound });
      else resolve({ host: bound.address, port: bound.port });
    });
  });
}
