import { spawn, type ChildProcess } from 'node:child_process';
import * as path from 'node:path';

/** What the worker answers: the value of a call, its error, or an error between calls. */
export type Reply = { id: number; value?: unknown; error?: string } | { fatal: string };

interface PendingCall {
  command: string;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

const STDERR_KEPT = 2_000;
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** One process of a cell, seen from the runner: starts it, calls it, notices its end, kills it. */
export class Child {
  private readonly pending = new Map<number, PendingCall>();
  private readonly process: ChildProcess;
  private readonly exited: Promise<void>;
  private nextId = 1;
  private failure: Error | undefined;
  private stderr = '';
  private onFailure: ((error: Error) => void) | undefined;

  /** Rejects when the process fails or ends before `kill()`. Never resolves. */
  readonly failed: Promise<never>;

  constructor(
    readonly name: string,
    nodeOptions: readonly string[] = [],
    cpu?: number,
  ) {
    const worker = path.join(__dirname, 'worker.js');
    const node = [process.execPath, '--expose-gc', ...nodeOptions, worker];
    const [file, ...args] = cpu === undefined ? node : ['taskset', '-c', String(cpu), ...node];
    this.process = spawn(file, args, {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
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
    this.process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr = (this.stderr + text).slice(-STDERR_KEPT);
    });
    this.process.on('message', (reply: Reply) => this.settle(reply));
  }

  /** Runs a command of the worker's role. */
  call<T = unknown>(command: string, argument?: unknown): Promise<T> {
    if (this.failure) return Promise.reject(this.failure);
    const id = this.nextId++;
    return new Promise<unknown>((resolve, reject) => {
      this.pending.set(id, { command, resolve, reject });
      this.process.send({ id, command, argument }, (error) => {
        if (error) this.fail(`the ${this.name} process cannot be reached: ${error.message}`);
      });
    }) as Promise<T>;
  }

  /** The commands that have not been answered. */
  waitingFor(): string[] {
    return [...this.pending.values()].map(({ command }) => `${this.name}.${command}`);
  }

  /** Ends the process, whatever it is doing, and resolves when it is gone. */
  async kill(reason = `the ${this.name} process was stopped`): Promise<void> {
    this.fail(reason);
    this.process.kill('SIGKILL');
    if (this.process.pid !== undefined) await this.exited;
  }

  private settle(reply: Reply): void {
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
