/** A `net.Server` that listens on a path stays what it is; its listener and the sockets that it is given are ours. */
import cluster from 'node:cluster';
import type net from 'node:net';
import { listenBehind } from '../server/behind';
import { takeConnections } from '../server/cluster-worker';
import { callers } from '../caller';
import { refuseGuards, type Guards } from '../guards';
import { registration } from './registration';
import { isPatched } from './sockets';

const ROUND_ROBIN = 'node:internal/cluster/round_robin_handle';

/** See server/sending.ts. */
const HAS_INSTANCE = 'net.Server[Symbol.hasInstance]';

/** How far up whoever wraps `listen` may have put Node's own caller. */
const CALLERS = 12;

/**
 * Listens, if it can be done: then it has been done. With `guards` it has to be: it throws where `net` would listen without them, and leaves
 * to `net` only what that refuses.
 */
export function takeServer(
  server: net.Server,
  args: readonly unknown[],
  guards: Guards | null,
): boolean {
  // TLS reads from the native handles of net's connections; over ours it would be slower.
  if ('setSecureContext' in server && guards === null) return false;
  if (isPatched()) {
    refuseGuards(
      guards,
      'a method of net.Socket was replaced, so that all its sockets stay what they are',
    );
    return false;
  }
  if (callers(takeServer, CALLERS).includes(ROUND_ROBIN)) return false;
  if (cluster.isWorker && guards === null) {
    takeConnections(server, args);
    return false;
  }
  if (!listenBehind(server, args)) return false;
  const registered = registration();
  if (registered !== undefined && !registered.replaced.includes(HAS_INSTANCE)) {
    registered.replaced = [...registered.replaced, HAS_INSTANCE];
  }
  return true;
}
