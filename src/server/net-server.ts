/** Without the addon: `net.Server`, which must not be told what it would not do. */
import net from 'node:net';
import { normalizeArguments } from '../arguments';
import { missingBecause } from '../binding';
import { refuseOptions } from './place';
import type { ServerConstructor } from './server';

const { prototype } = net.Server;
const listen = prototype.listen as (...args: unknown[]) => unknown;

/** `net.Server` itself, but for a `listen` that looks at its options first. */
function construct(this: unknown, ...args: unknown[]): unknown {
  if (!(this instanceof net.Server)) return Reflect.construct(net.Server, args, construct);
  return Reflect.apply(net.Server as unknown as (...args: unknown[]) => unknown, this, args);
}

Object.setPrototypeOf(construct, net.Server);
construct.prototype = Object.create(prototype, {
  constructor: { value: construct, writable: true, configurable: true },
  listen: {
    value(this: net.Server, ...args: unknown[]): unknown {
      refuseOptions(normalizeArguments(args).options, `needs the addon: ${missingBecause ?? ''}`);
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
