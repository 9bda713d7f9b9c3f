/**
 * `afunix/register`: sockets and servers of `node:net` that go to a path are served by afunix, in programs that know nothing of it.
 *
 * Nothing that `net` exports is replaced, only `Socket.prototype.connect` and `Server.prototype.listen`: whoever took `net.connect` early,
 * by whatever name, comes through them, and what never does (descriptors, handles from other processes, stdio, terminals) is not
 * touched. The rest of afunix is loaded when the first path is asked for.
 */
import net from 'node:net';
import { isPipeName } from '../arguments';
import { debug, debugging, shown } from '../debug';
import { pathFilter, patternsIn } from './paths';
import { register, registration, type Registration } from './registration';
import type * as Taking from './taking';

type Method = (this: object, ...args: unknown[]) => unknown;

const socketMethods = net.Socket.prototype as unknown as { connect: Method };
const serverMethods = net.Server.prototype as unknown as { listen: Method };

function install(registered: Registration): void {
  const { connect } = socketMethods;
  const { listen } = serverMethods;
  const fits = pathFilter(registered.paths);
  let taking: typeof Taking | null | undefined;

  /** What does the work, if it can be done here. */
  function load(): typeof Taking | null {
    if (taking !== undefined) return taking;
    taking = null;
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    const found = require('./taking') as typeof Taking;
    if (found.begin(registered)) taking = found;
    return taking;
  }

  function forUs(args: readonly unknown[]): boolean {
    const path = pathAmong(args);
    return path !== undefined && fits(path);
  }

  socketMethods.connect = function (...args) {
    if (forUs(args) && load()?.takeSocket(this as net.Socket) === true) {
      registered.sockets += 1;
      if (debugging) debug('register: connect %s', shown(pathAmong(args)));
      // It has another prototype by now.
      return (this as net.Socket).connect(...(args as [string]));
    }
    return Reflect.apply(connect, this, args);
  };

  serverMethods.listen = function (...args) {
    if (forUs(args)) {
      if (
        load()
          ?.servers()
          .takeServer(this as net.Server, args) === true
      ) {
        registered.servers += 1;
        if (debugging) debug('register: listen %s', shown(pathAmong(args)));
        return this;
      }
    }
    return Reflect.apply(listen, this, args);
  };

  // As those had.
  Object.defineProperty(socketMethods.connect, 'name', { value: 'connect' });
  Object.defineProperty(serverMethods.listen, 'name', { value: 'listen' });
  if (debugging) debug('register: %s', registered.replaced.join(', '));
}

/** The path that `connect` or `listen` is called with, in whichever form. */
function pathAmong(args: readonly unknown[]): string | undefined {
  let [first] = args;
  // `net.connect` packs its arguments into an array.
  if (Array.isArray(first)) first = (first as unknown[])[0];
  const path =
    typeof first === 'object' && first !== null ? (first as { path?: unknown }).path : first;
  return isPipeName(path) && path !== '' ? path : undefined;
}

if (registration() === undefined && process.env['AFUNIX_REGISTER'] !== 'off') {
  const registered: Registration = {
    active: true,
    replaced: ['net.Socket.prototype.connect', 'net.Server.prototype.listen'],
    paths: patternsIn(process.env['AFUNIX_REGISTER_PATHS']),
    sockets: 0,
    servers: 0,
  };
  register(registered);
  install(registered);
}
