/** Pathnames for sockets, and what the kernel knows about them. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** A fresh directory with a short name, removed after the test. */
export function freshDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'afu-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export function freshPath(t: TestContext): string {
  return join(freshDirectory(t), 's');
}

/** How many sockets of any process are bound to, or were accepted on, a name that starts like this. */
export function socketsNamed(start: string): number {
  const names = readFileSync('/proc/net/unix', 'utf8').split('\n');
  return names.filter((line) => line.includes(` ${start}`)).length;
}
