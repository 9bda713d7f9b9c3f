/**
 * Server: `net.Server` on a pathname or abstract name. A plain function, as `net.Server` is: it can be called without `new` and
 * by old-style subclasses.
 */
import { EventEmitter } from 'node:events';
import net from 'node:net';
import { checkBusyPoll } from '../busy-poll';
import { checkDescriptorLimits } from '../descriptor-quota';
import type { Socket } from '../socket/socket';
import './cluster-worker';
import { initializeServer, ServerMethods } from './methods';
import { checkPassing } from './passing';
import type { ServerListenOptions, ServerOptions } from './options';
import { takenByConstructor } from './taken';

export type ConnectionListener = (socket: Socket) => void;

/** Every member of `net.Server`, and ours. */
export interface Server extends net.Server {
  listen(port?: number, hostname?: string, backlog?: number, listener?: () => void): this;
  listen(port?: number, hostname?: string, listener?: () => void): this;
  listen(port?: number, backlog?: number, listener?: () => void): this;
  listen(port?: number, listener?: () => void): this;
  /** A path, or `unix:/path` or `tcp://host:port`. */
  listen(address: string, backlog?: number, listener?: () => void): this;
  listen(address: string, listener?: () => void): this;
  listen(options: ServerListenOptions, listener?: () => void): this;
  listen(handle: unknown, backlog?: number, listener?: () => void): this;
  listen(handle: unknown, listener?: () => void): this;
}

export interface ServerConstructor {
  new (connectionListener?: ConnectionListener): Server;
  new (options?: ServerOptions, connectionListener?: ConnectionListener): Server;
  (connectionListener?: ConnectionListener): Server;
  (options?: ServerOptions, connectionListener?: ConnectionListener): Server;
  readonly prototype: Server;
}

function construct(this: unknown, first?: unknown, second?: unknown): unknown {
  if (!(this instanceof ServerMethods)) {
    return new Server(first as ServerOptions, second as ConnectionListener);
  }
  checkArguments(first, second);
  const options = takenByConstructor(
    (typeof first === 'object' && first !== null ? first : {}) as ServerOptions,
  );
  if (options.busyPoll !== undefined) checkBusyPoll('options.busyPoll', options.busyPoll);
  checkDescriptorLimits(options);
  checkPassing(options);
  const listener = typeof first === 'function' ? first : second;
  // `net` has no such option, and does not mind what it is.
  const captureRejections = options.captureRejections === true;
  Reflect.apply(EventEmitter as unknown as (options: object) => void, this, [
    { captureRejections },
  ]);
  if (typeof listener === 'function') this.on('connection', listener as ConnectionListener);
  initializeServer(this, options);
  return undefined;
}

/** Throws what `net.Server` throws. */
function checkArguments(first: unknown, second: unknown): void {
  const plain =
    first === undefined || first === null || typeof first === 'function' || isSimple(first);
  if (!plain || (second !== undefined && second !== null && typeof second !== 'function')) {
    new net.Server(first as net.ServerOpts, second as () => void);
  }
}

/** An options object without the fields that `net` looks at twice. */
function isSimple(options: unknown): boolean {
  return (
    typeof options === 'object' &&
    options !== null &&
    !('highWaterMark' in options) &&
    !('keepAliveInitialDelay' in options)
  );
}

Object.setPrototypeOf(construct, EventEmitter);
construct.prototype = ServerMethods.prototype;
Object.defineProperty(ServerMethods.prototype, 'constructor', {
  value: construct,
  writable: true,
  configurable: true,
});
Object.defineProperty(construct, 'name', { value: 'Server' });

// A server that listens on a port is one of `net`'s; whoever asks for either kind gets yes.
Object.defineProperty(construct, Symbol.hasInstance, {
  value(this: unknown, value: unknown): boolean {
    const ordinary = Function.prototype[Symbol.hasInstance].call(this as () => void, value);
    return ordinary || (this === construct && value instanceof net.Server);
  },
});

export const Server = construct as unknown as ServerConstructor;
