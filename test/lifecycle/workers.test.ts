/** Worker threads are terminated in every state, and leave nothing behind. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { workerStates } from './worker-states';
import { afunixSpecifier, runLone } from '../helpers/lone-process';
import { freshDirectory, socketsNamed } from '../helpers/socket-paths';

const descriptors = require.resolve('../helpers/descriptors');
const fullBacklog = require.resolve('../helpers/full-backlog');

interface Result {
  readonly codes: Readonly<Record<string, number>>;
  readonly grown: Readonly<Record<string, number>>;
}

/** Terminates `count` workers in `state`, in a process that loads the library in its main thread, or does not. */
async function terminate(
  t: TestContext,
  state: string,
  count: number,
  inMain: boolean,
): Promise<Result> {
  const directory = freshDirectory(t);
  const source = `(${String(workerStates[state])})`;
  const paths = {
    descriptors,
    fullBacklog,
    afunix: afunixSpecifier,
    full: join(directory, 'full'),
  };
  const parameters = { directory, count, inMain, source, ...paths };
  const lines = await runLone(
    t,
    parameters,
    async ({ require, parameters, say }) => {
      const { directory, count, inMain, source, afunix, full } = parameters;
      const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads');
      const { takeCensus, grown } = require(
        parameters.descriptors,
      ) as typeof import('../helpers/descriptors');
      const { fillBacklog } = require(
        parameters.fullBacklog,
      ) as typeof import('../helpers/full-backlog');
      const program = `
        const { parentPort, workerData } = require('node:worker_threads');
        const net = require(workerData.afunix);
        let told = false;
        const ready = () => {
          if (!told) parentPort.postMessage('ready');
          told = true;
        };
        (${source})({ net, address: workerData.address, full: workerData.full, ready });
        // It is there until it is terminated.
        setInterval(() => undefined, 1e6);
      `;
      const codes: Record<string, number> = {};
      let made = 0;
      const once = (): Promise<void> =>
        new Promise((resolve, reject) => {
          const address = `${directory}/${(made += 1)}`;
          const worker = new Worker(program, { eval: true, workerData: { afunix, address, full } });
          worker.once('error', reject);
          worker.once('message', () => {
            // At an arbitrary moment after that.
            let turns = made % 4;
            const turn = (): void => {
              if ((turns -= 1) < 0) void worker.terminate();
              else setImmediate(turn);
            };
            turn();
          });
          worker.once('exit', (code) => {
            codes[code] = (codes[code] ?? 0) + 1;
            resolve();
          });
        });
      if (inMain) {
        const net = require(afunix) as typeof import('afunix');
        const [one, other] = net.socketpair();
        one.end('x');
        other.resume().on('close', () => one.destroy());
      }
      const backlog = await fillBacklog(full);
      await Promise.all([once(), once(), once()]);
      const before = takeCensus();
      for (let done = 0; done < count; done += 4)
        await Promise.all([once(), once(), once(), once()]);
      for (
        let wait = 0;
        wait < 400 && Object.keys(grown(before, takeCensus())).length > 0;
        wait += 1
      ) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      say(JSON.stringify({ codes, grown: grown(before, takeCensus()) }));
      await backlog.release();
    },
    // Nothing of the library's in the main thread unless it is asked for.
    { specifier: 'node:net', limit: 100_000 },
  );
  assert.deepEqual(
    readdirSync(directory).filter((name) => name !== 'full'),
    [],
    'socket files were left behind',
  );
  assert.equal(socketsNamed(directory), 0, 'sockets were left behind');
  return JSON.parse(lines.join('\n')) as Result;
}

const each = 16;

Object.keys(workerStates).forEach((state, index) => {
  const inMain = index % 2 === 0;
  const where = inMain ? 'the main thread uses the library, too' : 'the library is only in workers';
  test(`${each} workers are terminated while ${state}; ${where}`, async (t) => {
    const { codes, grown } = await terminate(t, state, each, inMain);
    assert.deepEqual(codes, { 1: each + 3 });
    assert.deepEqual(grown, {});
  });
});
