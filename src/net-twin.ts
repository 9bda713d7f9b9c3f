/**
 * Ports and hosts are `node:net`'s. One object can be asked for either kind of address, and which it is shows only at
 * `connect` or `listen`: then a socket or server of ours that has not begun anything turns into a genuine one of
 * `net`'s, in place, listeners kept.
 */
import net from 'node:net';

/** What instances of subclasses are by now, whose classes are not derived from it: `net.Socket` or `net.Server`. */
const twins = new WeakMap<object, object>();

/** `net`, `tls` and `child_process` ask with `instanceof` what they are given. */
export function isTwin(value: unknown, constructor: object): boolean {
  return typeof value === 'object' && value !== null && twins.get(value) === constructor;
}

const isInstance = Function.prototype[Symbol.hasInstance] as (
  this: unknown,
  value: unknown,
) => boolean;

/** Puts `answer` in the place of `constructor`'s ordinary answer to `instanceof`. */
export function answerInstanceOf(
  constructor: object,
  answer: (this: unknown, value: unknown) => boolean,
): void {
  Object.defineProperty(constructor, Symbol.hasInstance, { value: answer, configurable: true });
}

/** `instanceof` as it is, with those that have become `net`'s. */
function tellTwins(constructor: object): void {
  // Whoever else answers in the place of the ordinary one knows of twins.
  if (Object.hasOwn(constructor, Symbol.hasInstance)) return;
  answerInstanceOf(constructor, function (value) {
    // Subclasses inherit this function.
    return isInstance.call(this, value) || (this === constructor && isTwin(value, constructor));
  });
}

/**
 * Gives `object` the methods of `theirs`. An instance of a subclass keeps its class: it gets the methods as its
 * own, except those that the subclass overrides.
 */
function takeMethods(object: object, ours: object, theirs: object): void {
  const prototype = Object.getPrototypeOf(object) as object;
  if (prototype === ours) {
    Object.setPrototypeOf(object, theirs);
    return;
  }
  const overridden = new Set<PropertyKey>(['constructor']);
  for (let link = prototype; link !== ours; link = Object.getPrototypeOf(link) as object) {
    for (const key of Reflect.ownKeys(link)) overridden.add(key);
  }
  for (const key of Reflect.ownKeys(theirs)) {
    if (overridden.has(key)) continue;
    const descriptor = Object.getOwnPropertyDescriptor(theirs, key);
    Object.defineProperty(object, key, { ...descriptor, configurable: true });
  }
  twins.set(object, theirs.constructor);
  tellTwins(theirs.constructor);
}

/** Runs `act` on `object` as one of `net`'s own. If that throws, `object` is as it was. */
function actAsNet(
  object: object,
  ours: object,
  theirs: object,
  initialize: () => void,
  act: () => void,
): void {
  const prototype = Object.getPrototypeOf(object) as object;
  const before = Object.getOwnPropertyDescriptors(object);
  try {
    // Their constructors look at the prototype.
    Object.setPrototypeOf(object, theirs);
    initialize();
    Object.setPrototypeOf(object, prototype);
    takeMethods(object, ours, theirs);
    act();
  } catch (error) {
    Object.setPrototypeOf(object, prototype);
    twins.delete(object);
    for (const key of Reflect.ownKeys(object)) Reflect.deleteProperty(object, key);
    Object.defineProperties(object, before);
    throw error;
  }
}

// Both constructors can be called on an existing object, as old-style subclasses do.
const initializeSocket = net.Socket as unknown as (options: object) => void;
const initializeServer = net.Server as unknown as (options: object) => void;

export function connectAsNet(
  socket: object,
  ours: object,
  options: net.SocketConstructorOpts,
  args: readonly unknown[],
): void {
  const twin = socket as net.Socket;
  const { readableEncoding, readableFlowing, timeout } = twin;
  const readers = twin.listeners('readable') as (() => void)[];
  const initialize = (): void => Reflect.apply(initializeSocket, twin, [options]);
  actAsNet(socket, ours, net.Socket.prototype, initialize, () => {
    if (readableEncoding !== null) twin.setEncoding(readableEncoding);
    if (timeout !== undefined) twin.setTimeout(timeout);
    // What listeners and pause() had done to the stream, done again.
    for (const reader of readers) twin.removeListener('readable', reader).on('readable', reader);
    if (readableFlowing === true) twin.resume();
    else if (readableFlowing === false) twin.pause();
    Reflect.apply(net.Socket.prototype.connect as (...args: unknown[]) => unknown, twin, args);
  });
}

/** For arguments that `net` refuses: throws what it throws. */
export function connectNowhere(args: readonly unknown[]): void {
  const socket = new net.Socket();
  Reflect.apply(socket.connect as (...args: unknown[]) => unknown, socket, args);
  socket.destroy();
}

export function openAsNet(socket: object, ours: object, options: net.SocketConstructorOpts): void {
  const initialize = (): void => Reflect.apply(initializeSocket, socket, [options]);
  actAsNet(socket, ours, net.Socket.prototype, initialize, () => undefined);
}

export function listenAsNet(
  server: object,
  ours: object,
  options: net.ServerOpts,
  unreferenced: boolean,
  args: readonly unknown[],
): void {
  const twin = server as net.Server;
  const initialize = (): void => Reflect.apply(initializeServer, twin, [options]);
  actAsNet(server, ours, net.Server.prototype, initialize, () => {
    if (unreferenced) twin.unref();
    Reflect.apply(net.Server.prototype.listen as (...args: unknown[]) => unknown, twin, args);
  });
}
