import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

import type { Launch } from './launch.js';

/** What a process answers: the value of a call, its error, or an error between calls. */
export type Reply = { id: number; value?: unknown; error?: string } | { fatal: string };

interface PendingCall {
  command: string;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

const TEXT_KEPT = 2_000;
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) killGroup(child);
});

/** With all that it started: what is found on the PATH may be a script around the program. */
function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/**
 * One process of a cell, seen from the runner: starts it, calls it, notices its end, kills it.
 * Requests and replies are lines on its standard input and output.
 */
export class Child {
  private readonly pending = new Map<number, PendingCall>();
  private readonly process;
  private readonly exited: Promise<void>;
  private nextId = 1;
  private failure: Error | undefined;
  private stderr = '';
  private onFailure: ((error: Error) => void) | undefined;

  /** Rejects when the process fails or ends before `kill()`. Never resolves. */
  readonly failed: Promise<never>;

  constructor(
    readonly name: string,
    private readonly launch: Launch,
    cpu?: number,
  ) {
    const pin = cpu === undefined ? [] : ['taskset', '-c', String(cpu)];
    const [file, ...args] = [...pin, ...launch.command];
    this.process = spawn(file, args, {
      stdio: 'pipe',
      detached: true, // Ctrl-C is for the runner, which then decides who ends when.
    });
    running.add(this.process);
    this.failed = new Promise((_, reject) => (this.onFailure = reject));
    this.failed.catch(() => {}); // Whoever waits for it also hears of it through its call.
    this.exited = new Promise((resolve) => {
      this.process.once('close', (code, signal) => {
        running.delete(this.process);
        this.fail(`the ${name} process ended ${signal ? `by ${signal}` : `with code ${code}`}`);
        resolve();
      });
    });
    this.process.once('error', (error) => {
      running.delete(this.process);
      this.fail(`the ${name} process could not be used: ${error.message}`);
    });
    this.process.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr = (this.stderr + text).slice(-TEXT_KEPT);
    });
    // What cannot be written to a process that ended is explained by its end.
    this.process.stdin.on('error', () => {});
    createInterface(this.process.stdout).on('line', (line) => this.settle(line));
  }

  /** Runs a command of the process's role. */
  call<T = unknown>(command: string, argument?: unknown): Promise<T> {
    if (this.failure) return Promise.reject(this.failure);
    const id = this.nextId++;
    return new Promise<unknown>((resolve, reject) => {
      this.pending.set(id, { command, resolve, reject });
      this.process.stdin.write(`${this.launch.request(id, command, argument)}\n`);
    }) as Promise<T>;
  }

  /** Whether this process can tell what it allocates. */
  get isNode(): boolean {
    return this.launch.node ?? false;
  }

  get pid(): number | undefined {
    return this.process.pid;
  }

  /** The commands that have not been answered. */
  waitingFor(): string[] {
    return [...this.pending.values()].map(({ command }) => `${this.name}.${command}`);
  }

  /** Ends the process, whatever it is doing, and resolves when it is gone. */
  async kill(reason = `the ${this.name} process was stopped`): Promise<void> {
    this.fail(reason);
    if (running.has(this.process)) killGroup(this.process);
    if (this.process.pid !== undefined) await this.exited;
  }

  private settle(line: string): void {
    let reply: Reply;
    try {
      reply = JSON.parse(line) as Reply;
    } catch {
      return this.fail(`${this.name}: not an answer: ${line.slice(0, TEXT_KEPT)}`);
    }
    if ('fatal' in reply) return this.fail(`${this.name}: ${reply.fatal}`);
    const call = this.pending.get(reply.id);
    this.pending.delete(reply.id);
    if (reply.error === undefined) call?.resolve(reply.value);
    else call?.reject(new Error(`${this.name}: ${reply.error}`));
  }

  private fail(message: string): void {
    if (this.failure) return;
    const stderr = this.stderr.trim();
    this.failure = new Error(stderr ? `${message}; it wrote: ${stderr}` : message);
    for (const call of this.pending.values()) call.reject(this.failure);
    this.pending.clear();
    this.onFailure?.(this.failure);
  }
}
