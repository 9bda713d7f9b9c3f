/** What a Unix socket is bound to, as the kernel says it. */
import { requireAddon } from './checks';

/** sun_path, all of it. */
const LONGEST = 108;

/** A pathname, an abstract name behind a NUL, or null. */
export function boundName(fd: number): string | null {
  const name = Buffer.alloc(LONGEST);
  const length = requireAddon('address()').rawName(fd, false, name);
  return length > 0 ? name.toString('utf8', 0, length) : null;
}

/** What `listen()` is told of a listener that is known to be one: with the name, which `net` does not know of a descriptor. */
export function listenerOptions(fd: number): { fd: number; exclusive: true } {
  return Object.assign({ fd, exclusive: true } as const, { address: boundName(fd) });
}
