/**
 * `afunix/register`: sockets and servers of `node:net` that go to a path are served by afunix, in programs that know nothing of it.
 *
 * What does it are `Socket.prototype.connect` and `Server.prototype.listen`: whoever took `net.connect` early, by whatever name, comes
 * through them, and what never does (descriptors, handles from other processes, stdio, terminals) is not touched. The rest of afunix is
 * loaded when the first path is asked for.
 *
 * An option that protects something is followed or refused, even where everything else is `net`'s: with AFUNIX_REGISTER=off, for paths that
 * are left out, without the addon.
 */
import net from 'node:net';
import { isPipeName, normalizeArguments, unpackArguments } from '../arguments';
import { debug, debugging, shown } from '../debug';
import {
  CLIENT_GUARDS,
  guardsAmong,
  guardsOf,
  refuseGuards,
  SERVER_GUARDS,
  type Guards,
} from '../guards';
import { rememberWhatIsMade } from './constructors';
import { pathFilter, patternsIn } from './paths';
import { register, registration, type Registration } from './registration';
// The rest is loaded later, when they may have been replaced.
import '../real-time';
import type * as Taken from '../server/taken';
import type * as Taking from './taking';

type Method = (this: object, ...args: unknown[]) => unknown;

const socketMethods = net.Socket.prototype as unknown as { connect: Method };
const serverMethods = net.Server.prototype as unknown as { listen: Method };

const OFF = 'AFUNIX_REGISTER=off leaves everything to node:net';
const LEFT_OUT = 'AFUNIX_REGISTER_PATHS leaves this path to node:net';
const NO_PATH = 'it is for pathnames and abstract names';
const NOT_ITS_SOCKET =
  'node:net connects sockets of subclasses, of TLS too, and all if a method of net.Socket was replaced; connect one of its own, and give that to tls.connect() as its socket';

/** Without a registration nothing is taken, and what would have to be is refused. */
function install(registered: Registration | null): void {
  const { connect } = socketMethods;
  const { listen } = serverMethods;
  const fits = pathFilter(registered?.paths ?? null);
  let taking: typeof Taking | null | undefined;

  /** What does the work, if it can be done here. */
  function load(): typeof Taking | null {
    if (taking !== undefined) return taking;
    taking = null;
    if (registered === null) return null;
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    const found = require('./taking') as typeof Taking;
    if (found.begin(registered)) taking = found;
    return taking;
  }

  /** Why what goes to `path` cannot be ours; undefined if that is not known here. */
  function whyNot(path: string | undefined): string | undefined {
    if (registered === null) return OFF;
    if (path !== undefined && !fits(path)) return LEFT_OUT;
    return load() === null ? (registered.reason ?? '') : undefined;
  }

  socketMethods.connect = function (...args) {
    const guards = guardsGiven(this, CLIENT_GUARDS, args);
    const path = pathAmong(args);
    if (path !== undefined && fits(path) && load()?.takeSocket(this as net.Socket, guards)) {
      if (registered !== null) registered.sockets += 1;
      if (debugging) debug('register: connect %s', shown(path));
      // It has another prototype by now.
      return (this as net.Socket).connect(...(withGuards(args, guards) as [string]));
    }
    if (guards !== null) {
      refuseGuards(guards, whyNot(path) ?? (path === undefined ? NO_PATH : NOT_ITS_SOCKET));
    }
    return Reflect.apply(connect, this, args);
  };

  serverMethods.listen = function (...args) {
    const guards = guardsGiven(this, SERVER_GUARDS, args);
    const path = pathAmong(args);
    if (guards !== null) {
      const why = whyNot(path);
      if (why !== undefined) refuseGuards(guards, why);
    }
    if (guards !== null || (path !== undefined && fits(path))) {
      const server = this as net.Server;
      if (load()?.servers().takeServer(server, withGuards(args, guards), guards) === true) {
        if (registered !== null) registered.servers += 1;
        if (debugging) debug('register: listen %s', shown(path));
        return this;
      }
    }
    return Reflect.apply(listen, this, args);
  };

  // As those had.
  for (const [ours, theirs] of [
    [socketMethods.connect, connect],
    [serverMethods.listen, listen],
  ] as const) {
    Object.defineProperty(ours, 'name', { value: theirs.name });
    Object.defineProperty(ours, 'length', { value: theirs.length });
  }
}

/** The path that `connect` or `listen` is called with, in whichever form. */
function pathAmong(args: readonly unknown[]): string | undefined {
  // `net.connect` packs its arguments into an array; any other array is an object like others.
  const [first] = unpackArguments(args);
  const path =
    typeof first === 'object' && first !== null ? (first as { path?: unknown }).path : first;
  return isPipeName(path) && path !== '' ? path : undefined;
}

/** What protects a socket or server: what it was made with, and what is given now, which comes first. */
function guardsGiven(
  object: object,
  names: readonly string[],
  args: readonly unknown[],
): Guards | null {
  const [first] = unpackArguments(args);
  const given = guardsAmong(names, first);
  const made = guardsOf(object);
  return given === null || made === null ? (given ?? made) : { ...made, ...given };
}

/** The same arguments; what protects is not read a second time, since a getter may say something else then. */
function withGuards(args: readonly unknown[], guards: Guards | null): readonly unknown[] {
  if (guards === null) return args;
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const { taken } = require('../server/taken') as typeof Taken;
  const { options, callback } = normalizeArguments(unpackArguments(args));
  const rest = args.slice(1).filter((argument) => typeof argument !== 'function');
  return [{ ...taken(options), ...guards }, ...rest, ...(callback === null ? [] : [callback])];
}

if (registration() === undefined) {
  const isOff = process.env['AFUNIX_REGISTER'] === 'off';
  const methods = ['net.Socket.prototype.connect', 'net.Server.prototype.listen'];
  const replaced = [...methods, ...rememberWhatIsMade()];
  const registered: Registration = {
    active: true,
    replaced,
    paths: patternsIn(process.env['AFUNIX_REGISTER_PATHS']),
    sockets: 0,
    servers: 0,
  };
  if (!isOff) register(registered);
  install(isOff ? null : registered);
  if (debugging) debug('register: %s', isOff ? OFF : replaced.join(', '));
}
