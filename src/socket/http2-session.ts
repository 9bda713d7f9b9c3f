/**
 * A client session of `node:http2` over a socket that is on its way. Over one of libuv's it waits until that is connected; any other stream
 * it takes for connected, and says so, even if nobody listens or the server is refused.
 */
import type { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { nextTick } from '../real-time';

interface Session extends EventEmitter {
  readonly alpnProtocol: unknown;
  goaway(): void;
}

/** Sessions whose event is held back. */
const held = new WeakSet<Session>();

/** `node:http2` notes on a socket which session it has, by whatever key, and then pauses it. */
function sessionOf(socket: Duplex): Session | undefined {
  for (const key of Reflect.ownKeys(socket)) {
    const { value } = Object.getOwnPropertyDescriptor(socket, key) as { value?: Session | null };
    if (typeof value?.goaway === 'function' && 'alpnProtocol' in value) return value;
  }
  return undefined;
}

/** To be called when a socket is paused while it connects. */
export function holdSession(socket: Duplex & { readonly connecting: boolean }): void {
  const session = sessionOf(socket);
  if (session === undefined || held.has(session)) return;
  held.add(session);
  const { emit } = session;
  let told: readonly unknown[] | null = null;
  session.emit = (event: string | symbol, ...args: unknown[]): boolean => {
    if (event !== 'connect' || !socket.connecting) {
      return emit.call(session, event, ...args);
    }
    told = args;
    return session.listenerCount('connect') > 0;
  };
  const release = (): void => {
    Reflect.deleteProperty(session, 'emit');
    const args = told;
    if (args !== null) nextTick(() => session.emit('connect', ...args));
  };
  socket.once('connect', release);
}
