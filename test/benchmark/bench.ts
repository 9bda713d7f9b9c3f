/** Runs `bench` as somebody at a shell does. */
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';

export interface Cell {
  round: number;
  workload: string;
  contender: string;
  inspection?: boolean;
  metrics?: Record<string, number>;
  error?: string;
}

export interface Results {
  complete: boolean;
  notices: string[];
  cells: Cell[];
  request: { seed: number };
  environment: Record<string, unknown>;
}

export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

export const cli = path.resolve(__dirname, '../../bench/cli.js');

export const folder = mkdtempSync(path.join(tmpdir(), 'bench-test-'));
after(() => rmSync(folder, { recursive: true }));

/** A module of the benchmark, which these tests are not compiled with. */
export function moduleOf(name: string): unknown {
  return createRequire(__filename)(path.resolve(__dirname, '../../bench', name));
}

export function bench(...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [cli, ...args], (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    );
  });
}

/** One short round, whose results are kept in `file`. */
export function short(file: string): string[] {
  return ['--quick', '--rounds', '1', '--seconds', '0.05', '--json', path.join(folder, file)];
}

export function resultsIn(file: string): Results {
  return JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as Results;
}
