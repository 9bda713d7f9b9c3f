/** What the tests of afunix/raw share: pairs, bytes, and how a call fails. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { type RawSocketType, RawSocket } from 'afunix/raw';

export const types: readonly RawSocketType[] = ['stream', 'seqpacket'];

/** Closed after the test, whatever it did to them. */
export function pair(t: TestContext, type: RawSocketType): [RawSocket, RawSocket] {
  const both = RawSocket.socketpair(type);
  t.after(() => both.forEach((socket) => socket.close()));
  return both;
}

/** A listening socket, one that is connected to it, and the accepted one. */
export function triple(
  t: TestContext,
  type: RawSocketType,
): Record<'listener' | 'client' | 'accepted', RawSocket> {
  const listener = RawSocket.socket(type);
  listener.bind();
  listener.listen();
  const client = RawSocket.socket(type);
  assert.equal(client.connect(listener.getsockname()), true);
  const accepted = listener.accept();
  assert.ok(accepted !== null);
  t.after(() => [listener, client, accepted].forEach((socket) => socket.close()));
  return { listener, client, accepted };
}

export const bytes = (text: string): Uint8Array => Buffer.from(text);

/** The next message, as text; what `recv` returned if it was not a message. */
export function receiveText(socket: RawSocket, room = 256): string | number {
  const memory = Buffer.alloc(room);
  const count = socket.recv(memory);
  return count > 0 ? memory.toString('utf8', 0, count) : count;
}

export interface Failure {
  readonly code?: string;
  readonly syscall?: string;
  readonly errno?: number;
  readonly message?: string;
}

/** Demands that `action` throws such an error. */
export function fails(action: () => unknown, expected: Failure): void {
  assert.throws(action, (error: Failure) => {
    for (const [key, value] of Object.entries(expected)) {
      assert.equal(error[key as keyof Failure], value, String(error));
    }
    if (!String(error.code).startsWith('ERR_')) {
      assert.ok(Number(error.errno) < 0, 'errno is negative');
      assert.equal(typeof error.syscall, 'string');
    }
    return true;
  });
}

/** Whether descriptor `fd` of this process is close-on-exec. */
export function isCloseOnExec(fd: number): boolean {
  const [, flags = '0'] = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))!;
  return (parseInt(flags, 8) & 0o2000000) !== 0;
}

/** Runs a Python program whose descriptor 3 is `fd`; what it printed. It must end well. */
export function python(t: TestContext, program: string, fd: number): Promise<string> {
  const child = spawn('python3', ['-c', program], { stdio: ['ignore', 'pipe', 'pipe', fd] });
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  let errors = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (errors += text));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(output);
      else reject(new Error(`python3: ${code}\n${errors}`));
    });
  });
}
