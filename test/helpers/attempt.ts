/** What an action throws, as a value that can be traced. */
export function attempt(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return 'nothing thrown';
}

/** Calls a function with arguments that its types would not allow. */
export function callWith(target: object, method: string, ...parameters: unknown[]): unknown {
  const called: unknown = Reflect.get(target, method);
  if (typeof called !== 'function') throw new Error(`there is no method ${method}`);
  return Reflect.apply(called, target, parameters);
}
