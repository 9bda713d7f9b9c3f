/** A socket that gives up its descriptor: to another thread, to another process, to `net`. */
import nodeNet from 'node:net';
import { Descriptor } from '../descriptor';
import { engine, flush, takeUntold } from '../engine/engine';
import { codedError, errnoException } from '../errors';
import { openAsNet } from '../net-twin';
import { kConnection, onReadableEnd, SocketMethods } from './methods';

export interface Detached {
  /** The connection's, still open; whoever has it closes it. */
  readonly descriptor: Descriptor;
  /** What had been received and not been read: the next bytes of the stream. */
  readonly head: Buffer;
}

/** The method of Socket: afterwards it is destroyed, without an end for the peer. */
export function detach(this: SocketMethods): Detached {
  const detached = release(this);
  this.destroy();
  return detached;
}

/** Takes the connection out of the engine. What is left of it there goes when it is closed. */
function release(socket: SocketMethods): Detached {
  const connection = socket[kConnection];
  if (connection === null || socket.connecting) {
    throw codedError(Error, 'ERR_SOCKET_CLOSED', 'Socket is closed');
  }
  flush();
  if (socket.writableLength > 0 || connection.blocked || socket.writableEnded) {
    throw codedError(
      Error,
      'ERR_AFUNIX_PENDING_WRITES',
      `${socket.writableLength} bytes have not been taken by the kernel, or the socket was ended: detach() before end(), in a write's callback or on 'drain'`,
    );
  }
  connection.readStop();
  flush();
  const fd = engine().detach(connection.handle);
  if (fd < 0) throw errnoException(fd, 'detach');
  const unread = Buffer.alloc(engine().unread(new Uint8Array(0)));
  if (unread.length > 0) engine().unread(unread);
  const head = Buffer.concat([...takeBuffered(socket), ...takeUntold(connection.handle), unread]);
  return { descriptor: new Descriptor(fd), head };
}

/** What the stream holds back. In some versions of Node one read() takes all of it, in others one chunk. */
function takeBuffered(socket: SocketMethods): Buffer[] {
  const chunks: Buffer[] = [];
  while (socket.readableLength > 0) {
    const chunk = socket.read() as Buffer | string | null;
    if (chunk === null) break;
    const encoding = socket.readableEncoding ?? 'utf8';
    chunks.push(typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk);
  }
  return chunks;
}

/** The method of Socket: the connection as a `net.Socket`, which begins with what has not been read here. */
export function toNetSocket(
  this: SocketMethods,
  options: Omit<nodeNet.SocketConstructorOpts, 'fd'> = {},
): nodeNet.Socket {
  const { descriptor, head } = Reflect.apply(detach, this, []);
  const { allowHalfOpen } = this;
  const socket = descriptor.lend((fd) => new nodeNet.Socket({ allowHalfOpen, ...options, fd }));
  if (head.length > 0) socket.unshift(head);
  return socket;
}

/**
 * The socket itself becomes one of `net`'s, if it has a connection, which goes on where it was. ERR_AFUNIX_CONNECTING: it may have one soon;
 * otherwise as `detach()`.
 */
export function becomeNetSocket(socket: SocketMethods): void {
  if (socket.connecting) {
    throw codedError(
      Error,
      'ERR_AFUNIX_CONNECTING',
      "The socket is still connecting: send it to another process on 'connect'",
    );
  }
  const connection = socket[kConnection];
  if (connection === null) return;
  const { server, _server, allowHalfOpen, readableFlowing } = socket;
  const { descriptor, head } = release(socket);
  connection.close(() => undefined);
  socket[kConnection] = null;
  socket.off('end', onReadableEnd);
  descriptor.lend((fd) =>
    openAsNet(socket, SocketMethods.prototype, {
      allowHalfOpen,
      fd,
      // It may be on its way to another process, which shall get the next bytes.
      manualStart: true,
    } as nodeNet.SocketConstructorOpts),
  );
  Object.assign(socket, { server, _server });
  if (head.length > 0) socket.unshift(head);
  if (readableFlowing === true) socket.resume();
}
