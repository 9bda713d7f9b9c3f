/** A `net.Server` that listens on a path stays what it is; its listener and the sockets that it is given are ours. */
import cluster from 'node:cluster';
import type net from 'node:net';
import { listenBehind } from '../server/behind';
import { takeConnections } from '../server/cluster-worker';
import { callers } from '../caller';
import { registration } from './registration';
import { isPatched } from './sockets';

const ROUND_ROBIN = 'node:internal/cluster/round_robin_handle';

/** See server/sending.ts. */
const HAS_INSTANCE = 'net.Server[Symbol.hasInstance]';

/** How far up whoever wraps `listen` may have put Node's own caller. */
const CALLERS = 12;

/** Listens, if it can be done: then it has been done. */
export function takeServer(server: net.Server, args: readonly unknown[]): boolean {
  // TLS reads from the native handles of net's connections; over ours it would be slower.
  if ('setSecureContext' in server) return false;
  if (isPatched()) return false;
  if (callers(takeServer, CALLERS).includes(ROUND_ROBIN)) return false;
  if (cluster.isWorker) {
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
