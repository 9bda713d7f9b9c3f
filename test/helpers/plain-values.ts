/** What untyped programs pass and return: everything that means something else than it looks like. */
import { runInNewContext } from 'node:vm';

/** The value that this source has in a realm of its own: its objects are of none of our classes. */
export function elsewhere(source: string): unknown {
  return runInNewContext(source) as unknown;
}

export interface Named {
  readonly name: string;
  readonly value: unknown;
}

/** Values that are neither `true` nor `false`. */
export const plainValues: readonly Named[] = [
  { name: 'undefined', value: undefined },
  { name: 'null', value: null },
  { name: '0', value: 0 },
  { name: '-0', value: -0 },
  { name: '1', value: 1 },
  { name: '-1', value: -1 },
  { name: '1.5', value: 1.5 },
  { name: 'NaN', value: NaN },
  { name: 'Infinity', value: Infinity },
  { name: '0n', value: 0n },
  { name: "''", value: '' },
  { name: "'0'", value: '0' },
  { name: "'1'", value: '1' },
  { name: "'false'", value: 'false' },
  { name: 'a symbol', value: Symbol('plain') },
  { name: 'a function', value: () => undefined },
  { name: '[]', value: [] },
  { name: '{}', value: {} },
  { name: 'new Boolean(false)', value: Object(false) },
  { name: 'an object of another realm', value: elsewhere('({})') },
  { name: 'an object without a prototype', value: Object.create(null) },
  { name: 'a frozen object', value: Object.freeze({}) },
  { name: 'a proxy', value: new Proxy({}, {}) },
  { name: 'a promise', value: Promise.resolve(false) },
];

export const booleans: readonly Named[] = [
  { name: 'true', value: true },
  { name: 'false', value: false },
];

/** An object whose property `name` cannot be read. */
export function withThrowingGetter(name: string, others: object = {}): object {
  return Object.defineProperty({ ...others }, name, {
    enumerable: true,
    get() {
      throw new RangeError(`${name} cannot be read`);
    },
  });
}
