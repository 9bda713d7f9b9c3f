/**
 * Performs programs that are made up over `net`, and over afunix: imported and by `afunix/register`, on both engines. Whatever differs is
 * made short and shown, unless docs/net-compatibility.md says that it is meant.
 *
 *   npm run test:differential -- [options]
 *     --seed <number>       the programs; a fresh one if not given, and printed
 *     --seconds <number>    how long (default 600)
 *     --programs <number>   how many at most
 *     --from <number>       the number of the first (default 0)
 *     --only <subject>      import/epoll, import/io_uring, register/epoll or register/io_uring; may be given several times
 *     --kind <kind>         only programs of this kind; may be given several times
 *     --node <binary>       the Node to test with (default: this one)
 *     --findings <number>   stop after so many different differences (default 5)
 */
import { parseArgs } from 'node:util';
import { Run } from './run';

const { values: options } = parseArgs({
  options: {
    seed: { type: 'string' },
    seconds: { type: 'string', default: '600' },
    programs: { type: 'string', default: 'Infinity' },
    from: { type: 'string', default: '0' },
    only: { type: 'string', multiple: true },
    kind: { type: 'string', multiple: true },
    node: { type: 'string', default: process.execPath },
    findings: { type: 'string', default: '5' },
  },
});

const seed = Number(options.seed ?? Math.floor(Math.random() * 1_000_000_000));
console.log(`Seed ${seed}`);

new Run({
  seed,
  seconds: Number(options.seconds),
  programs: Number(options.programs),
  from: Number(options.from),
  only: options.only,
  kinds: options.kind,
  node: options.node,
  findings: Number(options.findings),
})
  .go()
  .then((passed) => process.exit(passed ? 0 : 1))
  .catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
