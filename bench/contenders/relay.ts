import * as path from 'node:path';

import { needProgram, startHelper } from '../helper-program.js';
import { afunix } from './afunix.js';
import type { Connection, JavaScriptContender } from './contender.js';
import { netUnix } from './net-unix.js';

/**
 * Servers on a Unix socket whose clients come over TCP, through a relay. The relay runs on the
 * server's core, as it would beside the server; its CPU is not in the server's figure.
 */
function relayed(
  behind: JavaScriptContender,
  id: string,
  title: string,
  probe: () => Record<string, unknown>,
  command: (port: number, socketPath: string) => readonly string[],
): JavaScriptContender {
  return {
    ...behind,
    id,
    title,
    baselines: ['net-unix', 'net-tcp'],
    onRequest: true,
    probe,
    http: undefined,
    listen: async (socketPath: string, onConnection: (connection: Connection) => void) => {
      await behind.listen(socketPath, onConnection);
      const port = await startHelper((port) => command(port, socketPath));
      return { host: '127.0.0.1', port };
    },
    connect: netUnix.connect,
  };
}

export const relaySocat = relayed(
  netUnix,
  'relay-socat',
  'node:net, Unix, behind socat',
  () => {
    needProgram('socat', '-V', 'apt-get install socat');
    return {};
  },
  (port, socketPath) => [
    'socat',
    `TCP-LISTEN:${port},bind=127.0.0.1,reuseaddr,nodelay,backlog=1024,fork`,
    `UNIX-CONNECT:${socketPath}`,
  ],
);

export const relayAfunix = relayed(
  netUnix,
  'relay-afunix',
  'node:net, Unix, behind our relay',
  afunix.probe,
  (port, socketPath) => [
    process.execPath,
    path.join(__dirname, '../relay-program.js'),
    String(port),
    socketPath,
  ],
);
