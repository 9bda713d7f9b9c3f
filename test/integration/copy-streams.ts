/** `pg-copy-streams`, which has no types of its own. */
import type { Duplex, Readable } from 'node:stream';
import type { Submittable } from 'pg';

interface CopyStreams {
  from(text: string): Duplex & Submittable;
  to(text: string): Readable & Submittable;
}

// eslint-disable-next-line @typescript-eslint/no-require-imports
export const { from: copyFrom, to: copyTo } = require('pg-copy-streams') as CopyStreams;
