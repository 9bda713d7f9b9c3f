/**
 * The two ways in which a library comes to sockets of ours: by the hook that it documents, and by `afunix/register`, which this loads into
 * the test's own process for the paths below folders of one name.
 */
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync } from 'node:fs';
import type { Socket } from 'node:net';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { stats } from 'afunix';
import { folder } from './support';

const REGISTERED = 'registered';

process.env['AFUNIX_REGISTER_PATHS'] = `**/${REGISTERED}/**`;
// eslint-disable-next-line @typescript-eslint/no-require-imports
require('afunix/register');

export type Way = 'hook' | 'register';

export const ways: readonly Way[] = ['hook', 'register'];

export interface Place {
  /** Where sockets are, for servers. */
  readonly folder: string;
  /** The same folder, for who comes in that way. */
  readonly by: Readonly<Record<Way, string>>;
}

/** A fresh folder with two names. */
export function placeFor(t: TestContext): Place {
  const above = folder(t);
  const made = path.join(above, 'hooked');
  const registered = path.join(above, REGISTERED);
  mkdirSync(made, { mode: 0o777 });
  symlinkSync('hooked', registered);
  return { folder: made, by: { hook: made, register: registered } };
}

/** The same test in both ways; `limit` is in seconds. */
export function bothWays(
  name: string,
  run: (t: TestContext, way: Way) => Promise<void>,
  limit = 60,
): void {
  for (const way of ways) {
    test(`${name}, by ${way}`, { timeout: limit * 1000 }, async (t) => run(t, way));
  }
}

/** Runs `work` and sees to it that sockets of ours have carried it. */
export async function onOurs<T>(work: () => Promise<T>): Promise<T> {
  const before = stats();
  const result = await work();
  const after = stats();
  assert.ok(
    after.connected + after.accepted > before.connected + before.accepted,
    'no connection of ours',
  );
  assert.ok(after.bytesRead > before.bytesRead, 'nothing came through a connection of ours');
  return result;
}

export function isOurs(socket: Socket): boolean {
  return 'detach' in socket;
}
