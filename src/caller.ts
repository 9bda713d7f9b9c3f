/** Whose code called: the few modules of Node's own that need something else than programs do are known by their file names. */

interface Site {
  getFileName(): string | null;
}

type Prepare = typeof Error.prepareStackTrace;

/** File names of the functions that are running, the caller of `below` first. */
export function callers(below: (...args: never[]) => unknown, most: number): readonly string[] {
  const { prepareStackTrace, stackTraceLimit } = Error;
  const holder: { stack?: readonly string[] } = {};
  try {
    Error.stackTraceLimit = most;
    const sites: Prepare = (_, list) => (list as Site[]).map((site) => site.getFileName() ?? '');
    Error.prepareStackTrace = sites;
    Error.captureStackTrace(holder, below);
    // It is made when it is looked at.
    return holder.stack ?? [];
  } finally {
    Error.prepareStackTrace = prepareStackTrace;
    Error.stackTraceLimit = stackTraceLimit;
  }
}
