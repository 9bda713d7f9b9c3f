#!/usr/bin/env node
import { compare, compareHelp } from './commands/compare.js';
import { list, listHelp } from './commands/list.js';
import { report, reportHelp } from './commands/report.js';
import { run } from './commands/run.js';
import { runHelp } from './options.js';
import { unknown, UsageError } from './usage.js';

type Command = (args: string[]) => number | Promise<number>;
const commands: Record<string, Command> = { run, list, compare, report };

/** Without a command's name it is `run`: options alone are enough. */
async function main([first = '--', ...rest]: string[]): Promise<number> {
  if (first === '--list') return list(rest);
  if (first === '--help' || first === '-h' || first === 'help') return help();
  if (first.startsWith('-')) return run(first === '--' ? rest : [first, ...rest]);
  const command = commands[first];
  if (!command) throw unknown('command', first, Object.keys(commands));
  return command(rest);
}

function help(): number {
  process.stdout.write([runHelp, listHelp, compareHelp, reportHelp].join('\n'));
  return 0;
}

// `afunix-epoll` asks for the other engine by itself.
process.env['AFUNIX_ENGINE'] ||= 'io_uring';

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const expected = error instanceof UsageError;
    process.stderr.write(`${expected ? error.message : (error as Error).stack}\n`);
    process.exitCode = expected ? 2 : 1;
  },
);
