import type { Cell, Results } from './results.js';

/** Every number of every cell on a line of its own: what statistics programs like to read. */
export function toCsv(results: Results): string {
  const lines = results.cells.flatMap((cell) => linesOf(cell, results.environment.commit));
  return `${['commit,round,workload,contender,inspection,metric,value', ...lines].join('\n')}\n`;
}

function linesOf(cell: Cell, commit: string): string[] {
  const start = [commit, cell.round, cell.workload, cell.contender, cell.inspection ? 1 : 0];
  if ('error' in cell) return [[...start, 'error', cell.error].map(quoted).join(',')];
  return Object.entries(cell.metrics).map(([name, value]) =>
    [...start, name, value].map(quoted).join(','),
  );
}

function quoted(value: string | number): string {
  const text = String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
