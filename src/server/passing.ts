/** What the peers of a server can pass beside bytes, as the engine is told. */
import { wrongValue } from '../checks';
import type { ServerOptions } from './options';

/** Bits; `native/binding/addon.cc` has the same. */
const PASS_DESCRIPTORS = 1;
const PASS_CREDENTIALS = 2;
const PASS_PIDFDS = 4;

/** Throws for what is no way to pass credentials. */
export function checkPassing({ passCredentials }: ServerOptions): void {
  if (passCredentials === undefined || typeof passCredentials === 'boolean') return;
  if ((passCredentials as unknown) === 'pidfd') return;
  throw wrongValue('options.passCredentials', passCredentials, "must be a boolean or 'pidfd'");
}

export function passingOf({ maxDescriptors, passCredentials }: ServerOptions): number {
  return (
    (maxDescriptors ? PASS_DESCRIPTORS : 0) |
    (passCredentials ? PASS_CREDENTIALS : 0) |
    (passCredentials === 'pidfd' ? PASS_PIDFDS : 0)
  );
}
