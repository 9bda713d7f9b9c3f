/** Memory after many short connections is what it was after few. AFUNIX_LONG=1 makes it a million. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leanEnvironment, runLone } from '../helpers/lone-process';
import { freshPath } from '../helpers/socket-paths';

interface Sample {
  readonly connections: number;
  /** Of the whole process. */
  readonly resident: number;
  /** Of JavaScript: its heap, and what is outside of it. */
  readonly reachable: number;
}

const long = process.env['AFUNIX_LONG'] === '1';
const rounds = 12;
const perRound = (long ? 1_000_000 : 60_000) / rounds;

/** Kept by what the collector and the allocator do in their own time; the resident set breathes. */
const mayGrow = { resident: 12 << 20, reachable: 512 << 10 };

test(`${rounds * perRound} short connections leave memory where it was`, async (t) => {
  const lines = await runLone(
    t,
    { address: freshPath(t), rounds, perRound },
    async ({ net, parameters, say }) => {
      const { address, rounds, perRound } = parameters;
      const gc = (globalThis as unknown as { gc(): void }).gc;
      const server = net.createServer((peer) => peer.on('data', (chunk) => void peer.end(chunk)));
      await new Promise<void>((resolve) => server.listen(address, () => resolve()));
      const connect = (): Promise<void> =>
        new Promise((resolve) => {
          const client = net.connect(address);
          client.resume().on('close', () => resolve());
          client.write('hello');
        });
      const inRow = async (count: number): Promise<void> => {
        for (let number = 0; number < count; number += 1) await connect();
      };
      for (let round = 1; round <= rounds; round += 1) {
        await Promise.all(Array.from({ length: 20 }, () => inRow(perRound / 20)));
        // Twice, with turns between: finalizers run on the loop.
        for (let time = 0; time < 3; time += 1) {
          gc();
          await new Promise((resolve) => setImmediate(resolve));
        }
        const { rss, heapUsed, external } = process.memoryUsage();
        const sample = {
          connections: round * perRound,
          resident: rss,
          reachable: heapUsed + external,
        };
        say(JSON.stringify(sample));
      }
      server.close();
    },
    {
      // A fixed young generation: how large it gets is not the subject.
      execArgv: ['--expose-gc', '--max-semi-space-size=2', '--min-semi-space-size=2'],
      env: leanEnvironment(),
      limit: long ? 1_100_000 : 110_000,
    },
  );
  const samples = lines.map((line) => JSON.parse(line) as Sample);
  assert.equal(samples.length, rounds);
  const shown = samples
    .map(({ resident, reachable }) => `${resident >> 10}/${reachable >> 10}`)
    .join(' ');
  t.diagnostic(`KiB resident/reachable: ${shown}`);
  // Code is compiled, and tables grow to their size, in the first rounds.
  const [early, late] = [samples.slice(2, 5), samples.slice(-3)];
  for (const kind of ['resident', 'reachable'] as const) {
    const least = (some: readonly Sample[]): number =>
      Math.min(...some.map((sample) => sample[kind]));
    const growth = least(late) - least(early);
    assert.ok(growth <= mayGrow[kind], `${kind} memory grew by ${growth >> 10} KiB: ${shown}`);
  }
});
