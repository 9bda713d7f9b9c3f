/** A text of 3 MB goes to a server line by line and comes back line by line, for 10 clients at once. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import type { Server, Socket } from 'node:net';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import net from 'afunix';
import {
  abstractName,
  address,
  happens,
  linesOf,
  listening,
  readLines,
  send,
  sha256,
} from './support';

const SIZE = 3 * 1024 * 1024;
const CLIENTS = 10;

function lineServer(): Server {
  return net.createServer({ allowHalfOpen: true }, (socket) => {
    readLines(socket, (line) => socket.write(`${line}\n`)).then(
      () => socket.end(),
      (error: unknown) => socket.destroy(error as Error),
    );
  });
}

/** Sends all lines and compares every one that comes back; a different seed is a different text. */
async function talk(socket: Socket, seed: number): Promise<void> {
  const lines = linesOf(SIZE, seed);
  const sending = send(
    socket,
    (function* () {
      for (const line of lines) yield `${line}\n`;
    })(),
  );
  let next = 0;
  await Promise.all([
    sending,
    readLines(socket, (line) => {
      if (line !== lines[next]) {
        assert.fail(
          `client ${seed}, line ${next + 1} of ${lines.length}: ` +
            `sent ${Buffer.byteLength(lines[next] ?? '')} bytes, ${sha256(lines[next] ?? '')}, ` +
            `got ${Buffer.byteLength(line)} bytes, ${sha256(line)}`,
        );
      }
      next += 1;
      return undefined;
    }),
  ]);
  assert.equal(next, lines.length, `client ${seed}: lines that came back`);
}

async function allTalk(to: string): Promise<void> {
  await Promise.all(
    Array.from({ length: CLIENTS }, (_, index) => {
      const socket = net.connect(to);
      return talk(socket, index + 1).finally(() => socket.destroy());
    }),
  );
}

test('10 clients and their server in one process', { timeout: 60_000 }, async (t) => {
  const path = address(t);
  await listening(t, lineServer(), path);
  await allTalk(path);
});

test('the same over an abstract name', { timeout: 60_000 }, async (t) => {
  const name = abstractName();
  await listening(t, lineServer(), name);
  await allTalk(name);
});

test('10 clients, and the server in another process', { timeout: 60_000 }, async (t) => {
  const path = address(t);
  await serverProcess(t, path);
  await allTalk(path);
});

async function serverProcess(t: TestContext, address: string): Promise<void> {
  const child = fork(path.join(__dirname, 'end-program.js'), ['lines', 'afunix', address]);
  t.after(() => child.kill('SIGKILL'));
  await happens(child, 'message');
}
