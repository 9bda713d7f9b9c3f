/** The program of both processes of a cell that run JavaScript. The runner tells it what to be. */
import { createInterface } from 'node:readline';

import { javaScriptContenderById } from './contenders/index.js';
import { Allocations } from './allocations.js';
import type { Reply } from './child.js';
import { workloadById } from './workloads/index.js';
import type { Commands, OpenRequest } from './workloads/workload.js';

interface Call {
  id: number;
  command: string;
  argument?: unknown;
}

function reply(message: Reply): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Reports an error that no call is waiting for, such as a socket that breaks under load. */
function fail(error: unknown): void {
  reply({ fatal: textOf(error) });
}

async function open(request: OpenRequest): Promise<unknown> {
  const workload = workloadById(request.workload, request.family, request.point);
  const contender = javaScriptContenderById(request.contender);
  const end = workload[request.role];
  if (!end) throw new Error(`${workload.id} has no ${request.role} in JavaScript`);
  const role = await end({ ...request, contender, fail });
  Object.assign(commands, role.commands, { counters: () => contender.counters() });
  return role.endpoint;
}

const allocations = new Allocations();

const commands: Commands = {
  open: (request) => open(request as OpenRequest),
  probe: (contender) => javaScriptContenderById(contender as string).probe(),
  collectGarbage: () => globalThis.gc?.(),
  beginAllocations: () => allocations.begin(),
  endAllocations: () => allocations.end(),
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

createInterface(process.stdin)
  .on('line', (line) => void answer(JSON.parse(line) as Call))
  .on('close', () => process.exit());
process.stdout.on('error', () => process.exit()); // The runner is gone.
process.on('uncaughtException', fail);
