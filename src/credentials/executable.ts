/** What file a process runs: /proc/PID/exe, proc(5), with a pidfd to tell that PID is still that process's. */
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { requireAddon, wrongType, wrongValue } from '../checks';
import { kOpenPidfd, type PeerCredentials } from './peer';
import { no, unknown, YES, type Verdict } from './verdict';

export function checkExecutablePath(given: unknown, index: number): void {
  const name = `paths[${index}]`;
  if (typeof given !== 'string') throw wrongType(name, 'of type string', given);
  if (!path.isAbsolute(given)) throw wrongValue(name, given, 'must be an absolute pathname');
}

export async function judgeExecutable(
  peer: PeerCredentials,
  paths: readonly string[],
): Promise<Verdict> {
  const pidfd = peer[kOpenPidfd]();
  if (pidfd === null) return unknown(peer.reasons.pidfd ?? 'there is no pidfd');
  try {
    const about = await readFile(`/proc/self/fdinfo/${pidfd.fd}`, 'utf8');
    const pid = Number(/^Pid:\s*(-?\d+)$/m.exec(about)?.[1] ?? 0);
    if (pid <= 0) return unknown('the process has exited, or has no pid here');
    const runs = await stat(`/proc/${pid}/exe`);
    // It was alive after we looked, so it was this process that we looked at.
    if (requireAddon('executable()').hasExited(pidfd.fd) !== 0) {
      return unknown('the process has exited');
    }
    for (const file of paths) {
      const wanted = await stat(file).catch(() => null);
      if (wanted !== null && wanted.dev === runs.dev && wanted.ino === runs.ino) return YES;
    }
    return no(`the process runs none of ${paths.join(', ')}`);
  } catch (error) {
    return unknown(`what the process runs cannot be seen: ${(error as Error).message}`);
  } finally {
    pidfd.close();
  }
}
