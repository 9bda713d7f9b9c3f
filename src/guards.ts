/**
 * Options that protect something. Whoever is given one and cannot follow it has to say so with an error: a guard that is silently not there
 * is worse than none.
 */
import type * as Errors from './errors';

/** How the socket file is made. */
export const FILE_GUARDS = ['mode', 'uid', 'gid', 'stale', 'checkDirectory'] as const;

/** Of servers: when they are made or when they listen. */
export const SERVER_GUARDS = [
  ...FILE_GUARDS,
  'authorize',
  'maxConnectionsPerUid',
  'maxUnauthorized',
  'authorizeTimeout',
  'passCredentials',
] as const;

/** Of sockets: when they are made or when they connect. */
export const CLIENT_GUARDS = ['authorize', 'authorizeTimeout'] as const;

export type Guards = Readonly<Record<string, unknown>>;

/** Those of `names` that are given, each read once, inherited ones too; null if there are none. */
export function guardsAmong(names: readonly string[], options: unknown): Guards | null {
  if (typeof options !== 'object' || options === null) return null;
  let found: Record<string, unknown> | null = null;
  for (const name of names) {
    const value = (options as Guards)[name];
    // Who does not want to know who wrote what loses nothing.
    if (value === undefined || (name === 'passCredentials' && value === false)) continue;
    found ??= {};
    found[name] = value;
  }
  return found;
}

/** Throws if there are any. `why` goes on from "authorize has no effect here". */
export function refuseGuards(guards: Guards | null, why: string): void {
  if (guards === null) return;
  // `afunix/register` is loaded at the start of every program, and few are refused something.
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const { cannotGuard } = require('./errors') as typeof Errors;
  const error = cannotGuard(Object.keys(guards).join(', '), why);
  Error.captureStackTrace(error, refuseGuards);
  throw error;
}

/** Throws if there are any behind the first argument, which is where options are: `net` looks at no other. */
export function refuseGuardsBehind(names: readonly string[], args: readonly unknown[]): void {
  for (let i = 1; i < args.length; ++i) {
    refuseGuards(guardsAmong(names, args[i]), 'options are the first argument');
  }
}

const kMade = Symbol.for('afunix.guards');

const everywhere = globalThis as { [kMade]?: WeakMap<object, Guards> };

/** Kept where every copy of this package finds it: one may serve what another one has seen made. */
function memory(): WeakMap<object, Guards> {
  if (everywhere[kMade] === undefined) {
    Object.defineProperty(everywhere, kMade, { value: new WeakMap(), configurable: true });
  }
  return everywhere[kMade] as WeakMap<object, Guards>;
}

const made = memory();

/** `net` does not keep what a server or socket of its own was made with. */
export function rememberGuards(object: object, guards: Guards | null): void {
  if (guards !== null) made.set(object, { ...made.get(object), ...guards });
}

/** What one of `net`'s was made with; null where nobody saw it made, or nothing protects it. */
export function guardsOf(object: object): Guards | null {
  return made.get(object) ?? null;
}
