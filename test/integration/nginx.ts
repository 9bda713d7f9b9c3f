/** A real nginx, without privileges, with the configuration of the example, in front of a Unix socket. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chownSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { folder, happens, root } from './support';

/** nobody's number on the systems that we know. */
const NOBODY = 65_534;

export interface Nginx {
  /** Where it listens. */
  readonly front: string;
  /** Resolves when this is in its log. */
  logged(text: string): Promise<void>;
  /** SIGTERM: ends at once. SIGQUIT: when no request is under way. SIGKILL: its workers go as well. */
  stop(signal: NodeJS.Signals): Promise<void>;
}

/** A place for the sockets of nginx and of the server behind it, which both can use. */
export function sharedFolder(t: TestContext): string {
  const shared = folder(t);
  // nginx takes a root's process for its master and gives its workers another user: here it never is one.
  if (process.getuid?.() === 0) chownSync(shared, NOBODY, NOBODY);
  return shared;
}

let started = 0;

export async function startNginx(t: TestContext, prefix: string, back: string): Promise<Nginx> {
  started += 1;
  const front = path.join(prefix, `front-${started}.sock`);
  const values: Record<string, string> = { PREFIX: prefix, FRONT: front, BACK: back };
  const template = readFileSync(path.join(root, 'examples/nginx.conf.template'), 'utf8');
  const configuration = path.join(prefix, `nginx-${started}.conf`);
  writeFileSync(
    configuration,
    template.replace(/\{\{(\w+)\}\}/g, (_, name: string) => values[name] ?? ''),
  );
  const asNobody = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  const child = spawn('nginx', ['-e', 'stderr', '-p', prefix, '-c', configuration], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` },
    // A group of its own, so that the workers of a killed master can be found.
    detached: true,
    ...asNobody,
  });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.pid === undefined) return;
    if (signal === 'SIGKILL') killGroup(child.pid);
    else child.kill(signal);
    await ended;
  };
  t.after(() => stop('SIGKILL'));
  const logged = follow(child);
  // It listens by then, and its worker has begun.
  await logged('start worker process ');
  return { front, logged, stop };
}

/** Reads its log, and waits for what is asked for. */
function follow(child: ChildProcess): (text: string) => Promise<void> {
  let log = '';
  const waiting = new Set<() => void>();
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log += text;
    for (const look of waiting) look();
  });
  const ended = happens(child, 'close').then(
    () => new Error(`nginx ended:\n${log}`),
    (cause: unknown) =>
      new Error('nginx cannot be run, and is needed here (Debian: apt-get install nginx-light)', {
        cause,
      }),
  );
  return (text) =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (log.includes(text)) resolve();
      };
      waiting.add(look);
      void ended.then(reject);
      look();
    });
}

function killGroup(group: number): void {
  try {
    process.kill(-group, 'SIGKILL');
  } catch {
    // Nobody of it is left.
  }
}
