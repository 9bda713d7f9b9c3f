import { readdirSync } from 'node:fs';
import * as path from 'node:path';

import { buildOnce } from '../build.js';
import { packageRoot } from '../places.js';
import { programContender } from './program.js';

const sources = path.join(packageRoot, 'bench/go');

function build(): string {
  return buildOnce({
    output: 'go',
    dependsOn: [sources],
    command: (output) => [
      ...['go', 'build', '-o', output],
      ...readdirSync(sources).map((file) => path.join(sources, file)),
    ],
    // Only the standard library: no module to look for, and no C compiler needed.
    environment: { GO111MODULE: 'off', CGO_ENABLED: '0' },
    without: 'go is not installed (apt-get install golang-go, or https://go.dev/dl)',
  });
}

export const go = programContender({ id: 'go', title: 'Go', command: () => [build()] });
