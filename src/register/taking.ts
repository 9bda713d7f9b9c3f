/** The part of `afunix/register` that needs the addon. */
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';
import { missingBecause, native } from '../binding';
import { configureOnce } from '../configure';
import { deriveFromNet } from './instances';
import type { Registration } from './registration';
import type * as Servers from './servers';

export { takeSocket } from './sockets';

/** What a program that only connects need not load. */
export function servers(): typeof Servers {
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  return require('./servers') as typeof Servers;
}

const WARNED = 'afunix/register has warned';

/** False if it can't be done: `net` goes on as it was, and whoever looks at warnings is told once in this process. */
export function begin(registered: Registration): boolean {
  const because = whyNot();
  if (because === undefined) {
    deriveFromNet();
    registered.replaced = [...registered.replaced, 'net.Socket[Symbol.hasInstance]'];
    return true;
  }
  registered.active = false;
  registered.replaced = [];
  registered.reason = because;
  if (getEnvironmentData(WARNED) !== true) {
    // Worker threads that are made from now on know it, too.
    setEnvironmentData(WARNED, true);
    process.emitWarning(`afunix/register does nothing, and node:net goes on: ${because}`, {
      type: 'AfunixWarning',
      code: native === null ? 'AFUNIX_NO_ADDON' : 'AFUNIX_SETTINGS',
    });
  }
  return false;
}

/** A program that knows nothing of it shall not fail because of it. */
function whyNot(): string | undefined {
  if (native === null) return missingBecause ?? 'there is no addon';
  try {
    configureOnce();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
