/**
 * Socket: `net.Socket` over a pathname or abstract name.
 *
 * The constructor is a plain function, because `net.Socket` can be called without `new` and by old-style subclasses
 * (`Socket.call(this)`), and a class can't.
 */
import net from 'node:net';
import { Duplex, type DuplexOptions } from 'node:stream';
import { engine } from '../engine/engine';
import { errnoException } from '../errors';
import { openAsNet } from '../net-twin';
import { Connection } from './connection';
import { IdleTimer } from './idle-timer';
import {
  kAttach,
  kBytesRead,
  kBytesWritten,
  kConnection,
  kIdle,
  kOptions,
  kPendingSeen,
  kUserBuffer,
  onReadableEnd,
  SocketMethods,
} from './methods';
import type { SocketConnectOptions, SocketOptions } from './options';
import { UserBuffer } from './user-buffer';

/** Every member of `net.Socket`, and ours. */
export interface Socket extends net.Socket {
  connect(options: SocketConnectOptions | net.SocketConnectOpts, listener?: () => void): this;
  connect(port: number, host: string, listener?: () => void): this;
  connect(port: number, listener?: () => void): this;
  connect(path: string, listener?: () => void): this;
}

export interface SocketConstructor {
  new (options?: SocketOptions): Socket;
  (options?: SocketOptions): Socket;
  readonly prototype: Socket;
}

/** A connection that exists already, accepted by a server or half of a pair; not for users. */
export const kAccepted = Symbol('accepted');

interface AcceptedOptions {
  [kAccepted]?: Connection;
  pauseOnCreate?: boolean;
}

/** What `describe` says of a connected stream socket. */
const CONNECTED_STREAM = 1;

type GivenOptions = SocketOptions & AcceptedOptions & DuplexOptions;

function construct(this: unknown, options?: SocketOptions | number): unknown {
  if (!(this instanceof SocketMethods)) return new Socket(options as SocketOptions);
  const given = (typeof options === 'number' ? { fd: options } : (options ?? {})) as GivenOptions;
  if (isForNet(given)) {
    openAsNet(this, SocketMethods.prototype, given);
    return undefined;
  }
  // Before Duplex, which destroys the socket at once if its signal was aborted beforehand.
  initialize(this, given);
  Reflect.apply(Duplex as unknown as (options: DuplexOptions) => void, this, [
    {
      ...given,
      allowHalfOpen: Boolean(given.allowHalfOpen),
      // 'close' is ours to emit, with its flag and once the descriptor is closed.
      emitClose: false,
      autoDestroy: true,
      // Strings are encoded straight into the send area.
      decodeStrings: false,
    } satisfies DuplexOptions,
  ]);
  // It tells its user about that later, and is not destroyed until then.
  if (this.destroyed) this._undestroy();
  this.on('end', onReadableEnd);
  open(this, given);
  return undefined;
}

/** What `net` refuses, and descriptors that are not connected Unix stream sockets: it has the right error for each. */
function isForNet(options: GivenOptions): boolean {
  if (options.objectMode || options.readableObjectMode || options.writableObjectMode) return true;
  const { fd, keepAliveInitialDelay: delay } = options;
  if (delay !== undefined && typeof delay !== 'number') return true;
  if (fd === undefined) return false;
  return !Number.isInteger(fd) || fd < 0 || engine().describe(fd) !== CONNECTED_STREAM;
}

function initialize(socket: SocketMethods, options: GivenOptions): void {
  socket.connecting = false;
  socket._hadError = false;
  socket._parent = null;
  socket._host = null;
  socket._pendingData = null;
  socket._pendingEncoding = '';
  socket._sockname = null;
  socket._peername = null;
  socket[kConnection] = null;
  socket[kIdle] = new IdleTimer();
  socket[kUserBuffer] = UserBuffer.from(options.onread);
  socket[kOptions] = options;
  socket[kBytesRead] = 0;
  socket[kBytesWritten] = 0;
  socket[kPendingSeen] = 0;
  socket.server = null;
  socket._server = null;
}

/** A socket made from a descriptor or by a server is connected from the start. */
function open(socket: SocketMethods, options: GivenOptions): void {
  const { fd } = options;
  let connection = options[kAccepted];
  if (connection === undefined && fd !== undefined) {
    const handle = engine().adopt(fd);
    if (handle < 0) throw errnoException(handle, 'open');
    connection = new Connection(handle);
  }
  if (connection === undefined) return;
  socket[kAttach](connection);
  if (options.readable === false) return;
  if (options.pauseOnCreate === true) {
    (socket as unknown as { readableFlowing: boolean }).readableFlowing = false;
  } else {
    socket.read(0);
  }
}

Object.setPrototypeOf(construct, Duplex);
construct.prototype = SocketMethods.prototype;
Object.defineProperty(SocketMethods.prototype, 'constructor', {
  value: construct,
  writable: true,
  configurable: true,
});
Object.defineProperty(construct, 'name', { value: 'Socket' });

// A socket that went to a port is one of `net`'s; whoever asks for either kind gets yes.
Object.defineProperty(construct, Symbol.hasInstance, {
  value(this: unknown, value: unknown): boolean {
    const ordinary = Function.prototype[Symbol.hasInstance].call(this as () => void, value);
    return ordinary || (this === construct && value instanceof net.Socket);
  },
});

export const Socket = construct as unknown as SocketConstructor;
