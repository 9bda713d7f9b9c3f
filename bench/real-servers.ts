import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdtempSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import * as path from 'node:path';

import type { Endpoint } from './contenders/contender.js';

/** Redis and PostgreSQL of the benchmark's own, on a Unix socket only; and the libraries that speak with them. */

export interface RealServer {
  endpoint: Endpoint;
  close(): Promise<void>;
}

const TEXT_KEPT = 2_000;
/** Who they run as where this is root's: PostgreSQL refuses to be. */
const NOBODY = 65_534;
const POSTGRESQL = '/usr/lib/postgresql';

/** Where Debian has PostgreSQL's programs, the newest version; elsewhere they are on the PATH. */
function postgresqlFolder(): string | undefined {
  try {
    const [newest] = readdirSync(POSTGRESQL).sort((a, b) => Number(b) - Number(a));
    return newest === undefined ? undefined : path.join(POSTGRESQL, newest, 'bin');
  } catch {
    return undefined;
  }
}

function postgresqlProgram(name: string): string {
  const folder = postgresqlFolder();
  return folder === undefined ? name : path.join(folder, name);
}

const runs = (program: string): boolean =>
  spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0;

/** Why there can be no Redis here; nothing if there can. */
export function redisMissing(): string | undefined {
  return runs('redis-server')
    ? undefined
    : 'redis-server is not installed (apt-get install redis-server)';
}

/** The same of PostgreSQL. */
export function postgresqlMissing(): string | undefined {
  return runs(postgresqlProgram('postgres')) && runs(postgresqlProgram('initdb'))
    ? undefined
    : 'PostgreSQL is not installed (apt-get install postgresql)';
}

/** The same of a package of npm's. */
export function packageMissing(name: string): string | undefined {
  try {
    createRequire(__filename).resolve(name);
    return undefined;
  } catch {
    return `${name} is not installed (npm install ${name})`;
  }
}

/** Loads it; late, because only its own workloads need it. */
export function loadPackage(name: string): unknown {
  return createRequire(__filename)(name);
}

function unprivileged(folder: string): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  chmodSync(path.dirname(folder), 0o711);
  chownSync(folder, NOBODY, NOBODY);
  return { uid: NOBODY, gid: NOBODY };
}

/** Starts it in the process group of this process, and waits until it says `ready`. */
async function start(
  command: readonly string[],
  folder: string,
  ready: string,
  signal: NodeJS.Signals,
): Promise<() => Promise<void>> {
  const [file, ...args] = command;
  const server: ChildProcess = spawn(file, args, {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...unprivileged(folder),
  });
  let said = '';
  await new Promise<void>((resolve, reject) => {
    const look = (text: string): void => {
      said = (said + text).slice(-TEXT_KEPT);
      if (said.includes(ready)) resolve();
    };
    server.stdout?.setEncoding('utf8').on('data', look);
    server.stderr?.setEncoding('utf8').on('data', look);
    server.once('error', reject);
    server.once('exit', (code) => reject(new Error(`${file} ended with code ${code}: ${said}`)));
  });
  return async () => {
    const gone = once(server, 'exit');
    if (server.exitCode === null) {
      server.kill(signal);
      await gone;
    }
  };
}

function folderBeside(socketPath: string, name: string): string {
  return mkdtempSync(path.join(path.dirname(socketPath), `${name}-`));
}

export async function startRedis(socketPath: string): Promise<RealServer> {
  const folder = folderBeside(socketPath, 'redis');
  const socket = path.join(folder, 's');
  const settings = ['--port', '0', '--unixsocket', socket, '--unixsocketperm', '777'];
  const close = await start(
    ['redis-server', ...settings, '--save', '', '--appendonly', 'no', '--dir', folder],
    folder,
    'ready to accept connections',
    'SIGTERM',
  );
  return { endpoint: { path: socket }, close };
}

/** Whoever connects as this user is let in. */
export const POSTGRESQL_USER = 'bench';

export async function startPostgresql(socketPath: string): Promise<RealServer> {
  const folder = folderBeside(socketPath, 'pg');
  const data = path.join(folder, 'data');
  const made = spawnSync(
    postgresqlProgram('initdb'),
    ['-D', data, '-U', POSTGRESQL_USER, '--auth=trust', '--no-sync', '--no-locale'],
    { cwd: folder, encoding: 'utf8', ...unprivileged(folder) },
  );
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`);
  const settings = { listen_addresses: '', fsync: 'off', unix_socket_permissions: '0777' };
  const given = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const close = await start(
    [postgresqlProgram('postgres'), '-D', data, '-k', folder, ...given],
    folder,
    'database system is ready to accept connections',
    'SIGQUIT',
  );
  return { endpoint: { path: path.join(folder, '.s.PGSQL.5432') }, close };
}
