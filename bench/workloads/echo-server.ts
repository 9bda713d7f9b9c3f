import { takeSample } from '../sample.js';
import { steadyCommands } from './steady.js';
import type { Role, RoleContext } from './workload.js';

/** Sends every chunk back as it comes; also the server whose connections are left idle. */
export async function echoServer(context: RoleContext): Promise<Role> {
  let accepted = 0;
  const endpoint = await context.contender.listen(context.socketPath, (connection) => {
    accepted++;
    connection.on('data', (chunk: Buffer) => connection.write(chunk));
    connection.on('error', context.fail);
  });
  return {
    endpoint,
    commands: { ...steadyCommands({ sample: takeSample }), accepted: () => accepted },
  };
}
