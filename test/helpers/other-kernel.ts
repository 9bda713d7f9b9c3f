/** A process to whom the kernel seems to be another: getsockopt(2) answers for some options what is said here. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { freshDirectory } from './socket-paths';

/** Of SOL_SOCKET, asm-generic/socket.h. */
export const OPTIONS = { SO_PEERSEC: 31, SO_PEERGROUPS: 59, SO_PEERPIDFD: 77 } as const;

export interface OtherKernel {
  /** What SO_PEERSEC has, with or without a NUL at the end. */
  readonly label?: Uint8Array;
  /** Options that fail with this errno. */
  readonly failing?: Readonly<Partial<Record<keyof typeof OPTIONS, number>>>;
}

const SOURCE = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

typedef int (*Call)(int, int, int, void *, socklen_t *);

int getsockopt(int fd, int level, int name, void *value, socklen_t *length) {
  const char *failing = getenv("OTHER_KERNEL_FAILING");
  const char *label = getenv("OTHER_KERNEL_LABEL");
  if (level == SOL_SOCKET && failing != NULL) {
    for (char *end; *failing != 0; failing = *end == ',' ? end + 1 : end) {
      const long option = strtol(failing, &end, 10);
      const long error = strtol(end + 1, &end, 10);
      if (option == name) {
        errno = (int)error;
        return -1;
      }
    }
  }
  if (level == SOL_SOCKET && name == SO_PEERSEC && label != NULL) {
    const socklen_t size = (socklen_t)(strlen(label) / 2);
    const socklen_t room = *length;
    *length = size;
    if (room < size) {
      errno = ERANGE;
      return -1;
    }
    for (socklen_t i = 0; i < size; ++i) {
      const char digits[3] = {label[2 * i], label[2 * i + 1], 0};
      ((char *)value)[i] = (char)strtol(digits, NULL, 16);
    }
    return 0;
  }
  static Call call = NULL;
  if (call == NULL) call = (Call)dlsym(RTLD_NEXT, "getsockopt");
  return call(fd, level, name, value, length);
}
`;

const COMPILER = 'gcc';

/** Why there cannot be such a process here. */
export function withoutOtherKernels(): string | undefined {
  if (process.env['ASAN_OPTIONS'] !== undefined) return 'a sanitizer has LD_PRELOAD for itself';
  return spawnSync(COMPILER, ['--version']).status === 0 ? undefined : `needs ${COMPILER}`;
}

/** The environment of such a process. */
export function otherKernel(t: TestContext, kernel: OtherKernel): Record<string, string> {
  const directory = freshDirectory(t);
  const source = path.join(directory, 'kernel.c');
  const library = path.join(directory, 'kernel.so');
  writeFileSync(source, SOURCE);
  const { status, stderr } = spawnSync(
    COMPILER,
    ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl'],
    { encoding: 'utf8' },
  );
  assert.equal(status, 0, stderr);
  const failing = Object.entries(kernel.failing ?? {}).map(
    ([name, errno]) => `${OPTIONS[name as keyof typeof OPTIONS]}:${errno}`,
  );
  const { LD_PRELOAD } = process.env;
  return {
    LD_PRELOAD: LD_PRELOAD === undefined ? library : `${LD_PRELOAD}:${library}`,
    ...(failing.length > 0 ? { OTHER_KERNEL_FAILING: failing.join(',') } : {}),
    ...(kernel.label === undefined
      ? {}
      : { OTHER_KERNEL_LABEL: Buffer.from(kernel.label).toString('hex') }),
  };
}
