import type * as http from 'node:http';
import type { Duplex } from 'node:stream';

import { launchNode } from '../launch.js';
import { afunixLibrary, credentialsLibrary, type AfunixLibrary } from './afunix-library.js';
import type {
  ConnectOptions,
  DescriptorConnection,
  Endpoint,
  JavaScriptContender,
} from './contender.js';

/** What differs between two ways of using afunix. */
interface AfunixVariant {
  id: string;
  title: string;
  reads?: 'data' | 'onread';
  baselines?: readonly string[];
  /** Instead of the one that afunix takes by itself. */
  engine?: 'epoll';
  /**
   * What the server does about who connects: looks at all of it, lets them in by a policy, refuses them, or lets in
   * everybody up to the usual limits for one user. */
  callers?: 'looks' | 'admits' | 'refuses' | 'limits';
  /** Microseconds to poll before sleeping, at both ends. */
  busyPoll?: number;
}

function afunixContender(variant: AfunixVariant): JavaScriptContender {
  function library(): AfunixLibrary {
    const afunix = afunixLibrary();
    if (variant.engine !== undefined) afunix.configure({ engine: variant.engine });
    return afunix;
  }

  const socketOptions = variant.busyPoll === undefined ? {} : { busyPoll: variant.busyPoll };

  function listen(
    path: string,
    onConnection: (connection: Duplex) => void,
    options: { allowHalfOpen?: boolean; maxDescriptors?: number } = {},
  ): Promise<Endpoint> {
    return new Promise((resolve, reject) => {
      const onCaller = variant.callers === 'looks' ? looksAt(onConnection) : onConnection;
      const server = library().createServer({ ...socketOptions, ...options }, onCaller);
      server.once('error', reject);
      server.listen({ path, ...authorizing(variant) }, () => resolve({ path }));
    });
  }

  function connect(endpoint: Endpoint, options: ConnectOptions = {}): Duplex {
    return library().connect({ ...endpoint, ...options, ...socketOptions });
  }

  return {
    id: variant.id,
    title: variant.title,
    reads: variant.reads ?? 'data',
    baselines: variant.baselines ?? ['net-unix'],
    launch: launchNode,
    probe: () => probe(library(), variant.engine),
    listen: (path, onConnection) => listen(path, onConnection),
    connect,
    descriptors: {
      listen: (path, onConnection) =>
        listen(path, (connection) => onConnection(passing(connection)), {
          maxDescriptors: 1,
        }),
      connect: (endpoint) => passing(connect(endpoint)),
    },
    threads: {
      listen: (path, onConnection) =>
        new Promise((resolve, reject) => {
          const { createServer, transfer } = library();
          const server = createServer(socketOptions, onConnection);
          server.once('error', reject);
          server.listen({ path }, () =>
            resolve({ endpoint: { path }, share: () => transfer(server) }),
          );
        }),
      receive: (shared, onConnection) =>
        void library().receive(shared, socketOptions, onConnection),
    },
    http: {
      // Half-open is what http.Server asks of its own sockets.
      listen: (server: http.Server, path: string) =>
        listen(path, (connection) => server.emit('connection', connection), {
          allowHalfOpen: true,
        }),
      connect,
    },
    counters: () => library().stats(),
  };
}

/** The method is there; this file does not know the library's types. */
function passing(connection: Duplex): DescriptorConnection {
  return connection as unknown as DescriptorConnection;
}

function looksAt(onConnection: (connection: Duplex) => void): (connection: Duplex) => void {
  return (connection) => {
    const { peerCredentials: peer } = connection as unknown as {
      peerCredentials: { uid: number; gid: number; pid: number | null };
    };
    if (peer.uid < 0 || peer.gid < 0 || peer.pid === null) throw new Error('nobody connected');
    onConnection(connection);
  };
}

function authorizing({ callers }: AfunixVariant): { authorize?: unknown } {
  if (callers === undefined || callers === 'looks') return {};
  if (callers === 'limits') return { authorize: () => true };
  const { sameUser, not } = credentialsLibrary();
  return { authorize: callers === 'admits' ? sameUser() : not(sameUser()) };
}

/** Under a name that promises something else than what would run, measuring would mislead. */
function probe(library: AfunixLibrary, engine: 'epoll' | undefined): Record<string, unknown> {
  const { engineReason, ...features } = library.features();
  const running = library.stats().engine;
  if (running === 'net') {
    throw new Error('afunix found no usable addon here and would run on node:net');
  }
  if (engine !== undefined && features['ioUring'] instanceof Object) {
    const { available, reason } = features['ioUring'] as { available: boolean; reason?: string };
    if (!available) throw new Error(`afunix runs on epoll anyway: ${reason ?? ''}`);
  }
  return { engine: running, engineReason, features };
}

export const afunix = afunixContender({ id: 'afunix', title: 'afunix' });

export const afunixEpoll = afunixContender({
  id: 'afunix-epoll',
  title: 'afunix on epoll',
  engine: 'epoll',
});

export const afunixBusyPoll = afunixContender({
  id: 'afunix-busy-poll',
  title: 'afunix, busyPoll 50',
  busyPoll: 50,
});

export const afunixOnread = afunixContender({
  id: 'afunix-onread',
  title: 'afunix, onread',
  reads: 'onread',
  baselines: ['net-unix', 'net-unix-onread'],
});

/** Servers that care who connects. */
export const afunixCallers = (['looks', 'admits', 'refuses', 'limits'] as const).map((callers) =>
  afunixContender({
    id: `afunix-${callers}`,
    title: `afunix, ${callers}`,
    baselines: ['afunix'],
    callers,
  }),
);
