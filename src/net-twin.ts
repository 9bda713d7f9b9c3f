/**
 * Ports and hosts are `node:net`'s. One object can be asked for either kind of address, and which it is shows only at
 * `connect` or `listen`: then a socket or server of ours that has not begun anything turns into a genuine one of
 * `net`'s, in place, listeners kept.
 */
import net from 'node:net';
import { codedError } from './errors';

type Prototype = object;

/** Makes `object` what `net.X.call(object, …)` makes; the result undoes it. */
function become(
  object: object,
  ours: Prototype,
  theirs: Prototype,
  initialize: () => void,
  what: string,
): () => void {
  if (Object.getPrototypeOf(object) !== ours) {
    throw codedError(
      Error,
      'ERR_AFUNIX_SUBCLASS_NEEDS_PATH',
      `A subclass of afunix.${what} reaches pathnames and abstract names; for ports and hosts derive from net.${what}`,
    );
  }
  const before = new Map<PropertyKey, PropertyDescriptor>();
  for (const key of Reflect.ownKeys(object)) {
    before.set(key, Object.getOwnPropertyDescriptor(object, key)!);
  }
  Object.setPrototypeOf(object, theirs);
  const restore = (): void => {
    Object.setPrototypeOf(object, ours);
    for (const key of Reflect.ownKeys(object)) {
      if (!before.has(key)) Reflect.deleteProperty(object, key);
    }
    for (const [key, descriptor] of before) Object.defineProperty(object, key, descriptor);
  };
  try {
    initialize();
  } catch (error) {
    restore();
    throw error;
  }
  return restore;
}

/** `act` on `object` as one of `net`'s own; if it refuses, `object` is as it was. */
function actAs<Result>(undo: () => void, act: () => Result): Result {
  try {
    return act();
  } catch (error) {
    undo();
    throw error;
  }
}

export function connectAsNet(
  socket: object,
  ours: Prototype,
  options: net.SocketConstructorOpts,
  settle: (twin: net.Socket) => void,
  args: readonly unknown[],
): net.Socket {
  const twin = socket as net.Socket;
  const undo = become(socket, ours, net.Socket.prototype, () => initializeSocket(twin, options), 'Socket');
  return actAs(undo, () => {
    settle(twin);
    return Reflect.apply(net.Socket.prototype.connect, twin, args) as net.Socket;
  });
}

export function openAsNet(
  socket: object,
  ours: Prototype,
  options: net.SocketConstructorOpts,
): void {
  become(socket, ours, net.Socket.prototype, () => initializeSocket(socket as net.Socket, options), 'Socket');
}

export function listenAsNet(
  server: object,
  ours: Prototype,
  options: net.ServerOpts,
  settle: (twin: net.Server) => void,
  args: readonly unknown[],
): net.Server {
  const twin = server as net.Server;
  const undo = become(server, ours, net.Server.prototype, () => initializeServer(twin, options), 'Server');
  return actAs(undo, () => {
    settle(twin);
    return Reflect.apply(net.Server.prototype.listen, twin, args) as net.Server;
  });
}

// Both constructors can be called on an existing object, as Node's own subclasses do.
function initializeSocket(socket: net.Socket, options: net.SocketConstructorOpts): void {
  Reflect.apply(net.Socket as unknown as (options: object) => void, socket, [options]);
}

function initializeServer(server: net.Server, options: net.ServerOpts): void {
  Reflect.apply(net.Server as unknown as (options: object) => void, server, [options]);
}
