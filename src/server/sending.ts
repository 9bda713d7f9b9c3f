/**
 * A server that is sent to another process, by `child.send(message, server)` or `process.send(message, server)`, is shared from then on:
 * `node:child_process` asks, with `instanceof`, whether it is a `net.Server`, and sends a copy of its listener then.
 */
import net from 'node:net';
import { callers } from '../caller';
import { answerInstanceOf, isTwin } from '../net-twin';

const CHILD_PROCESS = 'node:internal/child_process';

const isInstance = Function.prototype[Symbol.hasInstance] as (
  this: unknown,
  value: unknown,
) => boolean;

/** What has to happen before a server goes to another process. */
const beforeSending = new WeakMap<object, () => void>();

let answering = false;

function hasInstance(this: unknown, value: unknown): boolean {
  const isServer = isInstance.call(this, value);
  // Subclasses of net.Server inherit this function.
  if (this !== net.Server) return isServer;
  if (!isServer) return isTwin(value, net.Server);
  const prepare = beforeSending.get(value as object);
  if (prepare !== undefined && callers(hasInstance, 1)[0] === CHILD_PROCESS) prepare();
  return true;
}

/** `prepare` is called whenever `server` is about to be sent. */
export function whenSent(server: net.Server, prepare: () => void): void {
  if (!answering) answerInstanceOf(net.Server, hasInstance);
  answering = true;
  beforeSending.set(server, prepare);
}
