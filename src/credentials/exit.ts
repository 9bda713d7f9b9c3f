/** The end of somebody else's process: a pidfd becomes readable. pidfd_open(2). */
import { requireAddon } from '../checks';
import type { Descriptor } from '../descriptor';
import { codedError } from '../errors';
import { constants } from '../raw/constants';
import { Readiness } from '../raw/poller';

/** When a process has exited: something to wait for, and something to hand on. */
export type Exited = Promise<void> & { readonly signal: AbortSignal };

/** `pidfd` is closed once it has told. `gone`: it is known already. */
export function watchExit(
  pidfd: Descriptor | null,
  gone: boolean,
  reason: string | undefined,
): Exited {
  const controller = new AbortController();
  const over = async (): Promise<void> => {
    if (pidfd !== null) {
      try {
        await exitOf(pidfd);
      } finally {
        pidfd.close();
      }
    } else if (!gone) {
      throw codedError(
        Error,
        'ERR_AFUNIX_NO_PIDFD',
        `The exit of this process cannot be waited for: ${reason ?? 'there is no pidfd'}`,
      );
    }
    controller.abort();
  };
  const exited = over();
  // Whoever takes only the signal is told nothing, and nothing is wrong about that.
  exited.catch(() => undefined);
  return Object.assign(exited, { signal: controller.signal });
}

async function exitOf(pidfd: Descriptor): Promise<void> {
  if (requireAddon('exited').hasExited(pidfd.fd) === 1) return;
  const readiness = new Readiness(pidfd);
  readiness.setReferenced(false);
  await readiness.wait(constants.POLLIN);
  readiness.forget();
}
