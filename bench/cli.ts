#!/usr/bin/env node
import { contenders } from './contenders/index.js';
import { help, parseOptions, UsageError } from './options.js';
import { renderFooter, renderHeader, renderTable } from './report.js';
import { saveResults, type Cell } from './results.js';
import { runAll } from './runner.js';
import { formatValue } from './units.js';
import { workloadById, workloads } from './workloads/index.js';

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) return print(help);
  if (options.list) return print(listing());

  const results = await runAll(options, abortOnSignal(), showProgress);
  const file = saveResults(results, options.json);
  print(`\n${renderHeader(results)}\n`);
  if (results.cells.length > 0) print(renderTable(results, options.workloads));
  print(`${renderFooter(results)}\n\nRaw results: ${file}`);
  const measured = results.cells.filter((cell) => 'metrics' in cell).length;
  return results.complete && measured > 0 && measured === results.cells.length ? 0 : 1;
}

/** The first Ctrl-C stops the run and keeps what it has; the second one does not wait. */
function abortOnSignal(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(130);
      controller.abort();
    });
  }
  return controller.signal;
}

function showProgress(cell: Cell, done: number, total: number): void {
  const { headline } = workloadById(cell.workload).rows[0];
  const outcome =
    'error' in cell
      ? `failed: ${cell.error}`
      : formatValue(cell.metrics[headline.metric] ?? NaN, headline.unit);
  process.stderr.write(
    `${done}/${total} round ${cell.round} ${cell.workload} ${cell.contender}: ${outcome}\n`,
  );
}

function listing(): string {
  const nameWidth = Math.max(...[...workloads, ...contenders].map(({ id }) => id.length)) + 2;
  const line = (id: string, text: string): string => `  ${id.padEnd(nameWidth)}${text}`;
  return [
    'Workloads:',
    ...workloads.map(({ id, description }) => line(id, description)),
    'Contenders:',
    ...contenders.map(({ id, title, onRequest }) =>
      line(id, onRequest ? `${title} (with --all)` : title),
    ),
  ].join('\n');
}

function print(text: string): 0 {
  process.stdout.write(`${text}\n`);
  return 0;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const expected = error instanceof UsageError;
    process.stderr.write(`${expected ? error.message : (error as Error).stack}\n`);
    process.exitCode = expected ? 2 : 1;
  },
);
