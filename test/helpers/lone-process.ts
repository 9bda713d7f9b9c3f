/**
 * Runs a function in a process of its own, over afunix, and looks at how that process ends. What it
 * says are lines on stdout; the function must use nothing else from its own file.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import type { TestContext } from 'node:test';

export type Afunix = typeof import('afunix');

export interface LoneContext<Parameters> {
  readonly net: Afunix;
  readonly require: NodeJS.Require;
  readonly parameters: Parameters;
  /** One line on stdout, written before it returns. */
  say(line: unknown): void;
}

export type LoneBody<Parameters> = (context: LoneContext<Parameters>) => unknown;

export interface LoneOptions {
  /** What is loaded as `net`: afunix if not given, 'node:net' for a comparison. */
  readonly specifier?: string;
  readonly execArgv?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The most descriptors that the process may have. */
  readonly descriptors?: number;
  /** A system call, by its number, that is answered with this errno and nothing else. */
  readonly denied?: { readonly systemCall: number; readonly errno: number };
  /** After this many milliseconds it is killed, which shows as SIGKILL. */
  readonly limit?: number;
}

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
  /** What it said. */
  readonly lines: readonly string[];
}

export interface LoneProcess {
  readonly child: ChildProcess;
  readonly ended: Promise<Ending>;
  /** Resolves with the rest of the next line that starts with `word` and was not asked for yet. */
  said(word: string): Promise<string>;
  /** Something for it to read on stdin. */
  tell(line: string): void;
}

const load = createRequire(__filename);
const defaultLimit = 60_000;

/** AFUNIX_CONFORMANCE=net shows which of the expectations are `node:net`'s as well. */
export const afunixSpecifier =
  process.env['AFUNIX_CONFORMANCE'] === 'net' ? 'node:net' : load.resolve('afunix');

export function startLone<Parameters>(
  t: TestContext,
  parameters: Parameters,
  body: LoneBody<Parameters>,
  options: LoneOptions = {},
): LoneProcess {
  const source =
    `const net = require(${JSON.stringify(options.specifier ?? afunixSpecifier)});\n` +
    `const parameters = ${JSON.stringify(parameters)};\n` +
    `const say = (line) => { require('node:fs').writeSync(1, line + '\\n'); };\n` +
    `(${body.toString()})({ net, require, parameters, say });\n`;
  const command = [process.execPath, ...(options.execArgv ?? []), '-e', source];
  if (options.descriptors !== undefined) {
    command.unshift('sh', '-c', `ulimit -n ${options.descriptors} && exec "$@"`, 'sh');
  }
  if (options.denied !== undefined) {
    const { systemCall, errno } = options.denied;
    command.unshift('python3', '-c', denySystemCall, String(systemCall), String(errno));
  }
  const [program, ...rest] = command;
  assert.ok(program !== undefined);
  const child = spawn(program, rest, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '', NODE_V8_COVERAGE: '', ...options.env },
  });
  return watch(t, child, options.limit ?? defaultLimit);
}

/** As a container's seccomp profile does it. */
const denySystemCall = `
import ctypes, os, struct, sys
number, errno = int(sys.argv[1]), int(sys.argv[2])
load, equal, answer = 0x20, 0x15, 0x06
filters = [(load, 0, 0, 0), (equal, 0, 1, number), (answer, 0, 0, 0x50000 | errno), (answer, 0, 0, 0x7fff0000)]
code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *row) for row in filters))
class Program(ctypes.Structure):
    _fields_ = [('length', ctypes.c_ushort), ('filters', ctypes.c_void_p)]
program = Program(len(filters), ctypes.addressof(code))
libc = ctypes.CDLL(None, use_errno=True)
no_new_privileges, set_seccomp, by_filter = 38, 22, 2
if libc.prctl(no_new_privileges, 1, 0, 0, 0) or libc.prctl(set_seccomp, by_filter, ctypes.byref(program), 0, 0):
    sys.exit('seccomp: ' + os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[3], sys.argv[3:])
`;

function watch(t: TestContext, child: ChildProcess, limit: number): LoneProcess {
  const { stdin, stdout, stderr } = child;
  assert.ok(stdin !== null && stdout !== null && stderr !== null);
  const lines: string[] = [];
  const unasked: string[] = [];
  const waiting = new Set<() => void>();
  let rest = '';
  let errors = '';
  let over = false;
  const wake = (): void => {
    for (const look of [...waiting]) look();
  };
  stdin.on('error', () => undefined);
  stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  stdout.setEncoding('utf8').on('data', (text: string) => {
    const complete = (rest + text).split('\n');
    rest = complete.pop() ?? '';
    lines.push(...complete);
    unasked.push(...complete);
    wake();
  });
  const deadline = setTimeout(() => child.kill('SIGKILL'), limit);
  const ended = new Promise<Ending>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(deadline);
      over = true;
      wake();
      resolve({ code, signal, stderr: errors, lines });
    });
  });
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const said = (word: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const index = unasked.findIndex((line) => line === word || line.startsWith(`${word} `));
        if (index === -1 && !over) return;
        waiting.delete(look);
        const line = unasked.splice(index === -1 ? unasked.length : index, 1)[0];
        if (line !== undefined) resolve(line.slice(word.length + 1));
        else reject(new Error(`ended without saying '${word}'\n${lines.join('\n')}\n${errors}`));
      };
      waiting.add(look);
      look();
    });
  return { child, ended, said, tell: (line) => void stdin.write(`${line}\n`) };
}

/** Runs it to its end, which must be a quiet one; what it said. */
export async function runLone<Parameters>(
  t: TestContext,
  parameters: Parameters,
  body: LoneBody<Parameters>,
  options: LoneOptions = {},
): Promise<readonly string[]> {
  const ending = await startLone(t, parameters, body, options).ended;
  assertQuiet(ending);
  return ending.lines;
}

export function assertQuiet({ code, signal, stderr, lines }: Ending): void {
  const shown = lines.slice(-40).join('\n');
  assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' }, shown);
}

/** An environment in which a sanitizer, if there is one, gives freed memory back soon. */
export function leanEnvironment(): Record<string, string> {
  const options = process.env['ASAN_OPTIONS'];
  if (options === undefined) return {};
  return { ASAN_OPTIONS: `${options}:quarantine_size_mb=1:thread_local_quarantine_size_kb=64` };
}
