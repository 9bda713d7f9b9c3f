/** A PostgreSQL server of its own, on a Unix socket only, for one test. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { happens } from '../helpers/sockets';

const VERSIONS = '/usr/lib/postgresql';

/** Where its programs are; undefined if it is not installed. */
export function postgresPrograms(): string | undefined {
  if (!existsSync(VERSIONS)) return undefined;
  const versions = readdirSync(VERSIONS).sort((a, b) => Number(b) - Number(a));
  return versions
    .map((version) => path.join(VERSIONS, version, 'bin'))
    .find((folder) => existsSync(path.join(folder, 'initdb')));
}

export interface Postgres {
  /** The directory of its socket, as `host` for clients. */
  readonly host: string;
  /** The socket itself. */
  readonly file: string;
  /** Who owns it, and its first role. */
  readonly user: { readonly name: string; readonly uid: number; readonly gid: number };
}

/** The user that it runs as: never root, which it refuses to be. */
function owner(): Postgres['user'] {
  const name = process.getuid?.() === 0 ? 'postgres' : '';
  const { stdout } = spawnSync('getent', ['passwd', name || String(process.getuid?.())], {
    encoding: 'utf8',
  });
  const [found = '', , uid, gid] = stdout.split(':');
  assert.ok(found !== '', `there is no user ${name}`);
  return { name: found, uid: Number(uid), gid: Number(gid) };
}

/** Answers connections when this is fulfilled; gone after the test. `authentication` is what pg_hba.conf calls a method. */
export async function startPostgres(t: TestContext, authentication: string): Promise<Postgres> {
  const programs = postgresPrograms();
  assert.ok(programs !== undefined);
  const user = owner();
  const folder = mkdtempSync(path.join(tmpdir(), 'afu-pg-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  chownSync(folder, user.uid, user.gid);
  chmodSync(folder, 0o755);
  const as = { uid: user.uid, gid: user.gid, cwd: folder, encoding: 'utf8' } as const;
  const data = path.join(folder, 'data');
  const made = spawnSync(
    path.join(programs, 'initdb'),
    ['-D', data, '-N', `--auth-local=${authentication}`, '--locale=C', '-U', user.name],
    as,
  );
  assert.equal(made.status, 0, made.stderr);
  const settings = ['-c', 'listen_addresses=', '-k', folder, '-c', 'fsync=off'];
  const server = spawn(path.join(programs, 'postgres'), ['-D', data, ...settings], {
    ...as,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  t.after(() => stop(server));
  await ready(server);
  return { host: folder, file: path.join(folder, '.s.PGSQL.5432'), user };
}

function ready(server: ChildProcess): Promise<void> {
  let log = '';
  return new Promise((resolve, reject) => {
    server.stderr?.setEncoding('utf8').on('data', (text: string) => {
      log += text;
      if (log.includes('ready to accept connections')) resolve();
    });
    server.once('close', () => reject(new Error(log)));
  });
}

async function stop(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null) return;
  const closed = happens(server, 'close');
  // At once, without waiting for its clients.
  server.kill('SIGINT');
  await closed;
}
