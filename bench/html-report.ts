import { stripVTControlCharacters } from 'node:util';

import { failuresOf, medianOf } from './cells.js';
import type { Chart } from './charts/chart.js';
import { drawSvg } from './charts/draw.js';
import { chartsOf } from './charts/index.js';
import { themes } from './charts/theme.js';
import { contenderById, contenders } from './contenders/index.js';
import { escapeHtml, htmlGroupedTable, htmlTable } from './html.js';
import { presetById } from './presets/index.js';
import { presetRows } from './presets/render.js';
import { COLUMNS, contenderLine } from './report-lines.js';
import type { Results } from './results.js';
import { formatSize } from './units.js';
import type { Workload } from './workloads/workload.js';

const STYLE = `
:root { color-scheme: light dark; --text: #1b1f24; --faint: #57606a; --line: #d8dee4; --back: #fff; --alert: #9a6700; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6edf3; --faint: #9198a1; --line: #30363d; --back: #0d1117; --alert: #d29922; }
  .light { display: none; }
}
@media (prefers-color-scheme: light) { .dark { display: none; } }
@media print { .light { display: block; } .dark { display: none; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 980px; padding: 2rem 1.25rem 4rem; background: var(--back); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.75rem 0 .25rem; }
p { margin: .25rem 0 .75rem; }
.faint, figcaption { color: var(--faint); font-size: .87rem; }
.notices { border-left: 3px solid var(--alert); padding-left: 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .82rem; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: .3rem .6rem; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--faint); font-weight: 600; }
td { white-space: nowrap; }
.group th { color: var(--text); padding-top: .9rem; }
figure { margin: 1.75rem 0; }
figure svg { max-width: 100%; height: auto; }
`;

/** One file with everything in it: no scripts, nothing to load. */
export function htmlReport(results: Results, workloads: readonly Workload[]): string {
  const { environment: machine, rounds, seed, request } = results;
  const sections = [
    `<h1>afunix bench</h1>`,
    `<p class="faint">${escapeHtml(
      `${results.started.slice(0, 16).replace('T', ' ')} UTC, commit ${machine.commit}, ${machine.cpu}, ${machine.kernel}, Node ${machine.node}`,
    )}</p>`,
    `<p>${rounds} round${rounds === 1 ? '' : 's'} of ${request.seconds} s per cell, seed ${seed}; every cell between two fresh processes, in an order drawn for each round.</p>`,
    notices(results),
    ...(request.preset === undefined ? [] : [presetSection(request.preset, results)]),
    section('Charts', chartsOf(results, workloads).map(figure).join('\n')),
    section('Results', resultTable(results, workloads)),
    section('Per message', closeUpTable(results, workloads)),
    section('The machine', machineTable(results)),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>afunix bench, ${escapeHtml(machine.commit)}</title>
<style>${STYLE}</style>
</head>
<body>
${sections.join('\n')}
</body>
</html>
`;
}

function section(title: string, content: string): string {
  return content === '' ? '' : `<h2>${escapeHtml(title)}</h2>\n${content}`;
}

function notices(results: Results): string {
  const items = [...results.notices, ...failuresOf(results)].map(
    (text) => `<li>${escapeHtml(text)}</li>`,
  );
  if (items.length === 0) return '';
  return `<div class="notices"><p>Less than asked for, or to be known:</p><ul>${items.join('')}</ul></div>`;
}

function presetSection(id: string, results: Results): string {
  const preset = presetById(id);
  const { head, rows } = presetRows(preset, results);
  const notes = preset.notes.map((text) => `<p class="faint">${escapeHtml(text)}</p>`);
  return section(preset.description, htmlGroupedTable(head, rows) + notes.join(''));
}

function resultTable(results: Results, workloads: readonly Workload[]): string {
  const rows = workloads.flatMap((workload) =>
    workload.rows.flatMap((row) =>
      workload.contenders.flatMap((contender) => {
        const line = contenderLine(results, workload, row, contender);
        return line ? [[row.title, ...line.map(stripVTControlCharacters)]] : [];
      }),
    ),
  );
  return htmlGroupedTable(['workload', ...COLUMNS], rows);
}

function figure(chart: Chart): string {
  const pictures = themes.map(
    (theme) => `<div class="${theme.name}">${drawSvg(chart, theme)}</div>`,
  );
  return `<figure id="${escapeHtml(chart.id)}"><h3>${escapeHtml(chart.title)}</h3><figcaption>${escapeHtml(chart.caption)}</figcaption>${pictures.join('')}</figure>`;
}

/** What was counted from outside: switches while timed, the rest in cells of their own. */
function closeUpTable(results: Results, workloads: readonly Workload[]): string {
  const number = (value: number): string => value.toFixed(value < 10 ? 2 : 0);
  const columns: [string, string, (value: number) => string][] = [
    ['serverSwitchesPerOperation', 'switches, server', number],
    ['clientSwitchesPerOperation', 'switches, client', number],
    ['serverSyscallsPerOperation', 'system calls, server', number],
    ['clientSyscallsPerOperation', 'system calls, client', number],
    ['serverHeapAllocatedPerOperation', 'heap, server', (value) => formatSize(Math.round(value))],
    ['clientHeapAllocatedPerOperation', 'heap, client', (value) => formatSize(Math.round(value))],
  ];
  const rows = workloads.flatMap((workload) =>
    contenders.flatMap(({ id }) => {
      const values = columns.map(([metric]) => medianOf(results, workload.id, id, metric));
      if (values.every((value) => value === undefined)) return [];
      const texts = values.map((value, i) => (value === undefined ? '' : columns[i][2](value)));
      return [[workload.rows[0].title, contenderById(id).title, ...texts]];
    }),
  );
  if (rows.length === 0) return '';
  return htmlGroupedTable(['workload', 'contender', ...columns.map(([, title]) => title)], rows);
}

function machineTable({ environment, placement, load }: Results): string {
  const facts = { ...environment, placement, load };
  const rows = Object.entries(facts).map(([name, value]) => [
    name,
    typeof value === 'object' ? JSON.stringify(value) : String(value),
  ]);
  return htmlTable(['', ''], rows).replaceAll('<td>{', '<td style="white-space:normal">{');
}
