/**
 * What `NODE_DEBUG=afunix` tells on stderr: what becomes of each connection and listener. `NODE_DEBUG=net` tells it, too, because whoever
 * asks for that expects to see what goes to a path, whoever serves it.
 */
import { debuglog } from 'node:util';

const own = debuglog('afunix');
const nets = debuglog('net');

/** Looked at before anything is put together that `debug` is told. */
export const debugging: boolean = own.enabled || nets.enabled;

/** As `console.error()`, behind the section and the process id. */
export function debug(format: string, ...values: unknown[]): void {
  if (own.enabled) own(format, ...values);
  else nets(`afunix: ${format}`, ...values);
}

/** A path as people write it: abstract names begin with '@'. */
export function shown(path: string | undefined): string {
  return path === undefined ? '(a descriptor)' : path.replaceAll('\0', '@');
}
