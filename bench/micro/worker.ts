/** Runs one suite and sends its results to the process that started this one. */
import Benchmark from 'benchmark';

import { suiteById } from './index.js';
import type { MicroCase, MicroResult } from './micro-suite.js';

function add(suite: Benchmark.Suite, { name, run, deferred }: MicroCase, maxTime: number): void {
  if (deferred) {
    suite.add(name, {
      maxTime,
      defer: true,
      fn: (deferral: Benchmark.Deferred) => {
        run(() => {
          deferral.resolve();
        });
      },
    });
  } else {
    suite.add(name, run, { maxTime });
  }
}

/** What a benchmark knows when it has run; the package's own types leave `error` out. */
interface Finished {
  error?: unknown;
  hz: number;
  stats: Benchmark.Stats;
}

async function runSuite(id: string, maxTime: number): Promise<MicroResult[]> {
  const cases = await suiteById(id).prepare();
  const suite = new Benchmark.Suite(id);
  for (const item of cases) add(suite, item, maxTime);
  const finished: Finished[] = [];
  await new Promise<void>((resolve) => {
    suite.on('cycle', (event: Benchmark.Event) => finished.push(event.target as Finished));
    suite.on('complete', () => resolve());
    suite.run({ async: true });
  });
  return finished.map(({ error, hz, stats }, index) => {
    if (error instanceof Error) throw error;
    return {
      name: cases[index].name,
      nanosecondsPerOperation: 1e9 / hz / cases[index].operations,
      marginPercent: stats.rme,
      samples: stats.sample.length,
      times: stats.sample.map((seconds) => (1e9 * seconds) / cases[index].operations),
    };
  });
}

const [id = '', maxTime = ''] = process.argv.slice(2);
runSuite(id, Number(maxTime)).then(
  (results) => process.send?.({ results }, () => process.exit()),
  (error: unknown) => {
    const text = error instanceof Error ? error.message : String(error);
    process.send?.({ error: text }, () => process.exit(1));
  },
);
