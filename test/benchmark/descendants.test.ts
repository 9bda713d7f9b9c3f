/** Redis, nginx and relays that a cell starts belong to it: what they use is not what others use. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { moduleOf } from './bench';

const { descendants } = moduleOf('descendants.js') as { descendants(pid: number): number[] };

const nameOf = (pid: number): string => readFileSync(`/proc/${pid}/comm`, 'latin1').trim();

test('the descendants of a process are its children and theirs, and nobody else', async () => {
  const shell = spawn('sh', ['-c', `sh -c 'sleep 1000 & echo started; wait' & wait`], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const { pid } = shell;
  assert.ok(pid !== undefined);
  await once(shell.stdout, 'data');
  // The shell forks before it runs `sleep`, and the fork bears the shell's name for a moment.
  while (!descendants(pid).some((child) => nameOf(child) === 'sleep'))
    await new Promise(setImmediate);
  assert.deepEqual(descendants(pid).map(nameOf), ['sh', 'sleep']);

  process.kill(-pid, 'SIGKILL');
  await once(shell, 'close');
  assert.deepEqual(descendants(pid), []);
});
