/** Real servers as child processes: without privileges, in the test's own folder, gone with the test. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { accessSync, chownSync, constants, readdirSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { happens } from './support';

/** nobody's number on the systems that we know. */
const NOBODY = 65_534;

/** Many servers refuse to be root's, and none of them needs to be. */
export const asNobody =
  process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : ({} as { uid?: number; gid?: number });

export function giveToNobody(folder: string): void {
  if (process.getuid?.() === 0) chownSync(folder, NOBODY, NOBODY);
}

function folders(): string[] {
  const versions = '/usr/lib/postgresql';
  let postgres: string[] = [];
  try {
    postgres = readdirSync(versions).map((version) => path.join(versions, version, 'bin'));
  } catch {
    // It is not there.
  }
  return [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin', ...postgres];
}

/** Where a program is, if it is installed. */
export function find(program: string): string | undefined {
  return folders()
    .map((folder) => path.join(folder, program))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** The paths of the programs; without one of them CI fails, and elsewhere the test is skipped and says what to install. */
export function needs(t: TestContext, programs: Readonly<Record<string, string>>): string[] | null {
  const found = Object.entries(programs).map(([program, debian]) => ({
    program,
    debian,
    file: find(program),
  }));
  const missing = found.filter(({ file }) => file === undefined);
  if (missing.length === 0) return found.map(({ file }) => file ?? '');
  const names = missing.map(({ program }) => program).join(', ');
  const install = `apt-get install ${missing.map(({ debian }) => debian).join(' ')}`;
  if (process.env['CI']) throw new Error(`${names} is needed here: ${install}`);
  t.skip(`${names} is not installed (Debian: ${install})`);
  return null;
}

export interface Program {
  readonly child: ChildProcess;
  /** Resolves when this is in what it writes; rejects with all of it if it ends before. */
  logged(text: string): Promise<void>;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export interface ProgramOptions {
  readonly cwd: string;
  readonly environment?: Readonly<Record<string, string>>;
}

export function start(
  t: TestContext,
  command: string,
  args: readonly string[],
  { cwd, environment = {} }: ProgramOptions,
): Program {
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, HOME: cwd, LC_ALL: 'C.UTF-8', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, so that whatever it starts goes with it.
    detached: true,
    ...asNobody,
  });
  let log = '';
  const waiting = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      log += text;
      for (const look of waiting) look();
    });
  }
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const closed = happens(child, 'close').then(
    () => new Error(`${command} ended:\n${log}`),
    (cause: unknown) => new Error(`${command} cannot be run`, { cause }),
  );
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<void> => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    try {
      process.kill(-child.pid, signal);
    } catch {
      // It is gone.
    }
    await ended;
  };
  t.after(() => stop('SIGKILL'));
  const logged = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (!log.includes(text)) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      void closed.then(reject);
      look();
    });
  return { child, logged, stop };
}

/** Runs a program that prepares something, and throws with what it wrote if it fails. */
export function prepare(command: string, args: readonly string[], cwd: string): void {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    env: { ...process.env, HOME: cwd, LC_ALL: 'C.UTF-8' },
    encoding: 'utf8',
    ...asNobody,
  });
  if (status !== 0) throw new Error(`${command} failed:\n${stdout}${stderr}`, { cause: error });
}
