/** The part of `afunix/register` that needs the addon. */
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';
import { missingBecause, native } from '../binding';
import { configureOnce } from '../configure';
import { deriveFromNet } from './instances';
import type { Registration } from './registration';

export { takeServer } from './servers';
export { takeSocket } from './sockets';

const WARNED = 'afunix/register has warned';

/** False if there is no addon: `net` goes on as it was, and whoever looks at warnings is told once in this process. */
export function begin(registered: Registration): boolean {
  if (native !== null) {
    configureOnce();
    deriveFromNet();
    registered.replaced = [...registered.replaced, 'net.Socket[Symbol.hasInstance]'];
    return true;
  }
  registered.active = false;
  registered.replaced = [];
  if (missingBecause !== undefined) registered.reason = missingBecause;
  if (getEnvironmentData(WARNED) !== true) {
    // Worker threads that are made from now on know it, too.
    setEnvironmentData(WARNED, true);
    process.emitWarning(`afunix/register does nothing, and node:net goes on: ${missingBecause}`, {
      type: 'AfunixWarning',
      code: 'AFUNIX_NO_ADDON',
    });
  }
  return false;
}
