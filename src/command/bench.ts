import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const PACKAGE = 'afunix-bench';

/** In a checkout the benchmark is beside the library, once it is built. */
const inCheckout = path.resolve(__dirname, '../../.build/bench/cli.js');

const explanation = `The benchmark is a package of its own, so that users of afunix need not install what it draws and
computes with. Add it where afunix is installed, and run this again:

  npm install --save-dev ${PACKAGE}
`;

/** Runs the benchmark in this process; without it, says where it is to be had. */
export function bench(args: string[]): number | undefined {
  const program = find();
  if (program === undefined) {
    process.stderr.write(explanation);
    return 1;
  }
  process.argv = [process.execPath, program, ...args];
  createRequire(__filename)(program);
  return undefined; // It sets the exit code when it is done.
}

/** From the project that is being worked in, or from beside this package. */
function find(): string | undefined {
  for (const from of [path.join(process.cwd(), 'package.json'), __filename]) {
    try {
      return createRequire(from).resolve(`${PACKAGE}/cli`);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  return existsSync(inCheckout) ? inCheckout : undefined;
}
