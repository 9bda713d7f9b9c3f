/** What a pool of connections has to know of `authorize`: who was asked about the server of one has said nothing about another. */

const numbers = new WeakMap<object, number>();
let last = 0;

/** For the name of a pool: the same for the same `authorize`, and for nothing else. Empty where there is none. */
export function authorizeKey(options: unknown): string {
  const { authorize } = (options ?? {}) as { readonly authorize?: unknown };
  if (authorize === undefined) return '';
  const isObject = typeof authorize === 'function' || typeof authorize === 'object';
  // What is no policy is refused by whoever connects; until then it shares with nobody.
  if (!isObject || authorize === null) return `:authorize#${(last += 1)}`;
  let number = numbers.get(authorize);
  if (number === undefined) numbers.set(authorize, (number = last += 1));
  return `:authorize#${number}`;
}
