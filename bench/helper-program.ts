import { spawn, spawnSync } from 'node:child_process';

import { freePort, untilListening } from './listening-port.js';

const TEXT_KEPT = 500;

/**
 * Starts a program in the process group of this one, which is killed as a whole, and waits until it
 * listens on the port of 127.0.0.1 that it was told; which port that is.
 */
export async function startHelper(command: (port: number) => readonly string[]): Promise<number> {
  const port = await freePort();
  const [file, ...args] = command(port);
  const helper = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  let end: string | undefined;
  helper.stderr
    .setEncoding('utf8')
    .on('data', (text: string) => (stderr = (stderr + text).slice(-TEXT_KEPT)));
  helper.once('error', (error) => (end = `${file}: ${error.message}`));
  helper.once('exit', (code) => (end ??= `${file} ended with code ${code}: ${stderr.trim()}`));
  await untilListening(port, () => end);
  return port;
}

/** Throws, with the way to get it, when a program is not there. */
export function needProgram(name: string, versionOption: string, install: string): void {
  if (spawnSync(name, [versionOption], { stdio: 'ignore' }).error) {
    throw new Error(`${name} is not installed (${install})`);
  }
}
