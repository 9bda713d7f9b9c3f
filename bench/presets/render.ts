import Table from 'cli-table3';
import colors from 'picocolors';

import { contendersOf, medianOf } from '../cells.js';
import { contenderById } from '../contenders/index.js';
import type { Results } from '../results.js';
import { stack } from '../stack.js';
import type { Preset } from './preset.js';

/** Ours and the published figures beside each other, as rows of text. */
export function presetRows(preset: Preset, results: Results): { head: string[]; rows: string[][] } {
  const head = ['workload', 'contender', ...preset.columns.map(({ title }) => title)];
  const rows = preset.workloads.flatMap((workload) =>
    contendersOf(results, workload.id, workload.contenders).map((contender) => [
      workload.rows[0].title,
      contenderById(contender).title,
      ...preset.columns.map(({ metric, show }) => {
        const ours = medianOf(results, workload.id, contender, metric);
        const theirs = preset.published.find(
          (figure) =>
            figure.workload === workload.id &&
            figure.contender === contender &&
            figure.metric === metric,
        );
        const text = ours === undefined ? '' : show(ours);
        return theirs ? `${text} (published ${show(theirs.value)})` : text;
      }),
    ]),
  );
  return { head, rows };
}

/** The table of a preset, a box per workload as in the other one, and what to know about it. */
export function renderPreset(preset: Preset, results: Results): string {
  const { head, rows } = presetRows(preset, results);
  const table = new Table({
    head: head.map((text) => colors.bold(text)),
    style: { head: [], border: [] },
  });
  for (const workload of new Set(rows.map(([title]) => title))) {
    const lines = rows.filter(([title]) => title === workload).map(([, ...cells]) => cells);
    table.push([workload, ...stack(lines)]);
  }
  const published = preset.published.length > 0 ? [] : ['No figures were published with it.'];
  const notes = [...preset.notes, ...published].map((text) => `- ${text}`);
  return [`\n${preset.id}: ${preset.description}`, table.toString(), ...notes, ''].join('\n');
}
