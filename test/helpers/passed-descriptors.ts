/** What tests of descriptors that travel have in common, whether they go with bytes or with messages. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import type { TestContext } from 'node:test';
import type { Descriptor } from 'afunix/raw';
import { freshPath } from './socket-paths';

/** A file with that text, open for reading. */
export function open(t: TestContext, text: string): number {
  const file = freshPath(t);
  fs.writeFileSync(file, text);
  const fd = fs.openSync(file, 'r');
  t.after(() => fs.closeSync(fd));
  return fd;
}

/** What is behind a descriptor, which is closed. */
export function contentOf(descriptor: Descriptor): string {
  const buffer = Buffer.alloc(100);
  const length = fs.readSync(descriptor.fd, buffer, 0, buffer.length, 0);
  descriptor.close();
  return buffer.toString('utf8', 0, length);
}

export function closeAll(descriptors: Iterable<Descriptor>): void {
  for (const descriptor of descriptors) descriptor.close();
}

interface Sender {
  sendDescriptors(
    descriptors: readonly number[],
    bytes: string,
    callback: (error?: Error | null) => void,
  ): boolean;
}

/** Fulfilled when the kernel has them. */
export function send(socket: Sender, fds: readonly number[], bytes: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.sendDescriptors(fds, bytes, (error) => (error ? reject(error) : resolve()));
  });
}

/** What is no list of descriptors, what it is called, and the code of the error. */
export const NO_DESCRIPTORS = [
  ['no array', 5, 'ERR_INVALID_ARG_TYPE'],
  ['none', [], 'ERR_INVALID_ARG_VALUE'],
  ['254', Array<number>(254).fill(0), 'ERR_INVALID_ARG_VALUE'],
  ['a negative number', [-1], 'ERR_OUT_OF_RANGE'],
  ['a fraction', [0.5], 'ERR_OUT_OF_RANGE'],
  ['NaN', [NaN], 'ERR_OUT_OF_RANGE'],
  ['text', ['0'], 'ERR_INVALID_ARG_TYPE'],
  ['null', [null], 'ERR_INVALID_ARG_TYPE'],
  ['one that is not open', [0, 9999], 'EBADF'],
] as const;

/** Runs a program that may have 64 descriptors; what it says. */
export async function saidWithFewDescriptors(program: string): Promise<string> {
  const limited = ['-c', 'ulimit -n 64 && exec "$@"', 'sh', process.execPath, '-e', program];
  return said('sh', limited);
}

/** Runs a program to its end; what it says. Its warnings are nobody's concern. */
export async function saidWithGarbageCollector(program: string): Promise<string> {
  return said(process.execPath, ['--no-warnings', '--expose-gc', '-e', program]);
}

async function said(command: string, args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (text: Buffer) => (output += text.toString()));
  await once(child, 'close');
  return output.trim();
}
