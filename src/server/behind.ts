/**
 * A listener of ours behind a genuine `net.Server`: `http.Server` and whatever else derives from it. To the server it is the handle that it
 * keeps in `_handle`, so that address(), listening, ref(), close() and what subclasses make of them are its own.
 */
import net from 'node:net';
import { isAbstract } from '../address';
import { normalizeArguments } from '../arguments';
import { STREAM } from '../binding';
import { Descriptor } from '../descriptor';
import { engine } from '../engine/engine';
import { cannotGuard, errnoException, listenException, type SystemError } from '../errors';
import { guardsAmong, guardsOf, refuseGuards, SERVER_GUARDS } from '../guards';
import type { Accepted, ListeningPoint } from './listener';
import {
  belongsToNet,
  initializeServer,
  kFace,
  kFinish,
  kFinished,
  kListener,
  kSocketFor,
  kTraceListening,
  rulesInForce,
  ServerMethods,
  shareListener,
  type AcceptedSocket,
} from './methods';
import type { ServerOptions } from './options';
import { checkPassing } from './passing';
import { whenSent } from './sending';
import { taken } from './taken';
import { nextTick } from '../real-time';

/** The fields of `net.Server` that concern its listener, and the handle. */
export interface Face extends net.Server {
  _connections: number;
  _connectionKey?: string;
  _pipeName?: string;
  _unref?: boolean;
  _handle: object | null;
  allowHalfOpen?: boolean;
  pauseOnConnect?: boolean;
  highWaterMark?: number;
}

/** What is looked at for each connection, when it comes. */
const SHARED = [
  '_connections',
  'maxConnections',
  'allowHalfOpen',
  'pauseOnConnect',
  'highWaterMark',
] as const;

/** libuv's pipe, of which we need no more than these. */
interface Pipe {
  close(callback?: () => void): void;
  ref(): void;
  unref(): void;
}

interface NetInternals {
  /** A handle that owns `fd` and does not listen yet; a negative errno otherwise. */
  _createServerHandle(address: null, port: 0, addressType: -1, fd: number): Pipe | number;
}

/** Listens, accepts, and lets `face` have all of it. */
export class ServerBehind extends ServerMethods {
  /** What has to happen before it is told whether it listens at last; false if then it does not. */
  whenSettled: ((listens: boolean) => boolean) | null = null;
  /** To be called when the one in front listens. */
  traced: () => void = () => undefined;

  constructor(
    private readonly face: Face,
    options: ServerOptions,
  ) {
    super();
    checkPassing(options);
    initializeServer(this, options);
    for (const name of SHARED) {
      Object.defineProperty(this, name, {
        get: () => face[name],
        set: (value: never) => (face[name] = value),
      });
    }
    // What TLS still has to say when the other end has ended goes through the same socket.
    if ('setSecureContext' in face) Object.defineProperty(this, 'allowHalfOpen', { value: true });
  }

  override get [kFace](): net.Server {
    return this.face;
  }

  protected override [kSocketFor](connection: Accepted): AcceptedSocket {
    const socket = super[kSocketFor](connection);
    // What it needs of its server, both kinds have.
    return Object.assign(socket, { server: this.face, _server: this.face });
  }

  // Until all that was accepted has been handed on, there is something to wait for.
  protected override [kFinish](listener: ListeningPoint, leave: boolean): void {
    this.face._connections += 1;
    super[kFinish](listener, leave);
  }

  // Whoever is told looks at the one in front, which does not listen before it has its handle.
  protected override [kTraceListening](): void {
    this.traced = () => super[kTraceListening]();
  }

  protected override [kFinished](): void {
    super[kFinished]();
    this.face._connections -= 1;
    (this.face as unknown as { _emitCloseIfDrained(): void })._emitCloseIfDrained();
  }

  override emit(event: string | symbol, ...args: unknown[]): boolean {
    // Whether all connections are gone is for the server in front to say.
    if (event === 'close') return false;
    const { whenSettled } = this;
    if (whenSettled !== null && (event === 'listening' || event === 'error')) {
      this.whenSettled = null;
      if (!whenSettled(event === 'listening') && event === 'listening') return true;
    }
    return this.face.emit(event, ...args);
  }
}

/**
 * Makes `server` listen as `args` say, on a listener of ours. False, and nothing has happened, if `net` has to do it.
 * `server` stays what it is; its sockets are `afunix.Socket`s. What it was made with counts where that is known, behind `made`. Throws
 * ERR_AFUNIX_UNGUARDED if `net` would have to do it and something of all this protects it.
 */
export function listenBehind(
  server: net.Server,
  args: readonly unknown[],
  made: ServerOptions = {},
): boolean {
  const face = server as Face;
  const { options: given, callback } = normalizeArguments(args);
  if (face._handle !== null) return false;
  const options = { ...guardsOf(server), ...taken(made) };
  const listenOptions = taken(given);
  if (belongsToNet(listenOptions, STREAM)) {
    // `net` would let everybody in.
    refuseGuards(guardsAmong(SERVER_GUARDS, { ...options, ...listenOptions }), NOT_OURS);
    return false;
  }
  // It has the right error for that.
  const widened = Boolean(listenOptions['readableAll']) || Boolean(listenOptions['writableAll']);
  const { path } = listenOptions;
  if (widened && typeof path === 'string' && isAbstract(path)) return false;
  const behind = new ServerBehind(face, options);
  if (face._unref === true) behind.unref();
  if (callback !== null) server.once('listening', callback);
  const [first, ...rest] = args.filter((argument) => typeof argument !== 'function');
  // What protects it is not read a second time.
  const guarded = guardsAmong(SERVER_GUARDS, listenOptions) !== null;
  behind.listen(guarded ? listenOptions : first, ...rest);
  if (behind._pipeName !== undefined) face._pipeName = behind._pipeName;
  const listener = behind[kListener];
  // Failed: 'error' comes on the next tick.
  if (listener === null) return true;
  if (listener.descriptor() < 0) {
    face._handle = handleOf(behind);
    behind.whenSettled = (listens) => {
      face._handle = null;
      return listens && putInFront(face, behind);
    };
  } else {
    putInFront(face, behind);
  }
  return true;
}

const NOT_OURS =
  'it is for Unix sockets, and in a cluster worker for those that listen with exclusive: true';

/** Gives `face` a handle on the listener; false if there cannot be one, which is an error of `face`'s. */
function putInFront(face: Face, behind: ServerBehind): boolean {
  const guarded = rulesInForce(behind) !== null;
  // Whoever else has the descriptor lets everybody in: another server that is to listen on this one's handle, or another process.
  const handle = guarded
    ? handleOf(behind)
    : handleFor(behind, behind[kListener]?.descriptor() ?? -1);
  if (typeof handle === 'number') {
    behind.close();
    const error = listenException(handle, behind._pipeName);
    nextTick(() => face.emit('error', error));
    return false;
  }
  const { _connectionKey } = behind;
  if (_connectionKey !== undefined) face._connectionKey = _connectionKey;
  face._handle = handle;
  behind.traced();
  whenSent(face, () => {
    // It may listen for the second time by now, in another way.
    if (face._handle !== handle) return;
    if (guarded) {
      throw cannotGuard(
        'authorize or maxConnectionsPerUid',
        'the process that a server is sent to lets in whoever connects; it can listen itself, or be given admitted connections',
      );
    }
    shareListener(behind);
  });
  return true;
}

/** The handle of a server that does not listen yet, or whose descriptor nobody else may have. */
function handleOf(behind: ServerBehind): object {
  return {
    close(callback?: () => void): void {
      behind.close();
      if (callback !== undefined) nextTick(callback);
    },
    ref: () => behind.ref(),
    unref: () => behind.unref(),
  };
}

/**
 * What the server in front takes for its handle: one of libuv's on a copy of our descriptor, so that it can be sent to another process. It never
 * listens itself. A negative errno if there is no descriptor left.
 */
function handleFor(behind: ServerBehind, listening: number): object | number {
  const copy = engine().duplicate(listening);
  if (copy < 0) return copy;
  const descriptor = new Descriptor(copy);
  let handle: Pipe;
  try {
    handle = descriptor.lend((fd) => {
      const made = (net as unknown as NetInternals)._createServerHandle(null, 0, -1, fd);
      if (typeof made === 'number') throw errnoException(made, 'listen');
      return made;
    });
  } catch (error) {
    descriptor.close();
    return (error as SystemError).errno;
  }
  const close = handle.close.bind(handle);
  return Object.assign(handle, {
    close(callback?: () => void): void {
      behind.close();
      close(callback);
    },
    ref: () => behind.ref(),
    unref: () => behind.unref(),
  });
}
