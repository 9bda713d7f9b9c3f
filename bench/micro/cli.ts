#!/usr/bin/env node
import { fork, type ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import * as path from 'node:path';
import { parseArgs } from 'node:util';

import Table from 'cli-table3';
import colors from 'picocolors';

import { describeEnvironment } from '../environment.js';
import { nearest } from '../nearest.js';
import { compareRuns } from '../statistics.js';
import { formatSeconds } from '../units.js';
import { suites } from './index.js';
import type { MicroResult, MicroSuite } from './micro-suite.js';

const help = `Usage: npm run bench:micro -- [options]

  --filter TEXT  only suites whose name contains TEXT
  --seconds S    longest time per case (default 1)
  --json FILE    keeps the results
  --against FILE says what changed since results that were kept
  --list         names the suites
  --help
`;

type Message = { results: MicroResult[] } | { error: string };

/** Beside the time of its cases, what a suite may take to prepare and to calibrate. */
const ALLOWANCE_SECONDS = 60;

/** Runs a suite in a process of its own, so that one does not shape the other's optimised code. */
function runSuite({ id }: MicroSuite, seconds: number): Promise<MicroResult[]> {
  const child: ChildProcess = fork(path.join(__dirname, 'worker.js'), [id, String(seconds)]);
  const stop = (): void => void child.kill('SIGKILL');
  process.once('exit', stop);
  const deadline = setTimeout(stop, (ALLOWANCE_SECONDS + 20 * seconds) * 1e3);
  return new Promise<MicroResult[]>((resolve, reject) => {
    child.on('message', (message: Message) => {
      if ('error' in message) reject(new Error(message.error));
      else resolve(message.results);
    });
    child.once('error', reject);
    child.once('close', (code, signal) => {
      reject(new Error(`its process ended ${signal ? `by ${signal}` : `with code ${code}`}`));
    });
  }).finally(() => {
    clearTimeout(deadline);
    process.removeListener('exit', stop);
    stop();
  });
}

function renderTable(results: readonly MicroResult[], before?: readonly MicroResult[]): string {
  const head = ['case', 'time per operation', 'margin', 'samples'];
  if (before) head.push('before', 'times as fast (95 %)', 'verdict');
  const table = new Table({
    head: head.map((text) => colors.bold(text)),
    style: { head: [], border: [] },
    colAligns: ['left', 'right', 'right', 'right', 'right', 'left', 'left'],
  });
  for (const result of results) {
    const { name, nanosecondsPerOperation, marginPercent, samples } = result;
    const time = formatSeconds(nanosecondsPerOperation / 1e9);
    const row = [name, time, `±${marginPercent.toFixed(1)} %`, samples];
    if (before) row.push(...changeSince(before, result));
    table.push(row);
  }
  return table.toString();
}

/** The time before, the ratio with its interval, and the verdict; nothing for a case that is new. */
function changeSince(before: readonly MicroResult[], { name, times }: MicroResult): string[] {
  const earlier = before.find((result) => result.name === name);
  const ratio = earlier && compareRuns(earlier.times, times, 'lower');
  if (!ratio) return ['', '', 'new'];
  return [
    formatSeconds(earlier.nanosecondsPerOperation / 1e9),
    `${ratio.median.toFixed(2)} (${ratio.low.toFixed(2)}..${ratio.high.toFixed(2)})`,
    ratio.verdict,
  ];
}

type Suites = Record<string, MicroResult[] | { error: string }>;

/** Results that `--json` has kept. */
function readSuites(file: string): Suites {
  let kept: { suites?: Suites };
  try {
    kept = JSON.parse(readFileSync(file, 'utf8')) as typeof kept;
  } catch (error) {
    throw new Error(`${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  if (kept.suites === undefined) throw new Error(`${file} is not a file that --json has written`);
  return kept.suites;
}

function selected(filter: string): readonly MicroSuite[] {
  const found = suites.filter(({ id }) => id.includes(filter));
  if (found.length > 0) return found;
  const suggestion = nearest(
    filter,
    suites.map(({ id }) => id),
  );
  throw new Error(`no suite is called '${filter}'; did you mean '${suggestion}'?`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      filter: { type: 'string', default: '' },
      seconds: { type: 'string', default: '1' },
      json: { type: 'string' },
      against: { type: 'string' },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false, short: 'h' },
    },
  });
  const seconds = Number(values.seconds);
  if (!(seconds > 0)) throw new Error(`--seconds takes a positive number, not '${values.seconds}'`);
  if (values.help) return print(help);
  if (values.list) return suites.forEach(({ id, description }) => print(`${id}  ${description}`));

  const before = values.against === undefined ? undefined : readSuites(values.against);
  const kept: Suites = {};
  for (const suite of selected(values.filter)) {
    print(`\n${colors.bold(suite.id)}: ${suite.description}`);
    try {
      const results = await runSuite(suite, seconds);
      kept[suite.id] = results;
      const earlier = before?.[suite.id];
      print(renderTable(results, Array.isArray(earlier) ? earlier : before && []));
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      kept[suite.id] = { error: text };
      print(colors.red(`failed: ${text}`));
      process.exitCode = 1;
    }
  }
  if (values.json !== undefined) {
    mkdirSync(path.dirname(path.resolve(values.json)), { recursive: true });
    const record = { environment: describeEnvironment(), suites: kept };
    writeFileSync(values.json, `${JSON.stringify(record, undefined, 1)}\n`);
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
});
