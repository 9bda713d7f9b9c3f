import type * as http from 'node:http';
import type { Duplex } from 'node:stream';

import { afunixLibrary } from './afunix-library.js';
import type { ConnectOptions, Contender, Endpoint } from './contender.js';
import { connectNet } from './net.js';

/** What differs between two ways of using afunix. */
interface AfunixVariant {
  id: string;
  title: string;
  reads?: 'data' | 'onread';
  baselines?: readonly string[];
  /** Microseconds to poll before sleeping, at both ends. */
  busyPoll?: number;
  /** The library that the HTTP client connects with; `net` so that only the server differs. */
  httpClient?: 'net' | 'afunix';
}

function afunixContender(variant: AfunixVariant): Contender {
  const socketOptions = variant.busyPoll === undefined ? {} : { busyPoll: variant.busyPoll };

  function listen(
    path: string,
    onConnection: (connection: Duplex) => void,
    options: { allowHalfOpen?: boolean } = {},
  ): Promise<Endpoint> {
    return new Promise((resolve, reject) => {
      const server = afunixLibrary().createServer({ ...socketOptions, ...options }, onConnection);
      server.once('error', reject);
      server.listen({ path }, () => resolve({ path }));
    });
  }

  function connect(endpoint: Endpoint, options: ConnectOptions = {}): Duplex {
    return afunixLibrary().connect({ ...endpoint, ...options, ...socketOptions });
  }

  return {
    id: variant.id,
    title: variant.title,
    reads: variant.reads ?? 'data',
    baselines: variant.baselines ?? ['net-unix'],
    probe: probeAfunix,
    listen: (path, onConnection) => listen(path, onConnection),
    connect,
    // Half-open is what http.Server asks of its own sockets.
    listenHttp: (server: http.Server, path: string) =>
      listen(path, (connection) => server.emit('connection', connection), { allowHalfOpen: true }),
    connectHttp: variant.httpClient === 'afunix' ? connect : connectNet,
    counters: () => afunixLibrary().stats(),
  };
}

/** Without its addon afunix is `node:net`, and measuring that under another name would mislead. */
function probeAfunix(): Record<string, unknown> {
  const { engine } = afunixLibrary().stats();
  if (engine === 'net')
    throw new Error('afunix found no usable addon here and would run on node:net');
  return { engine, features: afunixLibrary().features() };
}

export const afunix = afunixContender({ id: 'afunix', title: 'afunix' });

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

export const afunixBothEnds = afunixContender({
  id: 'afunix-both-ends',
  title: 'afunix, both ends',
  httpClient: 'afunix',
});
