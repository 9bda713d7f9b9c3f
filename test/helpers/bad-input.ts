/** What all bad input has in common: Node's code for it, a hint from afunix, and nothing left open. */
import assert from 'node:assert/strict';
import type { Server, Socket } from 'node:net';
import type { Stage } from '../conformance/scenario';
import { happens } from './sockets';

export interface Failure extends Error {
  readonly code?: string;
  readonly errno?: number;
  readonly syscall?: string;
  readonly address?: string;
  readonly hint?: unknown;
}

/** A hint is one sentence in words, with the parts that a person needs in order to put it right. */
export function assertHint(
  stage: Stage,
  error: Failure,
  ...parts: readonly (string | number)[]
): void {
  if (stage.implementation !== 'afunix') return;
  const { hint } = error;
  assert.ok(typeof hint === 'string', `no hint: ${error.message}`);
  assert.match(hint, /^\S+(?: \S+){2,}$/u, `not a sentence: '${hint}'`);
  for (const part of parts) {
    assert.ok(hint.includes(String(part)), `nothing of '${part}' in the hint '${hint}'`);
  }
}

/** The error of a socket that cannot connect, after its 'close'. */
export async function failureOf(socket: Socket): Promise<Failure> {
  const closed = happens(socket, 'close');
  const [error] = await happens(socket, 'error');
  await closed;
  assert.equal(socket.destroyed, true);
  return error as Failure;
}

/** The error of a server that cannot listen. */
export async function listenFailureOf(server: Server): Promise<Failure> {
  const [error] = await happens(server, 'error');
  assert.equal(server.listening, false);
  return error as Failure;
}

export function connectFailure(stage: Stage, address: string): Promise<Failure> {
  return failureOf(stage.net.connect(address));
}

export function listenFailure(stage: Stage, address: string): Promise<Failure> {
  const server = stage.net.createServer();
  const failed = listenFailureOf(server);
  server.listen(address);
  return failed;
}
