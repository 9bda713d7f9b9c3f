/** What the peers of a server can pass beside bytes, as the engine is told. */
import { wrongValue } from '../checks';
import { guardsAmong } from '../guards';
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

/** Throws if a server is to listen with another way than it was made with: what it makes of its connections is settled by then. */
export function checkListenPassing(made: ServerOptions, listening: object): void {
  const { passCredentials } = guardsAmong(['passCredentials'], listening) ?? {};
  if (passCredentials === undefined || passCredentials === made.passCredentials) return;
  const why = 'is an option of createServer(), not of listen()';
  throw wrongValue('options.passCredentials', passCredentials, why);
}

export function passingOf({ maxDescriptors, passCredentials }: ServerOptions): number {
  return (
    (maxDescriptors ? PASS_DESCRIPTORS : 0) |
    (passCredentials ? PASS_CREDENTIALS : 0) |
    (passCredentials === 'pidfd' ? PASS_PIDFDS : 0)
  );
}
