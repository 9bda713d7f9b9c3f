/**
 * Servers in the workers of `node:cluster`. Their primary opens the listener, and hands out its connections or the listener itself, as
 * handles of libuv's: `net` sees to that. The connections that a server is given become sockets of ours.
 */
import type net from 'node:net';
import { normalizeArguments, isPipeName } from '../arguments';
import { engine } from '../engine/engine';
import { ServerBehind, type Face } from './behind';
import { connectionFor, onAccept } from './listener';
import { whenWorkerListens } from './methods';
import type { ServerOptions } from './options';
import { taken } from './taken';

/** libuv's handle of a connection. */
interface Pipe {
  readonly fd: number;
  close(): void;
}

/** What `net` has in the place of a port and of an address family. */
const PATH = -1;

type OnConnection = (this: unknown, status: number, pipe?: Pipe) => void;

interface WorkerServer extends Face {
  _handle: { onconnection: OnConnection } | null;
  _listen2: (...args: unknown[]) => void;
}

/** The connections of what `server` is about to listen on will be ours. */
export function takeConnections(
  server: net.Server,
  args: readonly unknown[],
  options: ServerOptions = {},
): void {
  const { port, path } = normalizeArguments(args).options;
  if (port !== undefined || !isPipeName(path) || path === '') return;
  const worker = server as WorkerServer;
  // A server of ours has passed this way already, and comes again if `afunix/register` is loaded.
  if (Object.hasOwn(worker, '_listen2')) return;
  // What `net` calls once it has been given a handle, before the first connection can come.
  Object.defineProperty(worker, '_listen2', {
    configurable: true,
    value(...given: unknown[]): void {
      Reflect.deleteProperty(worker, '_listen2');
      worker._listen2(...given);
      const [, port, addressType] = given;
      // After a listen that failed, the next one may be for a port.
      const isPath = port === PATH && addressType === PATH;
      if (isPath && worker._handle !== null) divert(worker, worker._handle, options);
    },
  });
}

function divert(
  server: WorkerServer,
  handle: { onconnection: OnConnection },
  options: ServerOptions,
): void {
  const behind = new ServerBehind(server, taken(options));
  const { onconnection } = handle;
  handle.onconnection = function (status, pipe) {
    const connection = status === 0 && pipe !== undefined ? adopt(pipe) : -1;
    // No descriptor left for a copy: net's socket does as well.
    if (connection < 0) onconnection.call(this, status, pipe);
    else behind[onAccept](behind[connectionFor](connection));
  };
}

/** The engine's handle for a connection of libuv's, which is closed there. */
function adopt(pipe: Pipe): number {
  const copy = engine().duplicate(pipe.fd);
  if (copy < 0) return copy;
  const connection = engine().adopt(copy);
  if (connection >= 0) pipe.close();
  return connection;
}

whenWorkerListens(takeConnections);
