// Runs the compiled JavaScript suite, one process per file, each with a deadline.
//
//   node scripts/test.mjs [options] [part of a path ...]
//     --node <binary>       the Node to test with (default: this one)
//     --engine <name>       epoll or io_uring, for every test that does not choose itself (default: what
//                           AFUNIX_ENGINE says, else io_uring, of which there is more to test)
//     --without <path>      leave out files below this path; said out loud
//     --timeout <seconds>   per file (default 480, with AFUNIX_LONG=1 1200)
//     --concurrency <n>     files at a time (default: two per core; most of a test is waiting)
//     --verbose             every test's name, not only those of failing files
//
// `node --test` is not used for the whole: Node 26 gives a file that never ends all the time in the
// world, and no version says which file left a handle open.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { fail, filesUnder, jobs, root } from './util.mjs';

const { values: options, positionals: filters } = parseArgs({
  allowPositionals: true,
  options: {
    node: { type: 'string', default: process.execPath },
    engine: { type: 'string' },
    without: { type: 'string', multiple: true, default: [] },
    timeout: { type: 'string', default: process.env.AFUNIX_LONG === '1' ? '1200' : '480' },
    concurrency: { type: 'string', default: String(2 * jobs) },
    verbose: { type: 'boolean', default: false },
  },
});
process.env.AFUNIX_ENGINE = options.engine ?? (process.env.AFUNIX_ENGINE || 'io_uring');
const timeoutSeconds = Number(options.timeout);
const concurrency = Number(options.concurrency);
if (!(timeoutSeconds > 0) || !(concurrency > 0))
  fail('test: --timeout and --concurrency are numbers');

// Builds the addon and installs packages; starts and compiles many programs.
const slow = { folders: ['test/package/', 'test/benchmark/'], seconds: 600 };
const isSlow = (file) => slow.folders.some((folder) => file.startsWith(folder));

const tapFolder = path.join(root, '.build/test-results');
const tests = filesUnder('test').filter((file) => /\.test\.m?ts$/.test(file));
const leftOut = tests.filter((file) => options.without.some((start) => file.startsWith(start)));
const chosen = tests
  .filter((file) => !leftOut.includes(file))
  .filter((file) => filters.length === 0 || filters.some((part) => file.includes(part)));
if (chosen.length === 0)
  fail(`test: no test file matches ${filters.join(' ') || 'test/**/*.test.ts'}`);

// From the source, so that what is left of a deleted test never runs.
function compiled(file) {
  const output = path.join('.build', file.replace(/ts$/, 'js'));
  const built = fs.statSync(path.join(root, output), { throwIfNoEntry: false });
  if (!built || built.mtimeMs < fs.statSync(path.join(root, file)).mtimeMs) {
    fail(`test: ${output} is missing or older than ${file}: run \`npm run build\``);
  }
  return output;
}
const queue = chosen
  .map((file) => ({ file, output: compiled(file) }))
  .sort((a, b) => Number(isSlow(b.file)) - Number(isSlow(a.file)));

const counted = ['tests', 'suites', 'pass', 'fail', 'cancelled', 'skipped', 'todo'];
const totals = Object.fromEntries(counted.map((name) => [name, 0]));
const failed = [];
const notRun = [];
const running = new Set();

function killGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nobody of it is left.
  }
}

function execute({ file, output }) {
  const seconds = isSlow(file) ? Math.max(slow.seconds, timeoutSeconds) : timeoutSeconds;
  const tap = path.join(tapFolder, `${file.replaceAll('/', '+')}.tap`);
  fs.rmSync(tap, { force: true });
  const reporters = ['spec', 'stdout', 'tap', tap].map((value, index) =>
    index % 2 ? `--test-reporter-destination=${value}` : `--test-reporter=${value}`,
  );
  const started = process.hrtime.bigint();
  return new Promise((resolve) => {
    // A group of its own, so that what a test leaves behind goes with it.
    const child = spawn(options.node, ['--expose-gc', ...reporters, output], {
      cwd: root,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child.pid);
    const chunks = [];
    let late = false;
    let leftBehind = false;
    child.stdout.on('data', (chunk) => chunks.push(chunk));
    child.stderr.on('data', (chunk) => chunks.push(chunk));
    const deadline = setTimeout(() => {
      late = true;
      killGroup(child.pid);
    }, seconds * 1000);
    child.on('error', (error) => fail(`test: ${options.node}: ${error.message}`));
    child.on('exit', () => {
      killGroup(child.pid);
      // What moved to a group of its own may hold the pipes open for ever.
      setTimeout(() => {
        leftBehind = running.has(child.pid);
        child.stdout.destroy();
        child.stderr.destroy();
      }, 5000).unref();
    });
    child.on('close', (code, signal) => {
      clearTimeout(deadline);
      running.delete(child.pid);
      resolve({
        text: Buffer.concat(chunks).toString(),
        tap: fs.existsSync(tap) ? fs.readFileSync(tap, 'utf8') : '',
        took: Number(process.hrtime.bigint() - started) / 1e9,
        code,
        trouble: late
          ? `not finished after ${seconds} s (a test hangs, or a handle was left open)`
          : (signal && `killed by ${signal}`) ||
            (leftBehind ? 'left a process behind that holds its output' : undefined),
      });
    });
  });
}

function report({ file }, { text, tap, took, code, trouble }) {
  const numbers = Object.fromEntries(
    counted.map((name) => [
      name,
      Number(new RegExp(`^# ${name} (\\d+)$`, 'm').exec(tap)?.[1] ?? 0),
    ]),
  );
  for (const name of counted) totals[name] += numbers[name];
  const problem =
    trouble ??
    (numbers.tests === 0 ? 'no test ran' : undefined) ??
    (code === 0 ? undefined : `exit code ${code}`);
  if (problem && numbers.fail + numbers.cancelled === 0) {
    totals.tests += 1;
    totals.fail += 1;
  }
  for (const [, name, why] of tap.matchAll(/^ *(?:not )?ok \d+ - (.*?) # [A-Z]{4}(.*)$/gm)) {
    notRun.push(`${file}: ${name}${why && `:${why}`}`);
  }
  if (problem) failed.push(`${file}: ${problem}`);
  if (problem || options.verbose) console.log(text);
  const mark = problem ? '✖' : '✔';
  console.log(
    `${mark} ${file}  ${numbers.tests} tests, ${took.toFixed(1)} s${problem ? `: ${problem}` : ''}`,
  );
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    running.forEach(killGroup);
    process.exit(1);
  });
}

// Without its addon afunix is node:net, and most of the suite would pass.
if (process.platform === 'linux') {
  const look = `const f = require('./').features();
    if (f.engine === 'net') throw new Error(f.addon.reason);
    if (f.engineReason) throw new Error(f.engineReason);
    console.log('on ' + f.engine);`;
  const { status } = spawnSync(options.node, ['-e', look], { cwd: root, stdio: 'inherit' });
  if (status !== 0) fail('test: the addon or its engine is not there: run `npm run build`');
}

fs.mkdirSync(tapFolder, { recursive: true });
const started = process.hrtime.bigint();
const worker = async () => {
  for (let item = queue.shift(); item; item = queue.shift()) report(item, await execute(item));
};
await Promise.all(Array.from({ length: concurrency }, worker));

if (notRun.length > 0) console.log(`\nSkipped, or not expected to pass:\n  ${notRun.join('\n  ')}`);
if (leftOut.length > 0) console.log(`\nLeft out of this run:\n  ${leftOut.join('\n  ')}`);
if (failed.length > 0) console.log(`\nFailed:\n  ${failed.join('\n  ')}`);
const milliseconds = Number(process.hrtime.bigint() - started) / 1e6;
const summary = [...Object.entries(totals), ['duration_ms', milliseconds.toFixed(0)]];
console.log(`\n${summary.map(([name, value]) => `ℹ ${name} ${value}`).join('\n')}`);
process.exitCode = failed.length > 0 ? 1 : 0;
