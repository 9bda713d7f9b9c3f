/** Whether somebody who waits to be let in is still there. Loaded with the first one who has to wait. */
import { requireAddon } from '../checks';
import { constants } from '../raw/constants';
import { Readiness } from '../raw/poller';

const { MSG_DONTWAIT, MSG_PEEK, POLLHUP } = constants;

const byte = new Uint8Array(1);

/**
 * Calls `left` once the other end of `fd` is closed, and says whether it has left something to read. What is returned ends the watch, and has to be
 * called before the descriptor is closed.
 */
export function watchForHangUp(fd: number, left: (words: boolean) => void): () => void {
  const readiness = new Readiness({ fd });
  readiness.setReferenced(false);
  readiness.wait(POLLHUP).then(
    (events) => {
      if ((events & POLLHUP) === 0) return;
      const peeked = requireAddon('authorize').rawReceive(fd, byte, 0, 1, MSG_PEEK | MSG_DONTWAIT);
      left(peeked > 0);
    },
    // No memory to watch it: it is waited for as long as the answer takes.
    () => undefined,
  );
  return () => readiness.forget();
}
