/** A MariaDB of the test's own. */
import path from 'node:path';
import type { TestContext } from 'node:test';
import { giveToNobody, needs, prepare, start } from './server-program';
import { placeFor, type Place } from './ways';

export const MARIADB_SOCKET = 'mariadb.sock';

export async function startMariadb(t: TestContext): Promise<Place | null> {
  const programs = needs(t, {
    'mariadb-install-db': 'mariadb-server-core',
    mariadbd: 'mariadb-server-core',
    my_print_defaults: 'mariadb-client-core',
  });
  if (programs === null) return null;
  const [install = '', mariadbd = ''] = programs;
  const place = placeFor(t);
  giveToNobody(place.folder);
  const data = path.join(place.folder, 'data');
  const settings = [
    '--no-defaults',
    `--datadir=${data}`,
    '--innodb-log-file-size=4M',
    '--innodb-buffer-pool-size=8M',
  ];
  const about = [
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
    '--skip-name-resolve',
  ];
  prepare(install, [...settings, ...about], place.folder);
  const socket = path.join(place.folder, MARIADB_SOCKET);
  const ours = [`--socket=${socket}`, '--skip-networking', '--max-allowed-packet=32M'];
  const log = ['--skip-log-bin', `--pid-file=${data}/pid`];
  const server = start(t, mariadbd, [...settings, ...ours, ...log], { cwd: place.folder });
  await server.logged('ready for connections');
  return place;
}
