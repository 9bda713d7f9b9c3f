/** The methods of Server: what `net.Server` does, on a pathname or abstract name. Never constructed itself. */
import type { AsyncResource } from 'node:async_hooks';
import cluster from 'node:cluster';
import { EventEmitter } from 'node:events';
import net from 'node:net';
import { getDefaultHighWaterMark } from 'node:stream';
import { promisify } from 'node:util';
import { STREAM, type SocketType } from '../binding';
import { encodeAddress, isAbstract, isPadded, type AbstractLength } from '../address';
import { withAddress } from '../address-string';
import { backlogOf, isPipeName, normalizeArguments, type LooseOptions } from '../arguments';
import { boundName } from '../bound-name';
import { debug, debugging, shown } from '../debug';
import { listenTrace, refusedChannel, serverSocketChannel } from '../diagnostics';
import { engine, startEngine } from '../engine/engine';
import { addHint, codedError, errnoException } from '../errors';
import { guardsAmong, refuseGuardsBehind, SERVER_GUARDS } from '../guards';
import { listenAsNet } from '../net-twin';
import { LISTEN_MODE_IS_WHOLE, ZERO_CONNECTIONS_IS_A_LIMIT } from '../net-version';
import { Connection } from '../socket/connection';
import type { SocketMethods } from '../socket/methods';
import { AcceptedOptions, socketOf } from '../socket/socket';
import { AwaitedListener } from './awaited-listener';
import { listenFailure } from './failure';
import { Gate, Tally, type GateUser } from './gate';
import { DEFAULT_MAX_CONNECTIONS, rulesOf, type Rules } from './gate-options';
import {
  connectionFor,
  Listener,
  onAccept,
  onDrop,
  openGate,
  type Accepted,
  type ListeningPoint,
} from './listener';
import { countRefusal } from './refusal';
import type { ServerOptions } from './options';
import { withOwner } from './owner';
import { checkListenPassing, passingOf } from './passing';
import { taken } from './taken';
import { openAtPlace, placeOf, refuseOptions, type AskedPlace, type Place } from './place';
import { nextTick } from '../real-time';

export const kListener = Symbol('listener');
export const kElsewhere = Symbol('elsewhere');
export const kSocketType = Symbol('socket type');
export const kSocketFor = Symbol('socket for');
/** The server that users know: itself, or the one that it is behind. */
export const kFace = Symbol('face');
const kAwait = Symbol('await');
const kOpened = Symbol('opened');
const kIsFull = Symbol('is full');
const kPlace = Symbol('place');
const kFinishing = Symbol('finishing');
export const kFinish = Symbol('finish');
export const kFinished = Symbol('finished');
export const kTraceListening = Symbol('traceListening');
/** Others may listen on the same socket. */
const kShared = Symbol('shared');
const kRules = Symbol('rules');
const kPresent = Symbol('present');
const kAcceptedOptions = Symbol('acceptedOptions');
export const kServerOptions = Symbol('options');
/** Tells a diagnostics channel of an accepted socket. */
export const kTell = Symbol('tell');

/** The kernel rounds it up to 512. */
const DEFAULT_BACKLOG = 511;

/** What `describe` adds for a socket that listens. */
const LISTENING = 0x100;

const READABLE_BY_ALL = 0o444;
const WRITABLE_BY_ALL = 0o222;

/** What a server makes of a connection and counts until it is gone. */
export interface AcceptedSocket {
  destroy(error?: Error): unknown;
}

export class ServerMethods extends EventEmitter {
  declare _connections: number;
  declare _unref: boolean;
  declare _usingWorkers: false;
  declare _pipeName?: string;
  declare _connectionKey?: string;
  declare allowHalfOpen: boolean;
  declare pauseOnConnect: boolean;
  declare noDelay: boolean;
  declare keepAlive: boolean;
  declare keepAliveInitialDelay: number;
  declare highWaterMark: number;
  declare maxConnections?: number | null;
  declare [kListener]: ListeningPoint | null;
  declare [kServerOptions]: ServerOptions;
  /** Of the listener that it has or had last. */
  declare [kPlace]: AskedPlace | null;
  /** Listeners that let nobody in any more and whose backlogs are being served. */
  declare [kFinishing]: number;
  declare [kShared]: boolean;
  declare [kRules]: Rules | null;
  declare [kPresent]?: Tally;
  declare [kAcceptedOptions]: AcceptedOptions | null;

  /** Of its listener and of what that accepts. */
  get [kSocketType](): SocketType {
    return STREAM;
  }

  get [kFace](): net.Server {
    return this as unknown as net.Server;
  }

  listen(...given: unknown[]): this {
    // Behind another server, what is given has been read, or is for `net` to read.
    const isBehind = this[kFace] !== (this as unknown);
    const args = isBehind ? given : withAddress(given);
    refuseGuardsBehind(SERVER_GUARDS, args);
    const { options: told, callback } = normalizeArguments(args);
    const options = taken(told);
    if (this[kListener] !== null) {
      const error = codedError(
        Error,
        'ERR_SERVER_ALREADY_LISTEN',
        'Listen method has been called more than once without closing.',
      );
      addHint(
        error,
        'this server listens already: close() it first, or make another one for the other address',
      );
      throw error;
    }
    const made = this[kServerOptions];
    checkListenPassing(made, options);
    const rules = rulesOf(made, options);
    const guards = guardsAmong(SERVER_GUARDS, made);
    const asked = { ...options, ...guards, ...guardsAmong(SERVER_GUARDS, options) };
    const place = placeOf(asked, this[kSocketType]);
    if (belongsToNet(options, this[kSocketType])) {
      refuseOptions(asked, 'is not followed by node:net, which listens on this');
      return this[kElsewhere](args);
    }
    this[kPlace] = place;
    this[kRules] = rules;
    listenTrace?.asyncStart.publish({ server: this[kFace], options: told });
    const { fd, path } = options as { fd?: number; path: string };
    const byDescriptor = typeof fd === 'number' && fd >= 0;
    if (!byDescriptor && isAbstract(path) && (options['readableAll'] || options['writableAll'])) {
      // Throws what `net` throws.
      return this[kElsewhere](args);
    }
    if (callback !== null) this.once('listening', callback);
    addAbortSignal(this[kFace], options['signal']);
    // An int, as the kernel takes it: what cannot be one throws, as in `net`.
    const backlogGiven = (options['backlog'] || backlogOf(args) || DEFAULT_BACKLOG) as string;
    const backlog = +backlogGiven | 0;
    this[kShared] = byDescriptor;
    const started = startEngine();
    if (started < 0) {
      this[kOpened](started, byDescriptor ? undefined : path);
    } else if (byDescriptor) {
      // Of a descriptor that is only a number `net` knows no name.
      if (typeof options['address'] === 'string' || this[kSocketType] !== STREAM) {
        const name = boundName(fd);
        if (name !== null) this._pipeName = name;
      }
      this[kOpened](
        engine().adoptListener(fd, backlog, passingOf(this[kServerOptions])),
        undefined,
      );
    } else {
      this._pipeName = path;
      const open = (at: Place | null, from?: string): void =>
        this[kOpened](openListener(this, path, at, backlog, options, from), path);
      const owned = place === null ? null : withOwner(place, path);
      if (owned instanceof Promise) this[kAwait](owned, open, path);
      else open(owned);
    }
    return this;
  }

  /** Ports, hosts, what `net` refuses, and cluster workers, whose listeners their primary opens. */
  protected [kElsewhere](args: readonly unknown[]): this {
    if (cluster.isWorker) beforeWorkerListens?.(this[kFace], args, this[kServerOptions]);
    listenAsNet(this, ServerMethods.prototype, this[kServerOptions], this._unref, args);
    return this;
  }

  /** Until it is known who shall own the file it listens as far as everybody can see, on nothing. */
  private [kAwait](
    place: Promise<Place>,
    open: (at: Place, from: string) => void,
    path: string,
  ): void {
    // A relative path is meant from here.
    const from = process.cwd();
    this[kListener] = new AwaitedListener(place, (found) => {
      this[kListener] = null;
      try {
        if (found instanceof Error) this[kOpened](found, path);
        else open(found, from);
      } catch (error) {
        // What listen() would have thrown.
        this[kOpened](error as Error, path);
      }
    });
  }

  private [kOpened](handle: number | Error, path: string | undefined): void {
    if (typeof handle !== 'number' || handle < 0) {
      const error = typeof handle === 'number' ? listenFailure(handle, path) : handle;
      if (debugging) debug('listen %s: %s', shown(path), error.message);
      listenTrace?.error.publish({ server: this[kFace], error });
      nextTick(emitError, this, error);
      return;
    }
    const listener = new Listener(handle, this);
    if (debugging) debug('#%d: listen %s', handle, shown(path));
    if (this[kPlace] !== null) listener.closeAtExit();
    this[kListener] = listener;
    this[kTraceListening]();
    this._connectionKey = `-1:${path ?? 'null'}:-1`;
    if (this._unref) this.unref();
    nextTick(emitListening, this);
  }

  protected [kTraceListening](): void {
    listenTrace?.asyncEnd.publish({ server: this[kFace] });
  }

  private [kIsFull](): boolean {
    const { maxConnections } = this;
    if (maxConnections === undefined || maxConnections === null) return false;
    if (!maxConnections && !ZERO_CONNECTIONS_IS_A_LIMIT) return false;
    return this._connections >= maxConnections;
  }

  /** A connection came in. */
  [onAccept](connection: Accepted): void {
    if (this[kIsFull]()) {
      this.emit('drop');
      connection.close(() => undefined);
      return;
    }
    let socket: AcceptedSocket;
    try {
      socket = this[kSocketFor](connection);
    } catch (error) {
      // Somebody has set a property of the server to what no socket can be made with.
      connection.close(() => undefined);
      throw error;
    }
    this._connections += 1;
    this.emit('connection', socket);
    this[kTell](socket);
  }

  /** Whoever watches all servers hears of it. */
  protected [kTell](socket: AcceptedSocket): void {
    if (serverSocketChannel.hasSubscribers) serverSocketChannel.publish({ socket });
  }

  /** Who is let in, by the rules of this listen(). */
  [openGate](context: AsyncResource): Gate | null {
    const rules = this[kRules];
    if (rules === null) return null;
    const most = (): number => {
      const { maxConnections } = this;
      if (typeof maxConnections === 'number' && (maxConnections || ZERO_CONNECTIONS_IS_A_LIMIT)) {
        return maxConnections;
      }
      return rules.authorize === undefined ? Infinity : DEFAULT_MAX_CONNECTIONS;
    };
    const user: GateUser = {
      present: (this[kPresent] ??= new Tally()),
      maxConnections: most,
      connections: () => this._connections,
      make: (handle) => this[connectionFor](handle),
      admit: (connection) => this[onAccept](connection as Accepted),
      refused: (peer, refusal) => {
        countRefusal();
        if (debugging) debug('refused pid %s uid %d: %s', peer.pid, peer.uid, refusal);
        if (refusedChannel.hasSubscribers) {
          refusedChannel.publish({ server: this[kFace], peer, refusal });
        }
        if (refusal.code === 'maxConnections') this.emit('drop');
        this.emit('refused', peer, refusal);
      },
    };
    return new Gate(rules, user, context);
  }

  [connectionFor](handle: number): Accepted {
    return new Connection(handle);
  }

  protected [kSocketFor](connection: Accepted): AcceptedSocket {
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- what connectionFor() made
    const made = connection as Connection;
    const socket = socketOf(made, acceptedOptionsOf(this)) as unknown as SocketMethods;
    socket.server = this;
    socket._server = this;
    return socket;
  }

  /** The kernel or the descriptor table refused `count` connections. */
  [onDrop](status: number, count: number): void {
    for (let i = 0; i < Math.max(count, 1); ++i) {
      this.emit('drop', errnoException(status, 'accept', this._pipeName));
    }
  }

  address(): string | net.AddressInfo | null {
    return this._pipeName ?? null;
  }

  get listening(): boolean {
    return this[kListener] !== null;
  }

  getConnections(callback: (error: Error | null, count: number) => void): this {
    nextTick(callback, null, this._connections);
    return this;
  }

  close(callback?: (error?: Error) => void): this {
    const listener = this[kListener];
    if (typeof callback === 'function') {
      if (listener === null) {
        this.once('close', () =>
          callback(codedError(Error, 'ERR_SERVER_NOT_RUNNING', 'Server is not running.')),
        );
      } else {
        this.once('close', callback);
      }
    }
    if (listener !== null) {
      this[kListener] = null;
      // Who has connected to a server that another one replaces has done so in good faith; and who was accepted by one of several that
      // share a listener would have been served by any other.
      if (this[kPlace]?.stale === 'replace') this[kFinish](listener, false);
      else if (this[kShared]) this[kFinish](listener, true);
      else listener.close();
    }
    this._emitCloseIfDrained();
    return this;
  }

  protected [kFinish](listener: ListeningPoint, leave: boolean): void {
    this[kFinishing] += 1;
    listener.finish(() => this[kFinished](), leave);
  }

  protected [kFinished](): void {
    this[kFinishing] -= 1;
    this._emitCloseIfDrained();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this[kListener] === null) return;
    await promisify(this.close.bind(this))();
  }

  _emitCloseIfDrained(): void {
    if (this[kListener] !== null || this._connections > 0 || this[kFinishing] > 0) return;
    nextTick(emitClose, this);
  }

  ref(): this {
    this._unref = false;
    this[kListener]?.setReferenced(true);
    return this;
  }

  unref(): this {
    this._unref = true;
    this[kListener]?.setReferenced(false);
    return this;
  }

  override [EventEmitter.captureRejectionSymbol](
    error: Error,
    event: string,
    ...args: unknown[]
  ): void {
    const [socket] = args;
    if (event === 'connection' && isAccepted(socket)) socket.destroy(error);
    else this.emit('error', error);
  }
}

function isAccepted(value: unknown): value is AcceptedSocket {
  return typeof (value as AcceptedSocket | null | undefined)?.destroy === 'function';
}

/** Every server as it is when new. */
export function initializeServer(server: ServerMethods, options: ServerOptions): void {
  const { highWaterMark } = options;
  server._connections = 0;
  server._unref = false;
  server._usingWorkers = false;
  // As in `net`, whatever is true by itself stays what it is.
  server.allowHalfOpen = options.allowHalfOpen || false;
  server.pauseOnConnect = Boolean(options.pauseOnConnect);
  server.noDelay = Boolean(options.noDelay);
  server.keepAlive = Boolean(options.keepAlive);
  server.keepAliveInitialDelay = ~~((options.keepAliveInitialDelay ?? 0) / 1000);
  server.highWaterMark =
    highWaterMark === undefined || highWaterMark < 0
      ? getDefaultHighWaterMark(false)
      : highWaterMark;
  server[kListener] = null;
  server[kPlace] = null;
  server[kFinishing] = 0;
  server[kShared] = false;
  server[kServerOptions] = options;
  server[kAcceptedOptions] = null;
  server[kRules] = null;
}

/** Made once; and again when somebody has changed a property of the server. */
function acceptedOptionsOf(server: ServerMethods): AcceptedOptions {
  const { highWaterMark } = server;
  // Anybody may have set them, to anything.
  const allowHalfOpen = Boolean(server.allowHalfOpen as unknown);
  const pauseOnConnect = Boolean(server.pauseOnConnect as unknown);
  const made = server[kAcceptedOptions];
  if (
    made?.allowHalfOpen === allowHalfOpen &&
    made.readableHighWaterMark === highWaterMark &&
    made.pauseOnCreate === pauseOnConnect
  ) {
    return made;
  }
  const { busyPoll, maxDescriptors, maxOpenDescriptors } = server[kServerOptions];
  return (server[kAcceptedOptions] = new AcceptedOptions(
    allowHalfOpen,
    highWaterMark,
    highWaterMark,
    pauseOnConnect,
    busyPoll,
    maxDescriptors,
    maxOpenDescriptors,
  ));
}

type WorkerListens = (server: net.Server, args: readonly unknown[], options: ServerOptions) => void;

let beforeWorkerListens: WorkerListens | undefined;

/** See cluster-worker.ts, which needs all of this file. */
export function whenWorkerListens(prepare: WorkerListens): void {
  beforeWorkerListens = prepare;
}

/** Whether `net` has to do it, if only to refuse it. */
export function belongsToNet(options: LooseOptions, type: SocketType): boolean {
  const { fd, port, path, exclusive } = options;
  if (options['_handle'] !== undefined || options['handle'] !== undefined) return true;
  if (cluster.isWorker && !exclusive && type === STREAM) return true;
  if (typeof fd === 'number' && fd >= 0) {
    const kind = Number.isInteger(fd) ? engine().describe(fd) : -1;
    return kind !== type && kind !== type + LISTENING;
  }
  if ('port' in options && (port === undefined || port === null)) return true;
  if (typeof port === 'number' || typeof port === 'string') return true;
  return !isPipeName(path) || path === '';
}

function openListener(
  server: ServerMethods,
  path: string,
  place: Place | null,
  backlog: number,
  options: LooseOptions,
  from?: string,
): number | Error {
  const passing = passingOf(server[kServerOptions]);
  const type = server[kSocketType];
  if (place !== null) return openAtPlace(path, place, backlog, type, passing, from);
  let mode = 0;
  if (options['readableAll'] === true) mode |= READABLE_BY_ALL;
  if (options['writableAll'] === true) mode |= WRITABLE_BY_ALL;
  const padded = isPadded(options['abstractLength'] as AbstractLength | undefined);
  const address = encodeAddress(path);
  return engine().listen(address, padded, backlog, mode, LISTEN_MODE_IS_WHOLE, type, passing);
}

/** What everybody who listens in its place has to keep to; null if anybody may connect. */
export function rulesInForce(server: ServerMethods): Rules | null {
  return server[kRules];
}

/** Others are to accept from what the server listens on. Its descriptor, still its own; −1 if it does not listen. */
export function shareListener(server: ServerMethods): number {
  const listener = server[kListener];
  const fd = listener?.descriptor() ?? -1;
  if (listener === null || fd < 0) return -1;
  server[kShared] = true;
  listener.share();
  return fd;
}

function addAbortSignal(server: net.Server, signal: unknown): void {
  if (signal === undefined) return;
  if (!(signal instanceof AbortSignal)) {
    // Throws what `net` throws; a look-alike that it takes is good enough for us.
    new net.Server().listen({ port: 0, signal: signal as AbortSignal }).close();
  }
  const abort = signal as AbortSignal;
  const onAbort = (): void => void server.close();
  if (abort.aborted) {
    nextTick(onAbort);
    return;
  }
  abort.addEventListener('abort', onAbort, { once: true });
  server.once('close', () => abort.removeEventListener('abort', onAbort));
}

function emitError(server: ServerMethods, error: Error): void {
  server.emit('error', error);
}

function emitListening(server: ServerMethods): void {
  // Not if it was closed meanwhile.
  if (server[kListener] !== null) server.emit('listening');
}

function emitClose(server: ServerMethods): void {
  server.emit('close');
}
