/** A Redis of the test's own. */
import path from 'node:path';
import type { TestContext } from 'node:test';
import { giveToNobody, needs, start } from './server-program';
import { placeFor, type Place } from './ways';

export const REDIS_SOCKET = 'redis.sock';

export async function startRedis(t: TestContext): Promise<Place | null> {
  const programs = needs(t, { 'redis-server': 'redis-server' });
  if (programs === null) return null;
  const [redis = ''] = programs;
  const place = placeFor(t);
  giveToNobody(place.folder);
  const socket = path.join(place.folder, REDIS_SOCKET);
  const settings = ['--port', '0', '--unixsocket', socket, '--unixsocketperm', '777', '--save', ''];
  const server = start(t, redis, [...settings, '--dir', place.folder], { cwd: place.folder });
  await server.logged('The server is now ready to accept connections');
  return place;
}
