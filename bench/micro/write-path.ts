import { once } from 'node:events';
import { rmSync } from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';

import type { Connection } from '../contenders/contender.js';
import { javaScriptContenderById } from '../contenders/index.js';
import type { MicroCase, MicroSuite } from './micro-suite.js';

const MESSAGES = 64;
const LENGTHS = [128, 4 * 1024];

/** Two connected ends in this process. */
async function connectedPair(contender: string): Promise<{ near: Connection; far: Connection }> {
  const { listen, connect } = javaScriptContenderById(contender);
  const socketPath = path.join(os.tmpdir(), `micro-${process.pid}-${contender}.sock`);
  let accept: (connection: Connection) => void;
  const accepted = new Promise<Connection>((resolve) => (accept = resolve));
  const near = connect(await listen(socketPath, (connection) => accept(connection)));
  await once(near, 'connect');
  const far = await accepted;
  rmSync(socketPath, { force: true });
  return { near, far };
}

/** Writes a burst at one end and is done when all of it has come out of the other. */
async function burst(contender: string, length: number): Promise<MicroCase> {
  const { near, far } = await connectedPair(contender);
  const message = Buffer.alloc(length, 1);
  let missing = 0;
  let done: (() => void) | undefined;
  far.on('data', (chunk: Buffer) => {
    missing -= chunk.length;
    if (missing === 0) done?.();
  });
  return {
    name: `${contender}: ${MESSAGES} writes of ${length} B, until they have arrived`,
    operations: MESSAGES,
    deferred: true,
    run: (whenDone: () => void) => {
      missing = MESSAGES * length;
      done = whenDone;
      for (let i = 0; i < MESSAGES; i++) near.write(message);
    },
  };
}

/** The whole way of a write, both ends in one process, so that no wake-up of a core is in it. */
export const writePath: MicroSuite = {
  id: 'write-path',
  description: 'from write() to the other end, in one process',
  prepare: async () => {
    const cases: MicroCase[] = [];
    for (const length of LENGTHS) {
      for (const contender of ['net-unix', 'afunix']) cases.push(await burst(contender, length));
    }
    return cases;
  },
};
