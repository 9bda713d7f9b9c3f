/** Whose code called: the few modules of Node's own that need something else than programs do are known by their file names. */

interface Site {
  getFileName(): string | null;
}

type Prepare = typeof Error.prepareStackTrace;

/** As a stack has them: `at name (file:line:column)`. */
const LINE = /^ {4}at (?:.* \()?(.+?):\d+:\d+\)?$/;

/**
 * The same where nobody may change `Error` (`--frozen-intrinsics`, SES): out of the text of a stack, which has ten lines or what somebody has
 * said before.
 */
function callersInText(below: (...args: never[]) => unknown, most: number): readonly string[] {
  const holder: { stack?: unknown } = {};
  Error.captureStackTrace(holder, below);
  const { stack } = holder;
  // Somebody may have made something else of it.
  if (typeof stack !== 'string') return [];
  const files = stack.split('\n').flatMap((line) => LINE.exec(line)?.[1] ?? []);
  return files.slice(0, most);
}

/** File names of the functions that are running, the caller of `below` first. */
export function callers(below: (...args: never[]) => unknown, most: number): readonly string[] {
  const { prepareStackTrace, stackTraceLimit } = Error;
  const sites: Prepare = (_, list) => (list as Site[]).map((site) => site.getFileName() ?? '');
  if (!Reflect.set(Error, 'prepareStackTrace', sites)) return callersInText(below, most);
  const holder: { stack?: readonly string[] } = {};
  try {
    Reflect.set(Error, 'stackTraceLimit', most);
    Error.captureStackTrace(holder, below);
    // It is made when it is looked at.
    return holder.stack ?? [];
  } finally {
    Error.prepareStackTrace = prepareStackTrace;
    Reflect.set(Error, 'stackTraceLimit', stackTraceLimit);
  }
}
