/**
 * A second process to talk to: it runs a function, tells what happens in it, and can be told to
 * go on. What it tells are arrays, one JSON line each, whose first element names the happening.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Net, Stage } from '../conformance/scenario';

/** What the function finds besides the globals. It must use nothing else from its own file. */
export interface PartnerContext<Parameters> {
  readonly net: Net;
  readonly require: NodeJS.Require;
  readonly parameters: Parameters;
  /** Also works when the event loop is about to be blocked or to end. */
  tell(...happening: unknown[]): void;
  /** Blocks the whole process until the other side calls `goOn()`. */
  pauseUntilToldToGoOn(): void;
}

export interface PartnerOptions {
  /** What the partner loads as `net`; the implementation under test if not given. */
  readonly specifier?: string;
  /** Becomes the command: the program and its arguments, before those of node. */
  readonly launcher?: readonly string[];
  readonly execArgv?: readonly string[];
  readonly directory?: string;
}

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Partner {
  readonly process: ChildProcess;
  readonly ended: Promise<Ending>;
  /** The rest of the next happening of this name that was not asked for yet. */
  told(name: string): Promise<unknown[]>;
  /** All that it told until it ended. */
  everything(): Promise<unknown[][]>;
  goOn(): void;
  kill(): Promise<Ending>;
}

export function startPartner<Parameters>(
  stage: Stage,
  parameters: Parameters,
  body: (context: PartnerContext<Parameters>) => unknown,
  options: PartnerOptions = {},
): Partner {
  const specifier = options.specifier ?? stage.specifier;
  const source = `
    const fs = require('node:fs');
    const net = require(${JSON.stringify(specifier)});
    const parameters = ${JSON.stringify(parameters)};
    const tell = (...happening) => { fs.writeSync(1, JSON.stringify(happening) + '\\n'); };
    const pauseUntilToldToGoOn = () => { fs.readSync(0, Buffer.alloc(1)); };
    (${body.toString()})({ net, require, parameters, tell, pauseUntilToldToGoOn });
  `;
  return startProgram(
    stage,
    [process.execPath, ...(options.execArgv ?? []), '-e', source],
    options,
  );
}

/** The same for any program that tells its happenings in JSON lines. */
export function startProgram(
  stage: Stage,
  command: readonly string[],
  options: PartnerOptions = {},
): Partner {
  const [program, ...parameters] = [...(options.launcher ?? []), ...command];
  assert.ok(program !== undefined);
  const child = spawn(program, parameters, {
    cwd: options.directory,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '', NODE_V8_COVERAGE: '' },
  });
  child.stdin.on('error', () => undefined);
  const happenings: unknown[][] = [];
  const unasked: unknown[][] = [];
  const listeners = new Set<() => void>();
  const wake = (): void => {
    for (const listener of [...listeners]) listener();
  };
  let errors = '';
  let ending: Ending | undefined;

  createInterface({ input: child.stdout }).on('line', (line) => {
    const happening = JSON.parse(line) as unknown[];
    happenings.push(happening);
    unasked.push(happening);
    wake();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const ended = new Promise<Ending>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      ending = { code, signal };
      wake();
      resolve(ending);
    });
  });
  ended.catch(() => undefined);
  stage.defer(async () => {
    child.kill('SIGKILL');
    await ended;
  });

  return {
    process: child,
    ended,
    told: (name) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const index = unasked.findIndex((happening) => happening[0] === name);
          if (index === -1 && ending === undefined) return;
          listeners.delete(look);
          if (index === -1)
            reject(new Error(`the other process ended without telling '${name}'\n${errors}`));
          else resolve(unasked.splice(index, 1)[0]?.slice(1) ?? []);
        };
        listeners.add(look);
        look();
      }),
    async everything() {
      await ended;
      if (errors !== '') happenings.push(['stderr', errors]);
      return happenings;
    },
    goOn: () => void child.stdin.write('\n'),
    kill() {
      child.kill('SIGKILL');
      return ended;
    },
  };
}
