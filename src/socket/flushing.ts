/** Waiting until nothing that was written is left in this process. */
import { Duplex } from 'node:stream';
import { codedError } from '../errors';
import { flush } from '../engine/engine';
import type { Connection } from './connection';
import { kConnection, type SocketMethods } from './methods';

/** The method of Socket. */
export async function flushed(this: SocketMethods): Promise<void> {
  while (!isFlushed(this)) await progress(this);
}

/** Throws if it never will be. */
function isFlushed(socket: SocketMethods): boolean {
  if (socket.writableFinished) return true;
  const connection = socket[kConnection];
  const errored = socket.errored;
  if (connection === null || errored !== null) {
    // From some version on the writes of a destroyed socket fail, and the socket with them.
    const cancelled = errored !== null && 'code' in errored && errored.code === 'ECANCELED';
    if (errored !== null && !cancelled) throw errored;
    throw codedError(Error, 'ERR_SOCKET_CLOSED', 'Socket is closed');
  }
  flush();
  return (
    !socket.connecting &&
    !socket.writableEnded &&
    socket.writableLength === 0 &&
    !isWaiting(connection)
  );
}

function isWaiting(connection: Connection): boolean {
  return connection.blocked || connection.writeOutcome !== 0;
}

/** Fulfilled when it may have become so, or never will. */
function progress(socket: SocketMethods): Promise<void> {
  return new Promise((resolve) => {
    const connection = socket[kConnection];
    if (connection === null) {
      resolve();
    } else if (socket.connecting || socket.writableEnded) {
      const event = socket.connecting ? 'connect' : 'finish';
      const happened = (): void => {
        socket.off(event, happened).off('close', happened);
        resolve();
      };
      socket.once(event, happened).once('close', happened);
    } else if (isWaiting(connection)) {
      connection.whenWritten(resolve);
    } else {
      // Corked, or kept by a subclass: it goes behind what waits, and out with it.
      Duplex.prototype.write.call(socket, '', 'utf8', () => resolve());
    }
  });
}
