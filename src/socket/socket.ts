/**
 * Socket: `net.Socket` over a pathname or abstract name.
 *
 * The constructor is a plain function, because `net.Socket` can be called without `new` and by old-style subclasses
 * (`Socket.call(this)`), and a class can't.
 */
import net from 'node:net';
import { Duplex, type DuplexOptions } from 'node:stream';
import { checkBusyPoll } from '../busy-poll';
import { expectationOf, refuseExpectation } from '../credentials/expectation';
import type { PeerCredentials } from '../credentials/peer';
import { engine } from '../engine/engine';
import { descriptorOf, type Descriptor } from '../descriptor';
import { errnoException } from '../errors';
import type * as Taken from '../server/taken';
import { openAsNet } from '../net-twin';
import { Connection } from './connection';
import { detach, toNetSocket, type Detached } from './detaching';
import type { AddedEvents } from './event-types';
import { flushed } from './flushing';
import {
  kAttach,
  kBytesRead,
  kBytesWritten,
  kConnection,
  kExpectation,
  kFromNet,
  kGone,
  kIdle,
  kOptions,
  kPendingSeen,
  kUserBuffer,
  onReadableEnd,
  SocketMethods,
} from './methods';
import type { SocketConnectOptions, SocketOptions } from './options';
import { sendDescriptors, type SendDescriptorsCallback } from './passing';
import { checkDescriptorLimits } from '../descriptor-quota';
import type { DescriptorLike } from '../descriptor-sending';
import { peerCredentialsOf } from './peer';
import { recordFromStart } from './recorded';
import { tellHead, UserBuffer } from './user-buffer';

/** In front of those of `net`, which take any event. */
type NetSocket = AddedEvents & net.Socket;

/** Every member of `net.Socket`, and ours. */
export interface Socket extends NetSocket {
  connect(options: SocketConnectOptions | net.SocketConnectOpts, listener?: () => void): this;
  connect(port: number, host: string, listener?: () => void): this;
  connect(port: number, listener?: () => void): this;
  /** A path, or `unix:/path` or `tcp://host:port`. */
  connect(address: string, listener?: () => void): this;
}

export interface Socket {
  /**
   * Who is at the other end, as the kernel recorded it: of an accepted socket who connected, of a connected one who called listen(2).
   * Null before there is a connection; after its end only if the socket was accepted, or somebody asked before.
   */
  readonly peerCredentials: PeerCredentials | null;
  /**
   * Sends 1 to 253 descriptors together with `bytes`, which must not be empty. They stay the sender's, who may close them at once.
   * The rest is as with `write()`. Errors: EBADF, EMFILE at once; EPERM if the peer takes none (Linux 6.16).
   */
  sendDescriptors(
    descriptors: readonly DescriptorLike[],
    bytes: string | Uint8Array,
    callback?: SendDescriptorsCallback,
  ): boolean;
  /**
   * Fulfilled once the kernel has everything that was written: at once if it has. Rejected with the socket's error, or ERR_SOCKET_CLOSED, if
   * there is no connection or it is gone before.
   */
  flushed(): Promise<void>;
  /**
   * Gives up the connection's descriptor, and what was received and not read. The socket is destroyed; the peer notices nothing.
   * Errors: ERR_SOCKET_CLOSED without a connection, ERR_AFUNIX_PENDING_WRITES.
   */
  detach(): Detached;
  /** The connection as a `net.Socket`, which goes on where this one stopped. Errors: as `detach()`. */
  toNetSocket(options?: Omit<net.SocketConstructorOpts, 'fd'>): net.Socket;
}

export interface SocketConstructor {
  /**
   * A socket of a connected Unix stream socket: a number, a `Descriptor`, or what `detach()` gave. The descriptor is the socket's from
   * here on. Errors: EBADF, EPROTOTYPE if it is something else.
   */
  from(given: number | Descriptor | Detached, options?: Omit<SocketOptions, 'fd'>): Socket;
  new (options?: SocketOptions): Socket;
  (options?: SocketOptions): Socket;
  readonly prototype: Socket;
}

/** What sockets of connections that exist already are made with; all that one server accepts share it. Not for users. */
export class AcceptedOptions {
  readonly emitClose = false;
  readonly autoDestroy = true;
  readonly decodeStrings = false;

  constructor(
    readonly allowHalfOpen: boolean,
    readonly readableHighWaterMark: number | undefined,
    readonly writableHighWaterMark: number | undefined,
    readonly pauseOnCreate: boolean,
    readonly busyPoll: number | undefined,
    readonly maxDescriptors: number | undefined,
    readonly maxOpenDescriptors: number | undefined,
  ) {}
}

/** What `describe` says of a connected stream socket. */
const CONNECTED_STREAM = 1;
const EPROTOTYPE = -91;

/** Node's types leave two of the stream's options out. */
interface StreamOptions extends DuplexOptions {
  readable?: boolean;
  writable?: boolean;
  captureRejections?: boolean;
}

type GivenOptions = SocketOptions & StreamOptions;

const initializeDuplex = Duplex as unknown as (options: DuplexOptions) => void;

function construct(
  this: unknown,
  options?: SocketOptions | AcceptedOptions | number,
  // With a default it does not count in `length`, which is as in `net`.
  connection: Connection | null = null,
): unknown {
  if (!(this instanceof SocketMethods)) return new Socket(options as SocketOptions);
  if (options instanceof AcceptedOptions && connection !== null) {
    initialize(this, options, null);
    // The stream's options are among them: a connection costs no object for them.
    Reflect.apply(initializeDuplex, this, [options]);
    this.on('end', onReadableEnd);
    start(this, connection, options.pauseOnCreate);
    return undefined;
  }
  const given: GivenOptions = typeof options === 'number' ? { fd: options } : ownOf(options ?? {});
  if (given.busyPoll !== undefined) checkBusyPoll('options.busyPoll', given.busyPoll);
  checkDescriptorLimits(given);
  const expectation = expectationOf(given);
  if (given.fd !== undefined) refuseExpectation(given);
  if (isForNet(given)) {
    openAsNet(this, SocketMethods.prototype, given);
    return undefined;
  }
  // Before Duplex, which destroys the socket at once if its signal was aborted beforehand.
  initialize(this, given, UserBuffer.from(given.onread));
  if (expectation !== null) this[kExpectation] = expectation;
  Reflect.apply(initializeDuplex, this, [streamOptions(given)]);
  recordFromStart(this);
  // It tells its user about that later, and is not destroyed until then.
  if (this.destroyed) this._undestroy();
  this.on('end', onReadableEnd);
  if (given.fd !== undefined) openDescriptor(this, given.fd, given);
  return undefined;
}

/** `net` copies its options, which leaves out what is inherited. Of an ordinary object nothing is, and a copy costs a microsecond. */
function ownOf(options: SocketOptions): SocketOptions {
  const prototype: unknown = Object.getPrototypeOf(options);
  if (prototype === Object.prototype || prototype === null) return options;
  // Of what is no object `net` looks for properties, and finds none.
  if (Object(options) !== options) return {};
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  return (require('../server/taken') as typeof Taken).takenByConstructor(options);
}

/** The socket of a connection that a server has accepted, or that socketpair() has made. */
export function socketOf(connection: Connection, options: AcceptedOptions): Socket {
  return Reflect.construct(construct, [options, connection]) as Socket;
}

/** Methods that Duplex takes from its options. */
const METHODS = ['construct', 'read', 'write', 'writev', 'final', 'destroy'] as const;

/** What Duplex shall know. Field by field, because copying an object of unknown shape costs a microsecond. */
function streamOptions(given: GivenOptions): StreamOptions {
  const options: StreamOptions = {
    allowHalfOpen: Boolean(given.allowHalfOpen),
    // 'close' is ours to emit, with its flag and once the descriptor is closed.
    emitClose: false,
    autoDestroy: true,
    // Strings are encoded straight into the send area.
    decodeStrings: false,
    readable: given.readable,
    writable: given.writable,
    highWaterMark: given.highWaterMark,
    readableHighWaterMark: given.readableHighWaterMark,
    writableHighWaterMark: given.writableHighWaterMark,
    defaultEncoding: given.defaultEncoding,
    encoding: given.encoding,
    signal: given.signal,
    captureRejections: given.captureRejections,
  };
  for (const name of METHODS) {
    if (typeof given[name] === 'function') return { ...given, ...options };
  }
  return options;
}

/** What `net` refuses, and descriptors that are not connected Unix stream sockets: it has the right error for each. */
function isForNet(options: GivenOptions): boolean {
  if (options.objectMode || options.readableObjectMode || options.writableObjectMode) return true;
  const { fd, keepAliveInitialDelay: delay } = options;
  if (delay !== undefined && typeof delay !== 'number') return true;
  if (fd === undefined) return false;
  return !Number.isInteger(fd) || fd < 0 || engine().describe(fd) !== CONNECTED_STREAM;
}

function initialize(
  socket: SocketMethods,
  options: SocketOptions,
  userBuffer: UserBuffer | null,
): void {
  socket.connecting = false;
  socket._hadError = false;
  socket._parent = null;
  socket._host = null;
  socket._pendingData = null;
  socket._pendingEncoding = '';
  socket._sockname = null;
  socket._peername = null;
  socket[kConnection] = null;
  socket[kIdle] = null;
  socket[kUserBuffer] = userBuffer;
  socket[kOptions] = options;
  socket[kBytesRead] = 0;
  socket[kBytesWritten] = 0;
  socket[kPendingSeen] = 0;
  socket[kGone] = null;
  socket.server = null;
  socket._server = null;
}

/** Makes a socket of ours out of one of `net`'s that has no connection; its stream goes on. */
export function becomeSocket(
  theirs: net.Socket,
  options: SocketOptions,
  netEndListener: () => void,
): void {
  Object.setPrototypeOf(theirs, SocketMethods.prototype);
  const socket = theirs as unknown as SocketMethods;
  initialize(socket, options, UserBuffer.from(options.onread));
  socket[kFromNet] = true;
  recordFromStart(socket);
  if (!socket.listeners('end').includes(netEndListener)) return;
  socket.off('end', netEndListener);
  socket.prependListener('end', onReadableEnd);
}

/** The static method of Socket. */
function from(
  given: number | Descriptor | Detached,
  options: Omit<SocketOptions, 'fd'> = {},
): Socket {
  const isDetached = typeof given === 'object' && given !== null && 'descriptor' in given;
  const source = isDetached ? given.descriptor : given;
  const fd = descriptorOf('given', source);
  // What is refused stays its owner's.
  const kind = engine().describe(fd);
  if (kind !== CONNECTED_STREAM) throw errnoException(kind < 0 ? kind : EPROTOTYPE, 'from');
  const head = isDetached && given.head.length > 0 ? given.head : null;
  // Before what `onread` is told comes what it is told of the head.
  const start = head !== null && options.onread ? { manualStart: true } : {};
  const open = (taken: number): Socket => new Socket({ ...options, ...start, fd: taken });
  const socket = typeof source === 'number' ? open(fd) : source.handOver(open);
  if (head === null) return socket;
  const { [kUserBuffer]: userBuffer, [kConnection]: connection } =
    socket as unknown as SocketMethods;
  if (userBuffer !== null) {
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- a Socket is one, by way of an intersection
    tellHead(socket, userBuffer, head, (target) => connection?.readInto(target));
    return socket;
  }
  socket.unshift(head);
  // An `onread` that is none.
  if ('manualStart' in start) socket.read(0);
  return socket;
}

function openDescriptor(socket: SocketMethods, fd: number, options: GivenOptions): void {
  // The user's own function, which may throw: until here the descriptor is still its owner's.
  const target = socket[kUserBuffer]?.first();
  const handle = engine().adopt(fd);
  if (handle < 0) throw errnoException(handle, 'open');
  const { pauseOnCreate, manualStart } = options as Readonly<Record<string, unknown>>;
  const connection = new Connection(handle);
  if (options.readable === false || manualStart) socket[kAttach](connection, target);
  else start(socket, connection, Boolean(pauseOnCreate), target);
}

/** A socket made of a connection is connected, and reads, from the start. */
function start(
  socket: SocketMethods,
  connection: Connection,
  paused: boolean,
  target?: Uint8Array,
): void {
  socket[kAttach](connection, target);
  if (paused) (socket as unknown as { readableFlowing: boolean }).readableFlowing = false;
  else socket.read(0);
}

Object.setPrototypeOf(construct, Duplex);
construct.prototype = SocketMethods.prototype;
Object.defineProperty(SocketMethods.prototype, 'constructor', {
  value: construct,
  writable: true,
  configurable: true,
});
Object.defineProperty(construct, 'name', { value: 'Socket' });

/** `net.Socket` has these enumerable and on its prototype; some libraries list them. */
for (const name of [
  'bytesRead',
  '_bytesDispatched',
  'bytesWritten',
  'remoteAddress',
  'remoteFamily',
  'remotePort',
  'localAddress',
  'localPort',
  'localFamily',
] as const) {
  Object.defineProperty(SocketMethods.prototype, name, { enumerable: true });
}

Object.defineProperty(SocketMethods.prototype, 'peerCredentials', {
  get: peerCredentialsOf,
  configurable: true,
});
for (const [name, value] of Object.entries({ sendDescriptors, flushed, detach, toNetSocket })) {
  const property = { value, writable: true, configurable: true };
  Object.defineProperty(SocketMethods.prototype, name, property);
}
Object.defineProperty(construct, 'from', { value: from, writable: true, configurable: true });

// On a socket without a handle of libuv's these check their arguments and remember them, no more.
for (const name of ['setNoDelay', 'setKeepAlive', 'setTypeOfService', 'getTypeOfService']) {
  const method = Object.getOwnPropertyDescriptor(net.Socket.prototype, name);
  if (method !== undefined) Object.defineProperty(SocketMethods.prototype, name, method);
}

// A socket that went to a port is one of `net`'s; whoever asks for either kind gets yes.
Object.defineProperty(construct, Symbol.hasInstance, {
  value(this: unknown, value: unknown): boolean {
    const ordinary = Function.prototype[Symbol.hasInstance].call(this as () => void, value);
    return ordinary || (this === construct && value instanceof net.Socket);
  },
});

export const Socket = construct as unknown as SocketConstructor;
