/** The program of both processes of a cell. The runner tells it over IPC what to be. */
import { contenderById } from './contenders/index.js';
import type { Reply } from './child.js';
import { workloadById } from './workloads/index.js';
import type { Commands, OpenRequest } from './workloads/workload.js';

interface Call {
  id: number;
  command: string;
  argument?: unknown;
}

function reply(message: Reply): void {
  process.send?.(message);
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Reports an error that no call is waiting for, such as a socket that breaks under load. */
function fail(error: unknown): void {
  reply({ fatal: textOf(error) });
}

async function open(request: OpenRequest): Promise<unknown> {
  const workload = workloadById(request.workload);
  const contender = contenderById(request.contender);
  const role = await workload[request.role]({ ...request, contender, fail });
  Object.assign(commands, role.commands, { counters: () => contender.counters() });
  return role.endpoint;
}

const commands: Commands = {
  open: (request) => open(request as OpenRequest),
  probe: (contender) => contenderById(contender as string).probe(),
  collectGarbage: () => globalThis.gc?.(),
};

async function answer({ id, command, argument }: Call): Promise<void> {
  try {
    const run = commands[command];
    if (!run) throw new Error(`no command is called '${command}'`);
    reply({ id, value: await run(argument) });
  } catch (error) {
    reply({ id, error: textOf(error) });
  }
}

process.on('message', (call: Call) => void answer(call));
process.on('uncaughtException', fail);
process.on('disconnect', () => process.exit());
