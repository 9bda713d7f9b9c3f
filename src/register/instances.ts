/**
 * Sockets of ours are `net.Socket`s to programs: by `instanceof`, by `constructor`, and by what anybody adds to the prototype.
 *
 * Of Node's own modules two ask with `instanceof`: `node:tls` would look for a native handle in what it takes for a `net.Socket`, so it
 * hears no and treats the socket as a stream; `node:child_process` is about to send the socket to another process, which takes a
 * native handle, so it is given one.
 */
import net from 'node:net';
import { becomeNetSocket } from '../socket/detaching';
import { SocketMethods } from '../socket/methods';
import { callers } from '../caller';
import { answerInstanceOf, isTwin } from '../net-twin';

const TLS = new Set(['node:_tls_wrap', 'node:internal/tls/wrap']);
const CHILD_PROCESS = 'node:internal/child_process';

const isInstance = Function.prototype[Symbol.hasInstance] as (
  this: unknown,
  value: unknown,
) => boolean;

function hasInstance(this: unknown, value: unknown): boolean {
  if (!isInstance.call(this, value)) return this === net.Socket && isTwin(value, net.Socket);
  // Subclasses of net.Socket inherit this function.
  if (this !== net.Socket || !(value instanceof SocketMethods)) return true;
  const [caller = ''] = callers(hasInstance, 1);
  if (TLS.has(caller)) return false;
  if (caller === CHILD_PROCESS) becomeNetSocket(value);
  return true;
}

/** Puts our methods in front of net's, of which they need none. */
export function deriveFromNet(): void {
  const ours = SocketMethods.prototype;
  Object.setPrototypeOf(ours, net.Socket.prototype);
  const hidden = { configurable: true, enumerable: false };
  Object.defineProperty(ours, 'constructor', { ...hidden, value: net.Socket, writable: true });
  // net's own would be null for some sockets and undefined for others.
  Object.defineProperty(ours, '_handle', { ...hidden, get: () => undefined });
  answerInstanceOf(net.Socket, hasInstance);
}
