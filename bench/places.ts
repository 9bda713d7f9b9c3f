import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import * as path from 'node:path';

/** The benchmark's own package, in a checkout the checkout: two folders above the compiled file. */
export const packageRoot = path.resolve(__dirname, '../..');

/** Whether this is a checkout of afunix and not an installed afunix-bench. */
export const isCheckout = existsSync(path.join(packageRoot, 'binding.gyp'));

/** The afunix that is measured: the checkout, or the package that is installed beside. */
export const afunixRoot = isCheckout ? packageRoot : installedAfunix();

function installedAfunix(): string {
  try {
    return path.dirname(createRequire(__filename).resolve('afunix/package.json'));
  } catch {
    return packageRoot; // Its contenders say that it is missing.
  }
}

/** Where results go when nobody says where. */
export const resultsFolder = isCheckout
  ? path.join(packageRoot, 'bench/results')
  : path.resolve('afunix-bench-results');
