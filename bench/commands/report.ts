import * as path from 'node:path';

import { drawSvg } from '../charts/draw.js';
import { chartsOf } from '../charts/index.js';
import { themes } from '../charts/theme.js';
import { toCsv } from '../csv.js';
import { htmlReport } from '../html-report.js';
import { presetById } from '../presets/index.js';
import { renderPreset } from '../presets/render.js';
import { readmeTable } from '../readme-table.js';
import { renderFooter, renderHeader, renderTable } from '../report.js';
import { loadResults, writeWhole, type Results } from '../results.js';
import { parseCommandLine, UsageError } from '../usage.js';
import { workloadById } from '../workloads/index.js';
import type { Workload } from '../workloads/workload.js';

export const reportHelp = `Usage: bench report RESULTS.json [options]

  The table of a run, again. And, if asked for:
  --html FILE        one file with table, charts and machine, light and dark
  --svg FOLDER       every chart as a file of its own, for papers; light and dark
  --csv FILE         every sample as a line
  --markdown         the short table of the README, instead
`;

export function report(args: string[]): number {
  const { values, positionals } = parseCommandLine(args, {
    html: { type: 'string' },
    svg: { type: 'string' },
    csv: { type: 'string' },
    markdown: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  });
  if (values.help) return print(reportHelp);
  const [file, ...more] = positionals;
  if (file === undefined || more.length > 0)
    throw new UsageError('report takes one file of results');
  const results = loadResults(file);
  if (values.markdown) return print(readmeTable(results, path.basename(file)));
  const workloads = workloadsIn(results);
  print(`${renderHeader(results)}\n\n${renderTable(results, workloads)}`);
  const { preset } = results.request;
  if (preset !== undefined) print(renderPreset(presetById(preset), results));
  print(renderFooter(results));
  try {
    if (values.html !== undefined) writeHtmlReport(results, values.html);
    if (values.svg !== undefined) writeSvgs(results, values.svg);
    if (values.csv !== undefined) writeWhole(values.csv, toCsv(results));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw new UsageError(`cannot be written: ${(error as Error).message}`);
  }
  return 0;
}

export function writeHtmlReport(results: Results, file: string): void {
  writeWhole(file, htmlReport(results, workloadsIn(results)));
}

function writeSvgs(results: Results, folder: string): void {
  for (const chart of chartsOf(results, workloadsIn(results))) {
    for (const theme of themes) {
      const suffix = theme.name === 'light' ? '' : `-${theme.name}`;
      writeWhole(path.join(folder, `${chart.id}${suffix}.svg`), drawSvg(chart, theme));
    }
  }
}

/** The workloads of the run, of a preset in its own company. */
function workloadsIn({ request }: Results): Workload[] {
  return request.workloads.map(({ id, family, point }) => workloadById(id, family, point));
}

function print(text: string): 0 {
  process.stdout.write(`${text}\n`);
  return 0;
}
