import { once } from 'node:events';

import type { Connection } from '../contenders/contender.js';
import { openConnections } from '../open-connections.js';
import { patternAt } from '../pattern.js';
import { endpointOf, type Role, type RoleContext } from './workload.js';

const MESSAGE_SIZE = 128;

/** A client that opens connections, uses each of them once if asked to, and leaves them alone. */
export async function idleClient(context: RoleContext): Promise<Role> {
  const { contender } = context;
  const endpoint = endpointOf(context);
  const connections: Connection[] = [];

  async function connect(count: number): Promise<void> {
    const opened = await openConnections(count, () => contender.connect(endpoint));
    for (const connection of opened) {
      connection.on('error', context.fail);
      connection.on('data', () => {});
    }
    connections.push(...opened);
  }

  async function exchange(): Promise<void> {
    const message = patternAt(0, MESSAGE_SIZE);
    for (const connection of connections) {
      const answered = once(connection, 'data');
      connection.write(message);
      const [answer] = (await answered) as [Buffer];
      if (!answer.equals(message)) throw new Error('the echo differs from the message');
    }
  }

  async function disconnect(): Promise<void> {
    const closing = connections.splice(0).map((connection) => {
      const closed = once(connection, 'close');
      connection.end();
      return closed;
    });
    await Promise.all(closing);
  }

  return { commands: { connect: (count) => connect(count as number), exchange, disconnect } };
}
