import * as path from 'node:path';

/** How a process of a contender is started, and asked for something. */
export interface Launch {
  readonly command: readonly string[];
  /** Whether it is Node, which can tell what it allocates. */
  readonly node?: boolean;
  /** The line on its standard input that asks for `command`. It answers with a line of JSON. */
  request(id: number, command: string, argument: unknown): string;
}

const worker = path.join(__dirname, 'worker.js');

/** The worker under a JavaScript runtime; it takes requests as JSON. */
export function launchWorker(...runtime: string[]): Launch {
  return {
    command: [...runtime, worker],
    request: (id, command, argument) => JSON.stringify({ id, command, argument }),
  };
}

/** The worker under this Node. */
export function launchNode(nodeOptions: readonly string[]): Launch {
  return { ...launchWorker(process.execPath, '--expose-gc', ...nodeOptions), node: true };
}
