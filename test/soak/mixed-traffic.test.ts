/**
 * Everything at once between two processes, every byte compared: streams in all ways of writing and reading, connections torn
 * off, descriptors, messages, HTTP, threads that end at work. AFUNIX_SOAK_MINUTES=30 makes it a campaign.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import { freshDirectory } from '../helpers/socket-paths';

const minutes = Number(process.env['AFUNIX_SOAK_MINUTES'] ?? '0');
const seconds = minutes > 0 ? minutes * 60 : 3;
const seed = Number(process.env['AFUNIX_SOAK_SEED'] ?? Date.now() % 1_000_000);

interface Report {
  readonly engine: string;
  readonly done?: Record<string, { conversations: number; amount: number }>;
  readonly grown: Record<string, number>;
}

function start(t: TestContext, ...parameters: string[]): ChildProcess {
  const program = path.join(__dirname, 'program.js');
  const child = spawn(process.execPath, [program, ...parameters], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

async function nextLine(child: ChildProcess): Promise<unknown> {
  assert.ok(child.stdout !== null);
  const lines = createInterface(child.stdout);
  const [line] = (await Promise.race([
    once(lines, 'line'),
    once(child, 'exit').then(() => ['null']),
  ])) as [string];
  lines.close();
  return JSON.parse(line);
}

test(`mixed traffic for ${seconds} s, seed ${seed}`, async (t) => {
  const folder = freshDirectory(t);
  const server = start(t, 'serve', folder);
  assert.deepEqual(await nextLine(server), { listening: true });
  const client = start(t, 'converse', folder, String(seconds), String(seed));
  const told = (await nextLine(client)) as Report | null;
  assert.ok(told !== null, 'the connecting end found something wrong, or died');
  server.stdin?.end();
  const served = (await nextLine(server)) as Report | null;
  assert.ok(served !== null, 'the serving end found something wrong, or died');
  t.diagnostic(JSON.stringify({ engine: told.engine, ...told.done }));
  for (const [name, { conversations }] of Object.entries(told.done ?? {})) {
    assert.ok(conversations > 0, `no conversation of the kind '${name}' came to its end`);
  }
  assert.equal(told.grown['socket'] ?? 0, 0, JSON.stringify(told.grown));
  assert.equal(served.grown['socket'] ?? 0, 0, JSON.stringify(served.grown));
});
