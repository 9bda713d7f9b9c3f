import { contenders } from '../contenders/index.js';
import { presets } from '../presets/index.js';
import { parseCommandLine } from '../usage.js';
import { workloads } from '../workloads/index.js';

export const listHelp = `Usage: bench list

  Names workloads, contenders and presets.
`;

export function list(args: string[]): number {
  const { values } = parseCommandLine(args, { help: { type: 'boolean', short: 'h' } });
  process.stdout.write(values.help ? listHelp : `${listing()}\n`);
  return 0;
}

function listing(): string {
  const named = [...workloads, ...contenders, ...presets];
  const nameWidth = Math.max(...named.map(({ id }) => id.length)) + 2;
  const line = (id: string, text: string): string => `  ${id.padEnd(nameWidth)}${text}`;
  return [
    'Workloads:',
    ...workloads.map(({ id, description, onRequest }) =>
      line(id, onRequest ? `${description} (with --full, or by name)` : description),
    ),
    'Contenders:',
    ...contenders.map(({ id, title, onRequest, selfTest }) => {
      const when = selfTest ? ' (by name: a test of the instrument)' : ' (with --all, or by name)';
      return line(id, title + (selfTest || onRequest ? when : ''));
    }),
    'Presets:',
    ...presets.map(({ id, description }) => line(id, description)),
  ].join('\n');
}
