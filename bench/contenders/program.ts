import type { Launch } from '../launch.js';
import type { OpenRequest } from '../workloads/workload.js';
import type { Contender } from './contender.js';

interface Program {
  id: string;
  title: string;
  /** The command that runs it; builds it first if need be, and throws when it cannot be had. */
  command(): readonly string[];
}

/** A contender that is a program of its own, in any language. */
export function programContender({ id, title, command }: Program): Contender {
  return {
    id,
    title,
    baselines: ['net-unix'],
    onRequest: true,
    launch: () => launchProgram(command()),
  };
}

/** Requests are words, so that a program needs to write JSON but not to read it. */
export function launchProgram(command: readonly string[]): Launch {
  return {
    command,
    request: (id, name, argument) => [id, name, ...wordsOf(argument)].join(' '),
  };
}

function wordsOf(argument: unknown): (string | number)[] {
  if (typeof argument === 'string' || typeof argument === 'number') return [argument];
  if (argument === undefined || argument === null) return [];
  const { role, load, workload, settings, socketPath, endpoint } = argument as OpenRequest;
  if (!load) throw new Error(`programs know nothing of ${workload}`);
  const address = endpoint && 'port' in endpoint ? `${endpoint.host}:${endpoint.port}` : socketPath;
  return [role, load.pattern, load.messageSize, settings.connections, address];
}
