import { parseOptions, runHelp, type Options } from '../options.js';
import { Progress } from '../progress.js';
import { presetById } from '../presets/index.js';
import { renderPreset } from '../presets/render.js';
import { renderFooter, renderHeader, renderTable } from '../report.js';
import { loadResults, resultsFile, saveResults, writeWhole, type Results } from '../results.js';
import { toCsv } from '../csv.js';
import { runAll } from '../runner.js';
import { UsageError } from '../usage.js';
import { workloadById } from '../workloads/index.js';
import { writeHtmlReport } from './report.js';

/** Measures. The exit code is 0 only if every cell of the run was measured and all was saved. */
export async function run(args: string[]): Promise<number> {
  const asked = parseOptions(args);
  if (asked.help) return print(runHelp);
  const earlier = asked.resume === undefined ? undefined : loadResults(asked.resume);
  const options = earlier ? goingOn(asked, earlier) : asked;
  const progress = new Progress(process.stderr, options.workloads);
  const saving = new Saving(options.json ?? asked.resume, (text) =>
    process.stderr.write(`${text}\n`),
  );

  const results = await runAll(
    options,
    abortOnSignal(),
    {
      progress: (...what) => progress.show(...what),
      save: (grown) => saving.attempt(grown),
    },
    earlier,
  );
  progress.clear();
  print(`\n${renderHeader(results)}\n`);
  if (results.cells.length > 0) print(renderTable(results, options.workloads));
  if (options.preset !== undefined) print(renderPreset(presetById(options.preset), results));
  print(renderFooter(results));
  const saved = saving.finish(results, options);
  const measured = results.cells.filter((cell) => 'metrics' in cell).length;
  return saved && results.complete && measured > 0 && measured === results.cells.length ? 0 : 1;
}

/** The plan of the earlier run, in the place of whatever else was asked for. */
function goingOn(asked: Options, earlier: Results): Options {
  if (earlier.complete) {
    throw new UsageError(`${asked.resume} is complete: there is nothing to go on with`);
  }
  const { workloads, ...method } = earlier.request;
  return {
    ...asked,
    ...method,
    leftOut: [],
    workloads: workloads.map(({ id, family, point }) => workloadById(id, family, point)),
  };
}

/** Keeps the results on disk while they grow; a full disk is said once and ends nothing. */
class Saving {
  /** What could not be written has been said of these. */
  private readonly complained = new Set<string>();

  constructor(
    private file: string | undefined,
    private readonly complain: (text: string) => void,
  ) {}

  attempt(results: Results): boolean {
    this.file ??= resultsFile(results);
    return this.try(this.file, (file) => saveResults(results, file));
  }

  /** Everything that was asked for; false if some of it could not be written. */
  finish(results: Results, { csv, html }: Options): boolean {
    this.complained.clear();
    let saved = this.attempt(results);
    if (saved) print(`\nRaw results: ${this.file}`);
    if (csv !== undefined)
      saved = this.try(csv, (file) => writeWhole(file, toCsv(results))) && saved;
    if (html !== undefined)
      saved = this.try(html, (file) => writeHtmlReport(results, file)) && saved;
    return saved;
  }

  private try(file: string, write: (file: string) => void): boolean {
    try {
      write(file);
      return true;
    } catch (error) {
      const said = this.complained.has(file);
      if (!said) this.complain(`${file} cannot be written: ${(error as Error).message}`);
      this.complained.add(file);
      return false;
    }
  }
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

function print(text: string): 0 {
  process.stdout.write(`${text}\n`);
  return 0;
}
