/**
 * A `net.Socket` that goes to a path becomes one of ours, in place: with its listeners, its stream's state and whatever its user has put
 * on it. It can go to a port later, see net-twin.ts.
 */
import net from 'node:net';
import type { OnReadOpts } from 'node:net';
import { expectationOf } from '../credentials/expectation';
import { kExpectation, SocketMethods } from '../socket/methods';
import { becomeSocket } from '../socket/socket';
import type { SocketOptions } from '../socket/options';
import { socketMethodsThen } from './registration';

type Fields = net.Socket & { readonly [field: string | symbol]: unknown };

const netMethods = net.Socket.prototype;

/** `net` keeps the option `onread` behind symbols; found by what one socket has that has it. */
interface OnReadSymbols {
  readonly buffer: symbol;
  readonly callback: symbol;
  readonly generate: symbol;
}

function onReadSymbols(): OnReadSymbols | undefined {
  const buffer = Buffer.alloc(1);
  const generate = (): Buffer => buffer;
  const callback = (): boolean => true;
  const withBuffer = new net.Socket({ onread: { buffer, callback } } as never) as Fields;
  const withFunction = new net.Socket({
    onread: { buffer: generate, callback },
  } as never) as Fields;
  const holds = (socket: Fields, value: unknown): symbol | undefined =>
    Object.getOwnPropertySymbols(socket).find((symbol) => socket[symbol] === value);
  const found = {
    buffer: holds(withBuffer, buffer),
    callback: holds(withBuffer, callback),
    generate: holds(withFunction, generate),
  };
  const complete = Object.values(found).every((symbol) => symbol !== undefined);
  return complete ? (found as OnReadSymbols) : undefined;
}

const symbols = onReadSymbols();

/** What `net` itself listens for on a socket of its own. */
const netEndListener = new net.Socket().listeners('end')[0] as () => void;

/** Methods that ours stand in front of. */
const shadowed = Object.entries(socketMethodsThen).filter(
  ([name, { value }]) =>
    typeof value === 'function' &&
    !['constructor', 'connect'].includes(name) &&
    Object.hasOwn(SocketMethods.prototype, name),
);

/** Somebody has replaced methods of `net.Socket`, and expects them to be called: then sockets have to stay what they are. */
export function isPatched(): boolean {
  const methods = netMethods as unknown as Record<string, unknown>;
  for (const [name, { value }] of shadowed) if (methods[name] !== value) return true;
  return false;
}

/**
 * Turns it into one of ours, if it is an ordinary one without a connection. Those of a subclass stay: its methods may call `super`'s,
 * which are net's.
 */
export function takeSocket(socket: net.Socket, guards: object | null): boolean {
  if (Object.getPrototypeOf(socket) !== netMethods || symbols === undefined || isPatched())
    return false;
  const fields = socket as Fields;
  if (Boolean(fields['_handle']) || fields.connecting) return false;
  const { timeout } = socket;
  // Stops their timer; the listeners stay.
  if (timeout !== undefined && timeout > 0) socket.setTimeout(0);
  const options = optionsOf(fields, symbols);
  const expectation = expectationOf(guards ?? {});
  becomeSocket(socket, options, netEndListener);
  // It holds wherever it goes later, too.
  if (expectation !== null) (socket as unknown as SocketMethods)[kExpectation] = expectation;
  moveReferences(socket);
  if (timeout !== undefined && timeout > 0) socket.setTimeout(timeout);
  return true;
}

function optionsOf(socket: Fields, { buffer, callback, generate }: OnReadSymbols): SocketOptions {
  const options: SocketOptions = {
    allowHalfOpen: socket.allowHalfOpen,
    readableHighWaterMark: socket.readableHighWaterMark,
    writableHighWaterMark: socket.writableHighWaterMark,
  };
  if (typeof socket[callback] === 'function') {
    options.onread = {
      buffer: (socket[generate] ?? socket[buffer]) as OnReadOpts['buffer'],
      callback: socket[callback] as OnReadOpts['callback'],
    };
  }
  return options;
}

/** ref() and unref() before connect() are done again on 'connect': by ours from now on. */
function moveReferences(socket: net.Socket): void {
  for (const name of ['ref', 'unref'] as const) {
    const theirs = netMethods[name] as () => void;
    const ours = SocketMethods.prototype[name] as () => void;
    while (socket.listeners('connect').includes(theirs)) {
      socket.off('connect', theirs);
      socket.once('connect', ours);
    }
  }
}
