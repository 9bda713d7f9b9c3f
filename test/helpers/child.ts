/** Runs a function in a process of its own, which is then observed from outside. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { happens } from './sockets';
import type { Net, Stage } from '../conformance/scenario';

export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ChildOptions {
  /** Arguments for node itself. */
  readonly execArgv?: readonly string[];
  /** After this many milliseconds the child is killed and its outcome shows SIGKILL. */
  readonly limit?: number;
  /** Gives the child descriptor 3: one end of a pair of Unix sockets, of which the parent has the other. */
  readonly descriptor?: boolean;
}

/** What `body` finds in the child besides the globals. It must use nothing from its own file. */
export interface ChildContext {
  readonly net: Net;
  readonly require: NodeJS.Require;
  readonly address: string;
  /** Writes one line to stdout. */
  say(line: unknown): void;
  /** Counts what the garbage collector takes; needs --expose-gc. */
  collection(): Collection;
}

export interface Collection {
  add(object: object): void;
  /** Collects garbage until this many were taken, or patience is out, and says how many were. */
  report(of: number): Promise<void>;
}

export type ChildBody = (context: ChildContext) => unknown;

const defaultLimit = 25_000;

/** Runs in the child: gives `collection` its meaning there. */
function collectionOf(say: (line: unknown) => void): Collection {
  const { gc } = globalThis as unknown as { gc(): void };
  let collected = 0;
  const registry = new FinalizationRegistry(() => (collected += 1));
  return {
    add: (object) => {
      registry.register(object, undefined);
    },
    async report(of) {
      const patience = 200;
      for (let round = 0; round < patience && collected < of; round += 1) {
        await new Promise((resolve) => setImmediate(resolve));
        gc();
      }
      say(`${collected} of ${of}`);
    },
  };
}

export interface Running {
  readonly child: ChildProcess;
  readonly outcome: Promise<Outcome>;
  /** The parent's end of the child's descriptor 3. */
  readonly other: Socket | undefined;
  /** Resolves when the child has said this line. */
  said(line: string): Promise<void>;
}

export function startChild(
  stage: Stage,
  address: string,
  body: ChildBody,
  options: ChildOptions = {},
): Running {
  const source =
    `const address = ${JSON.stringify(address)};\n` +
    `const net = require(${JSON.stringify(stage.specifier)});\n` +
    `const say = (line) => require('node:fs').writeSync(1, line + '\\n');\n` +
    `const collection = () => (${collectionOf.toString()})(say);\n` +
    `(${body.toString()})({ net, require, address, say, collection });\n`;
  const child = spawn(process.execPath, [...(options.execArgv ?? []), '-e', source], {
    stdio: ['ignore', 'pipe', 'pipe', ...(options.descriptor === true ? (['pipe'] as const) : [])],
    env: { ...process.env, NODE_OPTIONS: '', NODE_V8_COVERAGE: '' },
  });
  let stdout = '';
  let stderr = '';
  const output = child.stdout;
  assert.ok(output !== null && child.stderr !== null);
  output.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  // In steps, each of which counts once: a machine that stood still meanwhile has not used up the limit.
  const steps = 25;
  let step = 0;
  const limit = setInterval(
    () => {
      step += 1;
      if (step === steps) child.kill('SIGKILL');
    },
    (options.limit ?? defaultLimit) / steps,
  );
  stage.defer(() => child.kill('SIGKILL'));

  const outcome = happens(child, 'close').then(([code, signal]): Outcome => {
    clearInterval(limit);
    return { code: code as number | null, signal: signal as NodeJS.Signals | null, stdout, stderr };
  });
  const said = (line: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (stdout.split('\n').includes(line)) resolve();
      };
      output.on('data', look);
      child.once('close', () =>
        reject(new Error(`the child ended without saying '${line}'\n${stdout}${stderr}`)),
      );
      look();
    });
  const other = options.descriptor === true ? (child.stdio[3] as Socket) : undefined;
  return { child, outcome, other, said };
}

export function inChild(
  stage: Stage,
  address: string,
  body: ChildBody,
  options: ChildOptions = {},
): Promise<Outcome> {
  return startChild(stage, address, body, options).outcome;
}
