/** A socket that gives up its descriptor: to another thread, to another process, to `net`. */
import nodeNet from 'node:net';
import { refuseExpectation } from '../credentials/expectation';
import { Descriptor } from '../descriptor';
import { engine, flush, takeUntold } from '../engine/engine';
import { codedError, errnoException } from '../errors';
import { openAsNet } from '../net-twin';
import { kConnection, kIdle, kOptions, kUserBuffer, onReadableEnd, SocketMethods } from './methods';
import type { SocketOptions } from './options';
import { takeHeld } from './recorded';
import { tellHead, UserBuffer } from './user-buffer';
import { nextTick } from '../real-time';

export interface Detached {
  /** The connection's, still open; whoever has it closes it. */
  readonly descriptor: Descriptor;
  /** What had been received and not been read: the next bytes of the stream. */
  readonly head: Buffer;
}

/** The method of Socket: afterwards it is destroyed, without an end for the peer. */
export function detach(this: SocketMethods): Detached {
  const { descriptor, untold } = release(this);
  const head = Buffer.concat([...takeHeld(this), ...untold]);
  this.destroy();
  return { descriptor, head };
}

interface Released {
  readonly descriptor: Descriptor;
  /** What had been received and had not come to the stream. */
  readonly untold: readonly Buffer[];
}

/** Takes the connection out of the engine. What is left of it there goes when it is closed. */
function release(socket: SocketMethods): Released {
  const connection = socket[kConnection];
  if (connection === null || socket.connecting) {
    throw codedError(Error, 'ERR_SOCKET_CLOSED', 'Socket is closed');
  }
  flush();
  if (socket.writableLength > 0 || connection.blocked || socket.writableEnded) {
    throw codedError(
      Error,
      'ERR_AFUNIX_PENDING_WRITES',
      `${socket.writableLength} bytes have not been taken by the kernel, or the socket was ended: detach() before end(), and behind \`await socket.flushed()\``,
    );
  }
  connection.readStop();
  flush();
  const fd = engine().detach(connection.handle);
  if (fd < 0) throw errnoException(fd, 'detach');
  const unread = Buffer.alloc(engine().unread(new Uint8Array(0)));
  if (unread.length > 0) engine().unread(unread);
  const untold = [...connection.takeHeldBack(), ...takeUntold(connection.handle), unread];
  return { descriptor: new Descriptor(fd), untold };
}

/** The method of Socket: the connection as a `net.Socket`, which begins with what has not been read here. */
export function toNetSocket(
  this: SocketMethods,
  options: Omit<nodeNet.SocketConstructorOpts, 'fd'> = {},
): nodeNet.Socket {
  refuseExpectation(options);
  // What `net` refuses it refuses now, while the connection is still this socket's.
  new nodeNet.Socket({ ...options, fd: undefined }).destroy();
  const { descriptor, head } = Reflect.apply(detach, this, []);
  const { allowHalfOpen } = this;
  const userBuffer = head.length > 0 ? UserBuffer.from((options as SocketOptions).onread) : null;
  const start = userBuffer === null ? {} : { manualStart: true };
  const given = { allowHalfOpen, ...options, ...start };
  let socket: nodeNet.Socket;
  try {
    socket = descriptor.lend((fd) => new nodeNet.Socket({ ...given, fd }));
  } catch (error) {
    // A function of the user's has thrown: nobody has the connection any more.
    descriptor.close();
    throw error;
  }
  if (userBuffer !== null) tellHead(socket, userBuffer, head);
  else if (head.length > 0) socket.unshift(head);
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
  const { server, _server, allowHalfOpen, timeout, _readableState, _writableState } = socket;
  const { onread } = socket[kOptions];
  const { descriptor, untold } = release(socket);
  connection.close(() => undefined);
  socket[kConnection] = null;
  socket[kIdle]?.clear();
  socket.off('end', onReadableEnd);
  descriptor.lend((fd) =>
    openAsNet(socket, SocketMethods.prototype, {
      allowHalfOpen,
      fd,
      onread,
      // It may be on its way to another process, which shall get the next bytes.
      manualStart: true,
    } as nodeNet.SocketConstructorOpts),
  );
  // The streams go on as they are: with what they hold, an encoding, pipes.
  Object.assign(socket, { server, _server, _readableState, _writableState });
  if (timeout) socket.setTimeout(timeout);
  nextTick(goOn, socket, Buffer.concat(untold));
}

/** Once it is known whether the descriptor has left: what this process has read already is told here. */
function goOn(socket: SocketMethods, untold: Buffer): void {
  if (socket.destroyed) return;
  const userBuffer = socket[kUserBuffer];
  if (untold.length === 0) readOn(socket);
  else if (userBuffer !== null) tellHead(socket, userBuffer, untold);
  else if (socket.push(untold)) readOn(socket);
}

/** The stream may have asked for more before. */
function readOn(socket: SocketMethods): void {
  const { _handle } = socket as { _handle?: object | null };
  if (_handle && socket._readableState.reading) socket._read(0);
}
