/** The methods of Socket: what `net.Socket` does, over a pathname or abstract name. Never constructed itself. */
import type net from 'node:net';
import { Duplex } from 'node:stream';
import { STREAM } from '../binding';
import { encodeAddress, isPadded, type AbstractLength } from '../address';
import { withAddress } from '../address-string';
import { normalizeArguments, unpackArguments, type LooseOptions } from '../arguments';
import { connectPatience } from '../connect-timeout';
import { debug, debugging, shown } from '../debug';
import { tellOfConnecting } from '../diagnostics';
import { onConnect, onEnd, onReadError, onWriteError } from '../engine/connection';
import { expectationOf, type Expectation } from '../credentials/expectation';
import type { PeerCredentials } from '../credentials/peer';
import { engine, startEngine, untoldLength } from '../engine/engine';
import { codedError, errnoException } from '../errors';
import { CLIENT_GUARDS, guardsAmong, refuseGuards, refuseGuardsBehind } from '../guards';
import { connectAsNet, connectNowhere } from '../net-twin';
import { UNCONNECTED_SOCKETS_FINISH } from '../net-version';
import type { ServerMethods } from '../server/methods';
import {
  Connection,
  onChunk,
  onCredentials,
  onDescriptors,
  onTarget,
  type Piece,
  type StreamUser,
} from './connection';
import { lengthOf } from './encodings';
import type * as Http2Session from './http2-session';
import { IdleTimer } from './idle-timer';
import type { SocketOptions } from './options';
import { kPaired, receiveDescriptors, tellPaired, type Paired } from './passing';
import { forgetRecorded, recordWhile } from './recorded';
import type { UserBuffer } from './user-buffer';
import { writeAfterEnd } from './write-after-end';
import { lengthToWrite, writeOut, writeShort, writeThrough } from './writing';
import { nextTick } from '../real-time';

export const kConnection = Symbol('connection');
export const kIdle = Symbol('idle timer');
export const kUserBuffer = Symbol('user buffer');
export const kOptions = Symbol('options');
export const kBytesRead = Symbol('bytesRead');
export const kBytesWritten = Symbol('bytesWritten');
export const kPendingSeen = Symbol('pending bytes seen');
/** The connection that is gone: it knows who was at its other end. */
export const kGone = Symbol('gone');

/** It was made by `net`, whose strings are paths. */
export const kFromNet = Symbol('from net');

/** Who has to listen wherever it connects: what it was made with. */
export const kExpectation = Symbol('expectation');

export const kAttach = Symbol('attach');
// Methods of ours: a name would be in the way of a subclass that uses it.
const kPrepare = Symbol('prepare');
const kOpen = Symbol('open');
const kElsewhere = Symbol('elsewhere');
const kReadOn = Symbol('read on');
const kAddress = Symbol('address');

/** What connecting needs to know. */
interface Opening {
  readonly limited: number;
  readonly padded: boolean;
  readonly address: Uint8Array;
  readonly expectation: Expectation | null;
}

export class SocketMethods extends Duplex implements StreamUser {
  /** Of Readable and Writable: both as they were when new, listeners and encoding kept. */
  declare _undestroy: () => void;
  /** Read by several libraries as well; these fields are as old as streams. */
  declare readonly _readableState: { dataEmitted: boolean; readonly reading: boolean };
  declare readonly _writableState: {
    readonly defaultEncoding: BufferEncoding;
    readonly length: number;
    needDrain: boolean;
  };
  declare connecting: boolean;
  declare timeout?: number;
  declare server: ServerMethods | null;
  declare _server: ServerMethods | null;
  declare _hadError: boolean;
  declare _parent: null;
  declare _host: null;
  declare _pendingData: string | Uint8Array | readonly Piece[] | null;
  declare _pendingEncoding: string;
  declare _sockname: null;
  declare _peername: null;
  /** What TCP has and a Unix socket takes without effect: `net`'s own, see socket.ts. */
  declare setNoDelay: (noDelay?: boolean) => this;
  declare setKeepAlive: (enable?: boolean, initialDelay?: number) => this;
  declare [kConnection]: Connection | null;
  declare [kIdle]: IdleTimer | null;
  declare [kUserBuffer]: UserBuffer | null;
  declare [kOptions]: SocketOptions;
  declare [kBytesRead]: number;
  declare [kBytesWritten]: number;
  declare [kPendingSeen]: number;
  declare [kGone]: Connection | null;
  declare [kFromNet]?: true;
  declare [kExpectation]?: Expectation;
  declare [kAddress]?: string;
  declare [kPaired]?: Paired[] | undefined;

  // Connecting

  connect(...given: unknown[]): this {
    const unpacked = unpackArguments(given);
    const args = this[kFromNet] === true ? unpacked : withAddress(unpacked);
    if (args.length > 1) refuseGuardsBehind(CLIENT_GUARDS, args);
    const { options, callback } = normalizeArguments(args);
    const path = options['path'];
    if (typeof path !== 'string' || path === '') return this[kElsewhere](args);
    // Throws before anything has changed.
    const open = this[kPrepare](path, options);
    tellOfConnecting(this);
    if (callback !== null) this.once('connect', callback);
    // After an end it may be writeAfterEnd.
    if (this.write !== SocketMethods.prototype.write) this.write = SocketMethods.prototype.write;
    if (this[kConnection] === null) this._undestroy();
    this._unrefTimer();
    this.connecting = true;
    this.emit('connectionAttempt', path, undefined, undefined);
    this[kOpen](path, open);
    return this;
  }

  private [kPrepare](path: string, options: LooseOptions): Opening {
    return {
      limited: connectPatience(options['connectTimeout']),
      padded: isPadded(options['abstractLength'] as AbstractLength | undefined),
      address: encodeAddress(path),
      expectation: expectationOf(options) ?? this[kExpectation] ?? null,
    };
  }

  private [kOpen](path: string, { limited, padded, address, expectation }: Opening): void {
    const connection = this[kConnection];
    const started = startEngine();
    if (started < 0) {
      this.destroy(errnoException(started, 'connect', path));
      return;
    }
    const status =
      connection === null
        ? engine().connect(address, padded, limited, STREAM, Boolean(this[kOptions].maxDescriptors))
        : engine().connectAgain(connection.handle, address, padded, limited);
    if (debugging) debug('#%d: connect %s', connection?.handle ?? status, shown(path));
    if (status < 0) {
      this.destroy(errnoException(status, 'connect', path));
      return;
    }
    // Only the error needs to know where it was going.
    this[kAddress] = path;
    if (connection === null) this[kAttach](new Connection(status));
    this[kConnection]?.expect(expectation);
  }

  /** Ports, hosts and whatever `net` refuses. */
  private [kElsewhere](args: readonly unknown[]): this {
    const made = this[kExpectation] === undefined ? null : { authorize: this[kExpectation] };
    const guards = guardsAmong(CLIENT_GUARDS, normalizeArguments(args).options) ?? made;
    refuseGuards(guards, 'it is for pathnames and abstract names');
    if (this[kConnection] !== null) {
      // If it is nonsense, `net` says so.
      if (normalizeArguments(args).options['port'] === undefined) connectNowhere(args);
      throw codedError(
        Error,
        'ERR_AFUNIX_CONNECTED',
        'This socket is on a pathname or abstract name; it can go to a port once it is closed',
      );
    }
    this.removeListener('end', onReadableEnd);
    try {
      connectAsNet(this, SocketMethods.prototype, this[kOptions], args);
    } catch (error) {
      this.on('end', onReadableEnd);
      throw error;
    }
    return this;
  }

  /** From now on this socket is `connection`. */
  [kAttach](
    connection: Connection,
    target: Uint8Array | undefined = this[kUserBuffer]?.first(),
  ): void {
    this[kConnection] = connection;
    this[kGone] = null;
    connection.serve(this);
    this[kPendingSeen] = 0;
    if (target !== undefined) connection.readInto(target);
    const { busyPoll, maxDescriptors } = this[kOptions];
    if (busyPoll !== undefined) connection.setBusyPoll(busyPoll);
    if (maxDescriptors) connection.setMaxDescriptors(maxDescriptors, maxDescriptors);
  }

  [onConnect](status: number): void {
    if (this.destroyed) return;
    this.connecting = false;
    if (status !== 0) {
      const error = errnoException(status, 'connect', this[kAddress]);
      this.emit('connectionAttemptFailed', this[kAddress], undefined, undefined, error);
      this.destroy(error);
      return;
    }
    this._unrefTimer();
    this.emit('connect');
    this.emit('ready');
    // The first read, so that an end is noticed although nobody reads.
    if (!this.isPaused()) this.read(0);
  }

  // Reading

  override _read(size: number): void {
    const connection = this[kConnection];
    if (this.connecting || connection === null) {
      this.once('connect', () => this._read(size));
    } else if (!connection.reading) {
      connection.readStart();
    }
  }

  override read(size?: number): unknown {
    this[kReadOn]();
    if (this[kPaired] !== undefined) tellPaired(this, size);
    return Duplex.prototype.read.call(this, size);
  }

  override resume(): this {
    this[kReadOn]();
    Duplex.prototype.resume.call(this);
    return this;
  }

  override setEncoding(encoding: BufferEncoding): this {
    recordWhile(this, () => Duplex.prototype.setEncoding.call(this, encoding));
    return this;
  }

  override pause(): this {
    if (this.connecting) {
      // eslint-disable-next-line @typescript-eslint/no-require-imports
      (require('./http2-session') as typeof Http2Session).holdSession(this);
    }
    const connection = this[kConnection];
    if (this[kUserBuffer] !== null && !this.connecting && connection?.reading === true) {
      connection.readStop();
    }
    Duplex.prototype.pause.call(this);
    return this;
  }

  private [kReadOn](): void {
    const connection = this[kConnection];
    if (this[kUserBuffer] !== null && !this.connecting && connection?.reading === false) {
      connection.readStart();
    }
  }

  [onChunk](chunk: Buffer): void {
    this._unrefTimer();
    if (this.destroyed) return;
    // What push() comes to for a flowing stream that holds nothing back, without its bookkeeping.
    if (
      this.readableFlowing === true &&
      this.readableLength === 0 &&
      this.readableEncoding === null &&
      this.listenerCount('data') > 0
    ) {
      this._readableState.dataEmitted = true;
      this.emit('data', chunk);
    } else {
      if (!this.push(chunk)) this[kConnection]?.readStop();
      if (this.readableEncoding !== null && this.readableLength === 0) forgetRecorded(this);
    }
  }

  [onTarget](length: number): void {
    this._unrefTimer();
    const connection = this[kConnection];
    const buffer = this[kUserBuffer];
    if (connection === null || buffer === null) return;
    const goOn = buffer.deliver(this, length);
    const next = buffer.current;
    if (this[kConnection] !== connection) return;
    if (next !== undefined) connection.readInto(next);
    if (!goOn) connection.readStop();
  }

  [onCredentials](writer: PeerCredentials): void {
    if (!this.destroyed) this.emit('credentials', writer, { offset: this.bytesRead });
  }

  [onDescriptors](place: number, count: number): void {
    const connection = this[kConnection];
    if (connection === null) return;
    const bytes = untoldLength(connection.handle);
    receiveDescriptors(this, connection, place, count, bytes, this[kOptions]);
  }

  [onEnd](): void {
    this._unrefTimer();
    if (this.readableEnded) return;
    this.push(null);
    this.read(0);
  }

  [onReadError](status: number): void {
    this._unrefTimer();
    this.destroy(errnoException(status, 'read'));
  }

  // Writing

  override write(
    chunk: unknown,
    encoding?: BufferEncoding | null | ((error: Error | null | undefined) => void),
    callback?: (error: Error | null | undefined) => void,
  ): boolean {
    const connection = this[kConnection];
    if (typeof encoding === 'function') {
      return writeThrough(this, connection, chunk, undefined, encoding);
    }
    if (typeof callback === 'function') {
      return writeThrough(this, connection, chunk, encoding, callback);
    }
    if (this._write === ownWrite && writeShort(this, connection, chunk, encoding)) return true;
    return writeThrough(this, connection, chunk, encoding);
  }

  // `net.Socket` has one of its own, which libraries look for and patch.
  override end(data?: unknown, encoding?: unknown, callback?: unknown): this {
    return Reflect.apply(Duplex.prototype.end as (...forwarded: unknown[]) => this, this, [
      data,
      encoding,
      callback,
    ]);
  }

  override _write(
    data: string | Uint8Array,
    encoding: BufferEncoding,
    callback: (error?: Error | null) => void,
  ): void {
    this._writeGeneric(false, data, encoding, callback);
  }

  override _writev(chunks: readonly Piece[], callback: (error?: Error | null) => void): void {
    this._writeGeneric(true, chunks, '', callback);
  }

  _writeGeneric(
    many: boolean,
    data: string | Uint8Array | readonly Piece[],
    encoding: string,
    callback: (error?: Error | null) => void,
  ): void {
    if (this.connecting) {
      // Writable holds back whatever else is written meanwhile.
      this._pendingData = data;
      this._pendingEncoding = encoding;
      const onClose = (): void =>
        callback(
          codedError(
            Error,
            'ERR_SOCKET_CLOSED_BEFORE_CONNECTION',
            'Socket closed before the connection was established',
          ),
        );
      this.once('connect', () => {
        this.off('close', onClose);
        this._writeGeneric(many, data, encoding, callback);
      });
      this.once('close', onClose);
      return;
    }
    this._pendingData = null;
    this._pendingEncoding = '';
    const connection = this[kConnection];
    if (connection === null) {
      callback(codedError(Error, 'ERR_SOCKET_CLOSED', 'Socket is closed'));
      return;
    }
    writeOut(this, connection, data, encoding, callback);
  }

  [onWriteError](status: number): void {
    this.destroy(this[kConnection]?.tellers.failure ?? errnoException(status, 'write'));
  }

  override _final(callback: (error?: Error | null) => void): void {
    if (UNCONNECTED_SOCKETS_FINISH ? this.connecting : this.pending) {
      this.once('connect', () => this._final(callback));
      return;
    }
    const connection = this[kConnection];
    // A peer that is gone already makes this fail; the stream is finished all the same.
    if (connection === null) callback();
    else connection.shutdown(() => callback());
  }

  // Ending

  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', this.destroy);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.connecting = false;
    this[kIdle]?.clear();
    const connection = this[kConnection];
    const hadError = error !== null && error !== undefined;
    if (connection === null) {
      callback(error);
      nextTick(emitClose, this);
    } else {
      this[kBytesRead] = connection.bytesRead;
      this[kBytesWritten] = connection.bytesWritten;
      connection.destroyed = hadError ? error : null;
      connection.close(() => this.emit('close', hadError));
      this[kConnection] = null;
      this[kGone] = connection;
      callback(error);
    }
    const server = this._server;
    if (server !== null) {
      server._connections -= 1;
      server._emitCloseIfDrained();
    }
  }

  resetAndDestroy(): this {
    if (this[kConnection] !== null) {
      throw codedError(TypeError, 'ERR_INVALID_HANDLE_TYPE', 'This handle type cannot be sent');
    }
    this.destroy(codedError(Error, 'ERR_SOCKET_CLOSED', 'Socket is closed'));
    return this;
  }

  _reset(): this {
    return this.destroy();
  }

  // Time

  setTimeout(milliseconds: number, callback?: () => void): this {
    if (this.destroyed) return this;
    this.timeout = milliseconds;
    this[kIdle] ??= new IdleTimer(() => this._onTimeout());
    const duration = this[kIdle].set(milliseconds, callback);
    if (callback !== undefined) {
      if (duration === 0) this.removeListener('timeout', callback);
      else this.once('timeout', callback);
    }
    return this;
  }

  _onTimeout(): void {
    // A write that makes progress is activity.
    const pending = this[kConnection]?.pendingBytes() ?? 0;
    const before = this[kPendingSeen];
    this[kPendingSeen] = pending;
    if (pending > 0 && pending !== before) {
      this._unrefTimer();
      return;
    }
    this.emit('timeout');
  }

  _unrefTimer(): void {
    this[kIdle]?.refresh();
  }

  // Whether it keeps the process running

  ref(): this {
    const connection = this[kConnection];
    if (connection === null) this.once('connect', this.ref);
    else connection.setReferenced(true);
    return this;
  }

  unref(): this {
    const connection = this[kConnection];
    if (connection === null) this.once('connect', this.unref);
    else connection.setReferenced(false);
    return this;
  }

  // What it tells about itself

  address(): net.AddressInfo | Record<string, never> {
    return {};
  }

  _getpeername(): Record<string, never> {
    return {};
  }

  _getsockname(): Record<string, never> {
    return {};
  }

  get _connecting(): boolean {
    return this.connecting;
  }

  get pending(): boolean {
    return this[kConnection] === null || this.connecting;
  }

  get readyState(): net.SocketReadyState {
    if (this.connecting) return 'opening';
    if (this.readable) return this.writable ? 'open' : 'readOnly';
    return this.writable ? 'writeOnly' : 'closed';
  }

  get bufferSize(): number | undefined {
    // `net` has a handle as soon as it knows where to go.
    return this[kConnection] === null && !this.connecting ? undefined : this.writableLength;
  }

  get bytesRead(): number {
    return this[kConnection]?.bytesRead ?? this[kBytesRead];
  }

  get _bytesDispatched(): number {
    return this[kConnection]?.bytesWritten ?? this[kBytesWritten];
  }

  /** Everything accepted so far, whether or not the kernel has it. */
  get bytesWritten(): number | undefined {
    const { writableBuffer } = this as unknown as { writableBuffer?: readonly Piece[] };
    if (writableBuffer === undefined) return undefined;
    let bytes = this._bytesDispatched + lengthOf(this._pendingData, this._pendingEncoding);
    for (const { chunk, encoding } of writableBuffer) bytes += lengthOf(chunk, encoding);
    return bytes;
  }

  get remoteAddress(): undefined {
    return undefined;
  }

  get remoteFamily(): undefined {
    return undefined;
  }

  get remotePort(): undefined {
    return undefined;
  }

  get localAddress(): undefined {
    return undefined;
  }

  get localPort(): undefined {
    return undefined;
  }

  get localFamily(): undefined {
    return undefined;
  }
}

const ownWrite = SocketMethods.prototype._write;

// Duplex has it as an accessor, and TypeScript as a property.
Object.defineProperty(SocketMethods.prototype, 'writableLength', {
  get(this: SocketMethods): number | undefined {
    return lengthToWrite(this, this[kConnection]);
  },
  configurable: true,
});

function emitClose(socket: SocketMethods): void {
  socket.emit('close');
}

const refuseToWrite = writeAfterEnd(SocketMethods.prototype.write);

/** After the peer's end, without half-open. */
export function onReadableEnd(this: SocketMethods): void {
  if (!this.allowHalfOpen) this.write = refuseToWrite;
}
