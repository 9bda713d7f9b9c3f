import { readdirSync } from 'node:fs';
import * as path from 'node:path';

import { buildOnce } from '../build.js';
import type { Launch } from '../launch.js';
import { afunixRoot, packageRoot } from '../places.js';
import { launchProgram, programContender } from './program.js';

const sources = path.join(packageRoot, 'bench/native');
const headers = path.join(afunixRoot, 'native');

/** All of `bench/native` as one program; its argument says which contender it is. */
function build(): string {
  const [compiler, ...options] = (process.env.CXX ?? 'c++').split(/\s+/).filter(Boolean);
  return buildOnce({
    output: 'native',
    dependsOn: [sources, path.join(headers, 'posix')],
    command: (output) => [
      compiler,
      ...options,
      ...['-std=c++20', '-O2', '-fno-exceptions', '-pthread'],
      `-I${headers}`,
      ...readdirSync(sources)
        .filter((file) => file.endsWith('.cc'))
        .map((file) => path.join(sources, file)),
      '-o',
      output,
    ],
    without: 'there is no C++ compiler here (c++, or what CXX says)',
  });
}

/** The client of the http workload. */
export function launchHttpClient(): Launch {
  return launchProgram([build(), 'http']);
}

export const cppEpoll = programContender({
  id: 'cpp-epoll',
  title: 'C++, epoll',
  command: () => [build(), 'epoll'],
});

export const cppUring = programContender({
  id: 'cpp-uring',
  title: 'C++, io_uring',
  command: () => [build(), 'uring'],
});

export const cppSeqpacket = programContender({
  id: 'cpp-seqpacket',
  title: 'C++, SEQPACKET, a call per message',
  command: () => [build(), 'seqpacket'],
});

export const cppSpin = programContender({
  id: 'cpp-spin',
  title: 'C++, spinning',
  command: () => [build(), 'spin'],
});
