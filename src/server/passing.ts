/** What the peers of a server can pass beside bytes, as the engine is told. */
import type { ServerOptions } from './options';

/** Bits; `native/binding/addon.cc` has the same. */
const PASS_DESCRIPTORS = 1;
const PASS_CREDENTIALS = 2;

export function passingOf({ maxDescriptors, passCredentials }: ServerOptions): number {
  return (maxDescriptors ? PASS_DESCRIPTORS : 0) | (passCredentials ? PASS_CREDENTIALS : 0);
}
