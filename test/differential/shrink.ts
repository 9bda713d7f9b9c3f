/** Makes a program shorter, as long as it still shows what it showed. Works on any plain data. */

type Plain =
  null | boolean | number | string | readonly Plain[] | { readonly [key: string]: Plain };

/** Tries at most so many programs. */
const MOST_TRIES = 600;

export async function shrink<T>(program: T, shows: (candidate: T) => Promise<boolean>): Promise<T> {
  let best = program as unknown as Plain;
  let tries = 0;
  const tried = new Set<string>();
  for (let again = true; again;) {
    again = false;
    for (const candidate of smaller(best)) {
      const text = JSON.stringify(candidate);
      if (tried.has(text)) continue;
      tried.add(text);
      tries += 1;
      if (tries > MOST_TRIES) return best as unknown as T;
      if (!(await shows(candidate as unknown as T))) continue;
      best = candidate;
      again = true;
      break;
    }
  }
  return best as unknown as T;
}

/** Everything that is a little less than `value`, the largest steps first. */
function* smaller(value: Plain): Generator<Plain> {
  if (Array.isArray(value)) {
    yield* fewer(value as readonly Plain[]);
    for (const [index, element] of (value as readonly Plain[]).entries())
      for (const less of smaller(element)) yield replaced(value as readonly Plain[], index, less);
  } else if (typeof value === 'object' && value !== null) {
    const fields = value as { readonly [key: string]: Plain };
    for (const key of Object.keys(fields)) {
      if (optional.has(key) && !(key === 'size' && needsSize(fields))) {
        const { [key]: _, ...rest } = fields;
        yield rest;
      }
    }
    for (const [key, field] of Object.entries(fields)) {
      const simplest = simple[key];
      if (simplest !== undefined && field !== simplest) yield { ...fields, [key]: simplest };
      for (const less of smaller(field)) yield { ...fields, [key]: less };
    }
  } else if (typeof value === 'number' && value > 1) {
    yield 1;
    yield Math.floor(value / 2);
    yield value - 1;
  }
}

function* fewer(list: readonly Plain[]): Generator<readonly Plain[]> {
  for (
    let size = Math.ceil(list.length / 2);
    size >= 1;
    size = size === 1 ? 0 : Math.ceil(size / 2)
  )
    for (let start = 0; start < list.length; start += size)
      yield [...list.slice(0, start), ...list.slice(start + size)];
  // What is done later may be done at once.
  for (const [index, element] of list.entries()) {
    const inner = (element as { readonly actions?: Plain } | null)?.actions;
    const deferred = (element as { readonly do?: Plain } | null)?.do === 'later';
    if (deferred && Array.isArray(inner))
      yield [...list.slice(0, index), ...(inner as readonly Plain[]), ...list.slice(index + 1)];
  }
}

function replaced(list: readonly Plain[], index: number, value: Plain): readonly Plain[] {
  return [...list.slice(0, index), value, ...list.slice(index + 1)];
}

function needsSize(fields: { readonly [key: string]: Plain }): boolean {
  return fields['do'] !== 'end' && fields['do'] !== 'read';
}

/** What may be left out. */
const optional = new Set(['allowHalfOpen', 'pauseOnConnect', 'highWaterMark', 'onread', 'size']);

/** What is easiest to read. */
const simple: Readonly<Record<string, Plain>> = {
  form: 'buffer',
  callback: false,
  error: false,
  handlesErrors: true,
  pathname: true,
  watch: 'listeners',
  loop: 'turns',
  atOnce: false,
  then: 'quiet',
  by: 'connect',
  generated: false,
  returns: 'true',
};
