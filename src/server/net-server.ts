/** Without the addon: `net.Server`, which must not be told what it would not do. */
import net from 'node:net';
import { withAddress } from '../address-string';
import { normalizeArguments } from '../arguments';
import { missingBecause } from '../binding';
import { guardsAmong, guardsOf, rememberGuards, SERVER_GUARDS } from '../guards';
import { rulesOf } from './gate-options';
import { refuseOptions } from './place';
import type { ServerConstructor } from './server';
import { taken } from './taken';

const { prototype } = net.Server;
const listen = prototype.listen as (...args: unknown[]) => unknown;

function remember<T extends object>(server: T, [options]: unknown[]): T {
  rememberGuards(server, guardsAmong(SERVER_GUARDS, options));
  return server;
}

/** `net.Server` itself, but for a `listen` that looks at its options first. */
function construct(this: unknown, ...args: unknown[]): unknown {
  if (!(this instanceof net.Server))
    return remember(Reflect.construct(net.Server, args, construct), args);
  remember(this, args);
  return Reflect.apply(net.Server as unknown as (...args: unknown[]) => unknown, this, args);
}

Object.setPrototypeOf(construct, net.Server);
construct.prototype = Object.create(prototype, {
  constructor: { value: construct, writable: true, configurable: true },
  listen: {
    value(this: net.Server, ...given: unknown[]): unknown {
      const args = withAddress(given);
      const options = taken(normalizeArguments(args).options);
      const made = guardsOf(this) ?? {};
      rulesOf(made, options);
      refuseOptions({ ...options, ...made }, `needs the addon: ${missingBecause ?? ''}`);
      return Reflect.apply(listen, this, args);
    },
    writable: true,
    configurable: true,
  },
}) as net.Server;
Object.defineProperty(construct, 'name', { value: 'Server' });
// Whatever is made by `net` is as good.
Object.defineProperty(construct, Symbol.hasInstance, {
  value(this: unknown, value: unknown): boolean {
    const ordinary = Function.prototype[Symbol.hasInstance].call(this as () => void, value);
    return ordinary || (this === construct && value instanceof net.Server);
  },
});

export const NetServer = construct as unknown as ServerConstructor;
