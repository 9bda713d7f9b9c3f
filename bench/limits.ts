import { readFileSync } from 'node:fs';

/** Descriptors a process needs beside its connections: standard streams, loop, IPC, engine. */
const RESERVED = 100;

/** How many descriptors this process, and the ones it starts, may have open. */
export function openFilesLimit(): number {
  try {
    // Node has already raised its soft limit to the hard one, and children inherit it.
    const limit = /^Max open files\s+(\d+|unlimited)/m.exec(
      readFileSync('/proc/self/limits', 'latin1'),
    );
    return limit && limit[1] !== 'unlimited' ? Number(limit[1]) : Infinity;
  } catch {
    return Infinity;
  }
}

/** At most `wanted` connections, fewer where the limit on open files is too low. */
export function affordableConnections(wanted: number, limit = openFilesLimit()): number {
  return Math.max(1, Math.min(wanted, limit - RESERVED));
}
