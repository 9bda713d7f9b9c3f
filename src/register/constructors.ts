/**
 * What servers and sockets of `net` are made with, and what it does not keep: the options that protect something. So those that make them
 * have stand-ins, which remember these for `connect()` and `listen()`. Of what others derive from `net.Server`, `http.Server` alone passes on
 * only the options that it knows.
 */
import type Http from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import {
  CLIENT_GUARDS,
  guardsAmong,
  refuseGuards,
  rememberGuards,
  SERVER_GUARDS,
  type Guards,
} from '../guards';
import type * as Caller from '../caller';
import { tellPoolsApart } from './pools';

type Make = (this: unknown, ...args: unknown[]) => unknown;
type Exports = Record<string, unknown>;

/** To be called with and without `new`, as a base class, and by old-style subclasses, as `original` is. */
function standIn(original: Make, guards: readonly string[]): Make {
  const made = function (this: unknown, ...args: unknown[]): unknown {
    const given = guardsAmong(guards, args[0]);
    if (given !== null && guards === CLIENT_GUARDS) refuseConnected(given, args[0] as Exports);
    const result: unknown =
      new.target === undefined
        ? Reflect.apply(original, this, args)
        : Reflect.construct(original, args, new.target);
    const object = result ?? this;
    if (typeof object === 'object' && object !== null) {
      rememberGuards(object, given);
    }
    return result;
  };
  // Its name, its length, its prototype.
  Object.defineProperties(made, Object.getOwnPropertyDescriptors(original));
  return Object.setPrototypeOf(made, Object.getPrototypeOf(original) as object) as Make;
}

/** Who is connected already is asked about by nobody. */
function refuseConnected(given: Guards, { fd, handle }: Exports): void {
  if (fd === undefined && handle === undefined) return;
  refuseGuards(given, 'it is asked while a socket connects, and this one is connected');
}

const TLS = new Set(['node:_tls_wrap', 'node:internal/tls/wrap']);
const NOT_OVER_TLS =
  'node:tls connects by itself, or is given a socket; connect that by net.connect(), which follows it';

/** Of what it is told `tls.connect()` asks for this first, and drops what is inherited, and all of it if it is given a socket. */
function refuseForTls(exports: { _normalizeArgs: Make }): void {
  const { _normalizeArgs: original } = exports;
  exports._normalizeArgs = function _normalizeArgs(args, ...rest) {
    for (const options of args as readonly unknown[]) {
      const given = guardsAmong(CLIENT_GUARDS, options);
      if (given === null) continue;
      // eslint-disable-next-line @typescript-eslint/no-require-imports
      const { callers } = require('../caller') as typeof Caller;
      const [caller = ''] = callers(exports._normalizeArgs, 1);
      if (TLS.has(caller)) refuseGuards(given, NOT_OVER_TLS);
    }
    return Reflect.apply(original, this, [args, ...rest]);
  };
}

/** Puts a stand-in wherever the function is exported, by whatever name. */
function replace(exports: Exports, name: string, guards: readonly string[]): void {
  const original = exports[name] as Make & { readonly prototype?: { constructor: unknown } };
  const made = standIn(original, guards);
  const { prototype } = original;
  if (prototype?.constructor === original) {
    const { enumerable } = Object.getOwnPropertyDescriptor(prototype, 'constructor') ?? {};
    Object.defineProperty(prototype, 'constructor', {
      value: made,
      writable: true,
      configurable: true,
      enumerable: enumerable ?? false,
    });
  }
  for (const [key, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(exports))) {
    if (descriptor.value === original) exports[key] = made;
  }
}

/** Names of what it has replaced. */
export function rememberWhatIsMade(): readonly string[] {
  const servers = ['Server', 'createServer'];
  replace(net, 'Socket', CLIENT_GUARDS);
  refuseForTls(net as unknown as { _normalizeArgs: Make });
  for (const name of servers) replace(net, name, SERVER_GUARDS);
  // Its classes are derived from those of `net`, as they are when it is loaded.
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const http = require('node:http') as typeof Http;
  for (const name of servers) replace(http, name, SERVER_GUARDS);
  const pools = tellPoolsApart(http);
  syncBuiltinESMExports();
  return [
    'net.Socket',
    'net.Server',
    'net.createServer',
    'net._normalizeArgs',
    'http.Server',
    'http.createServer',
    ...pools,
  ];
}
