/** A PostgreSQL of the test's own, which knows its clients by the kernel (peer). */
import { mkdirSync } from 'node:fs';
import { userInfo } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { giveToNobody, needs, prepare, start } from './server-program';
import { placeFor, type Place } from './ways';

export async function startPostgresql(t: TestContext): Promise<Place | null> {
  const programs = needs(t, { initdb: 'postgresql', postgres: 'postgresql' });
  if (programs === null) return null;
  const [initdb = '', postgres = ''] = programs;
  const place = placeFor(t);
  giveToNobody(place.folder);
  const data = path.join(place.folder, 'data');
  mkdirSync(data, { mode: 0o700 });
  giveToNobody(data);
  const user = userInfo().username;
  const about = ['--auth=peer', '--no-sync', '--no-instructions', '--no-locale', '--encoding=UTF8'];
  prepare(initdb, ['-D', data, '-U', user, ...about], place.folder);
  const settings = { listen_addresses: '', fsync: 'off', shared_buffers: '16MB' };
  const given = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const server = start(t, postgres, ['-D', data, '-k', place.folder, ...given], {
    cwd: place.folder,
  });
  await server.logged('database system is ready to accept connections');
  return place;
}
