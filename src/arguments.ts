/** The forms that `connect` and `listen` take, brought to one: an options object and a callback. */

/** Anything a caller may have passed; every field is looked at before it is believed. */
export type LooseOptions = Record<string, unknown>;
export type Callback = () => void;

function toNumber(value: unknown): number | false {
  const number = Number(value);
  return number >= 0 ? number : false;
}

/** A string that isn't a port: `net` takes '8080' for one. */
export function isPipeName(value: unknown): value is string {
  return typeof value === 'string' && toNumber(value) === false;
}

export interface NormalizedArguments {
  readonly options: LooseOptions;
  readonly callback: Callback | null;
}

/** (options[, …][, callback]), (path[, …][, callback]), ([port][, host][, …][, callback]) */
export function normalizeArguments(args: readonly unknown[]): NormalizedArguments {
  const [first, second] = args;
  const last = args.at(-1);
  const callback = typeof last === 'function' ? (last as Callback) : null;
  if (typeof first === 'object' && first !== null) {
    return { options: first as LooseOptions, callback };
  }
  if (args.length === 0) return { options: {}, callback };
  if (isPipeName(first)) return { options: { path: first }, callback };
  const options: LooseOptions = { port: first };
  if (typeof second === 'string') options['host'] = second;
  return { options, callback };
}

const kNormalized = Symbol('normalized');

/** As the one argument of `Socket.prototype.connect`, which is what `net.connect` passes and what patches of it expect. */
export function packArguments({ options, callback }: NormalizedArguments): unknown[] {
  const packed: unknown[] & { [kNormalized]?: true } = [options, callback];
  packed[kNormalized] = true;
  return packed;
}

/** What `packArguments`, or `net._normalizeArgs`, packed; both leave a mark. */
export function unpackArguments(args: readonly unknown[]): readonly unknown[] {
  const [first] = args;
  if (!Array.isArray(first)) return args;
  const packed =
    Object.hasOwn(first, kNormalized) || Object.getOwnPropertySymbols(first).length > 0;
  if (!packed) return args;
  const [options, callback] = first as unknown[];
  return typeof callback === 'function' ? [options, callback] : [options];
}

/** The backlog among positional arguments: (path, backlog) or (port, host, backlog). */
export function backlogOf(args: readonly unknown[]): number {
  return toNumber(args.length > 1 && args[1]) || toNumber(args.length > 2 && args[2]) || 0;
}
