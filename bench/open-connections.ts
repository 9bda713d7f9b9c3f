import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Connection } from './contenders/contender.js';

const CONCURRENT_CONNECTS = 64;
const RETRY_MS = 5;

/** Opens `count` connections, a few at a time, and resolves when all are connected. */
export async function openConnections<T extends Connection>(
  count: number,
  connect: () => T,
): Promise<T[]> {
  const connections: T[] = [];
  let started = 0;
  async function openSome(): Promise<void> {
    while (started < count) {
      started++;
      connections.push(await openConnection(connect));
    }
  }
  await Promise.all(Array.from({ length: CONCURRENT_CONNECTS }, openSome));
  return connections;
}

/** A Unix socket connects before it is accepted, and refuses (EAGAIN) when the backlog is full. */
async function openConnection<T extends Connection>(connect: () => T): Promise<T> {
  for (;;) {
    const connection = connect();
    try {
      await once(connection, 'connect');
      return connection;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      await sleep(RETRY_MS);
    }
  }
}
