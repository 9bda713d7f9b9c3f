import { performance } from 'node:perf_hooks';

import type { Connection, JavaScriptContender } from './contender.js';
import { netUnix } from './net-unix.js';

/**
 * Transports with faults of a known size, to test the instrument with: what it measures of them
 * has to be what was put in.
 */

/** Bytes of the messages that are sent over them. */
const MESSAGE = 128;

export const DELAY_MS = 20;
export const LOST_OF = 50;
export const PAUSE_MS = 100;
export const PAUSED_EVERY_MS = 400;
/** Soon after the thousand messages with which echo is verified. */
const STALLS_AFTER = 1_100;

/** What a server's connection does with what is written to it. */
type Fault = (connection: Connection) => (bytes: Uint8Array) => boolean;

function faulty(id: string, title: string, fault: Fault, loses = false): JavaScriptContender {
  return {
    ...netUnix,
    id: `selftest-${id}`,
    title: `self-test: ${title}`,
    baselines: ['net-unix'],
    selfTest: true,
    loses,
    listen: (path, onConnection) =>
      netUnix.listen(path, (connection) => {
        const write = fault(connection);
        // The stream's other methods are used as they are.
        onConnection(Object.create(connection, { write: { value: write } }) as Connection);
      }),
  };
}

/** Nothing is wrong with it: the same as net-unix under another name. */
export const selftestTwin: JavaScriptContender = {
  ...netUnix,
  id: 'selftest-twin',
  title: 'self-test: node:net again',
  baselines: ['net-unix'],
  selfTest: true,
};

export const selftestDelay = faulty(
  'delay',
  `answers ${DELAY_MS} ms late`,
  (connection) => (bytes) => {
    setTimeout(() => connection.write(bytes), DELAY_MS);
    return true;
  },
);

export const selftestLoss = faulty(
  'loss',
  `loses 1 message of ${LOST_OF}`,
  (connection) => {
    let seen = 0;
    return (bytes) => {
      const kept = Buffer.from(bytes).filter(() => {
        const message = Math.floor(seen++ / MESSAGE);
        return message % LOST_OF !== LOST_OF - 1;
      });
      return connection.write(kept);
    };
  },
  true,
);

/** Does nothing at all for a while, again and again, as a collector or a busy neighbour might. */
export const selftestPause = faulty(
  'pause',
  `stops for ${PAUSE_MS} ms, every ${PAUSED_EVERY_MS} ms`,
  (connection) => {
    setInterval(() => {
      const until = performance.now() + PAUSE_MS;
      while (performance.now() < until);
    }, PAUSED_EVERY_MS);
    return (bytes) => connection.write(bytes);
  },
);

export const selftestStall = faulty(
  'stall',
  `answers ${STALLS_AFTER} messages and no more`,
  (connection) => {
    let left = STALLS_AFTER * MESSAGE;
    return (bytes) => {
      left -= bytes.length;
      return left < 0 || connection.write(bytes);
    };
  },
);
