#!/usr/bin/env node
/** `afunix COMMAND ...`: what can be done with this package from a shell. */
import { bench } from './bench';

/** The exit code of a mistake on the command line. */
export const USAGE = 2;

type Command = (args: string[]) => number | undefined;

const commands: Record<string, { run: Command; summary: string }> = {
  bench: { run: bench, summary: 'measures Unix sockets and what they are compared with' },
};

function usage(): string {
  const lines = Object.entries(commands).map(([name, { summary }]) => `  ${name}  ${summary}\n`);
  return `Usage: afunix COMMAND [arguments]\n\n${lines.join('')}`;
}

function main([name, ...args]: string[]): number | undefined {
  if (name === '--help' || name === '-h') {
    process.stdout.write(usage());
    return 0;
  }
  const command = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command) return command.run(args);
  const mistake = name === undefined ? '' : `afunix has no command '${name}'\n\n`;
  process.stderr.write(mistake + usage());
  return USAGE;
}

process.exitCode = main(process.argv.slice(2));
