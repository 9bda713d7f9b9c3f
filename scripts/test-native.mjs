// Builds and runs the C++ tests with nothing but make and a C++ compiler. CMake builds the same tests
// from the same list, native/sources.txt.
//
//   node scripts/test-native.mjs [--tsan | --no-sanitize] [--file=<part of a name>] [sentence ...]
//
// AddressSanitizer and UndefinedBehaviorSanitizer are on unless another variant is asked for. The
// thread sanitizer has nothing to see where there is one thread: it runs the files that start some,
// or those that --file names. What is after the options selects tests whose sentence contains it.
// Tests of the engine run on epoll and on io_uring.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const compiler = process.env.CXX ?? 'c++';

// An older ThreadSanitizer does not expect memory where newer kernels place it at random.
function fixedAddresses() {
  const launcher = ['setarch', '-R'];
  return spawnSync('setarch', ['-R', 'true']).status === 0 ? launcher : [];
}

const variants = {
  asan: { flags: ['-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'] },
  // It knows no fences, and GCC says so: those of ours pair with the kernel's, not with a thread's.
  tsan: { flags: ['-O1', '-fsanitize=thread', '-Wno-tsan'], launcher: fixedAddresses() },
  plain: { flags: ['-O2'] },
};

const flagsOfAll = [
  '-std=c++20',
  '-fno-exceptions',
  '-g1', // Lines for the reports; more would only take longer to compile.
  '-fno-omit-frame-pointer',
  '-pthread',
  '-DAFUNIX_CHECKED',
  ...['-Wall', '-Wextra', '-Wshadow', '-Wconversion', '-Werror'],
  '-Inative',
];

function parseArguments(args) {
  const wanted = { variant: 'asan', explicit: false, file: '', sentences: [] };
  for (const arg of args) {
    if (arg === '--tsan') Object.assign(wanted, { variant: 'tsan', explicit: true });
    else if (arg === '--asan') Object.assign(wanted, { variant: 'asan', explicit: true });
    else if (arg === '--no-sanitize') Object.assign(wanted, { variant: 'plain', explicit: true });
    else if (arg.startsWith('--file=')) wanted.file = arg.slice('--file='.length);
    else if (arg.startsWith('--')) throw new Error(`unknown option ${arg}`);
    else wanted.sentences.push(arg);
  }
  return wanted;
}

// Some distributions ship the compiler without the sanitizers' libraries (Alpine).
function sanitizerProblem({ flags, launcher = [] }) {
  const directory = mkdtempSync(join(tmpdir(), 'afunix-'));
  try {
    const source = join(directory, 'probe.cc');
    const program = join(directory, 'probe');
    writeFileSync(source, 'int main() { return 0; }\n');
    const built = spawnSync(compiler, [...flags, source, '-o', program], { encoding: 'utf8' });
    if (built.error) return built.error.message;
    if (built.status !== 0) return built.stderr.trim().split('\n').at(-1);
    const [command, ...rest] = [...launcher, program];
    const ran = spawnSync(command, rest, { encoding: 'utf8' });
    return ran.status === 0 ? undefined : ran.stderr.trim().split('\n')[0];
  } finally {
    rmSync(directory, { recursive: true });
  }
}

// Why the kernel gives no io_uring here; undefined if it does.
function uringProblem() {
  const directory = mkdtempSync(join(tmpdir(), 'afunix-'));
  try {
    const source = join(directory, 'probe.cc');
    const program = join(directory, 'probe');
    writeFileSync(
      source,
      `#include <cstdio>
#include <cstring>
#include "posix/uring.h"
int main() {
  auto ring = afunix::posix::Uring::Open(1, 2);
  if (!ring.ok()) std::puts(std::strerror(ring.error().code));
  return ring.ok() ? 0 : 1;
}
`,
    );
    const sources = [source, 'native/posix/uring.cc', 'native/posix/fd.cc'];
    const flags = ['-std=c++20', '-Inative', ...sources, '-o', program];
    const built = spawnSync(compiler, flags, { cwd: root, encoding: 'utf8' });
    if (built.error) throw built.error;
    if (built.status !== 0) throw new Error(built.stderr);
    const ran = spawnSync(program, { encoding: 'utf8' });
    return ran.status === 0 ? undefined : ran.stdout.trim();
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function sourceLists() {
  const listed = readFileSync(join(root, 'native/sources.txt'), 'utf8')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  const core = listed.filter((path) => !path.startsWith('native/binding/'));
  const test = readdirSync(join(root, 'test/native'))
    .filter((name) => name.endsWith('.cc'))
    .sort()
    .map((name) => `test/native/${name}`);
  return {
    core,
    harness: test.filter((path) => !path.endsWith('_test.cc')),
    tests: test.filter((path) => path.endsWith('_test.cc')),
  };
}

// Paths are relative to the repository's root, where make runs.
function makefile(directory, flags, lists) {
  const object = (path) => `${directory}/${path}.o`;
  const program = (path) => `${directory}/${basename(path, '.cc')}`;
  const sources = [...lists.core, ...lists.harness, ...lists.tests];
  const shared = [...lists.core, ...lists.harness].map(object).join(' ');
  const rules = [
    `CXX = ${compiler}`,
    `CXXFLAGS = ${[...flagsOfAll, ...flags].join(' ')}`,
    `all: ${lists.tests.map(program).join(' ')}`,
    ...lists.tests.flatMap((path) => [
      `${program(path)}: ${object(path)} ${shared}`,
      '\t$(CXX) $(CXXFLAGS) $^ -o $@',
    ]),
    // A change of the flags changes this file, and everything is built again.
    ...sources.flatMap((path) => [
      `${object(path)}: ${path} ${directory}/Makefile`,
      `\t$(CXX) $(CXXFLAGS) -MMD -MP -c $< -o $@`,
    ]),
    ...sources.map((path) => `-include ${directory}/${path}.d`),
    '',
  ];
  return rules.join('\n');
}

function writeIfChanged(path, text) {
  let old;
  try {
    old = readFileSync(path, 'utf8');
  } catch {
    // Not there yet.
  }
  if (old !== text) writeFileSync(path, text);
}

function build(variant, lists) {
  const directory = `build-native/${variant}`;
  for (const path of [...lists.core, ...lists.harness, ...lists.tests]) {
    mkdirSync(join(root, directory, dirname(path)), { recursive: true });
  }
  const file = join(root, directory, 'Makefile');
  writeIfChanged(file, makefile(directory, variants[variant].flags, lists));
  const jobs = `-j${availableParallelism()}`;
  const made = spawnSync('make', ['--silent', jobs, '-f', file], { cwd: root, stdio: 'inherit' });
  if (made.error) throw made.error;
  if (made.status !== 0) {
    console.log('not ok - the C++ tests do not build\n0 passed, 1 failed');
    process.exit(1);
  }
  return lists.tests.map((path) => join(root, directory, basename(path, '.cc')));
}

// The output of one program stays together, so that programs can run beside each other.
function runOne({ program, engine }, sentences, launcher) {
  return new Promise((resolve, reject) => {
    const output = [];
    const [command, ...rest] = [...launcher, program, ...sentences];
    const child = spawn(command, rest, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        ...(engine === undefined ? {} : { AFUNIX_ENGINE: engine }),
        ASAN_OPTIONS: `detect_stack_use_after_return=1:${process.env.ASAN_OPTIONS ?? ''}`,
        UBSAN_OPTIONS: `print_stacktrace=1:${process.env.UBSAN_OPTIONS ?? ''}`,
        TSAN_OPTIONS: `halt_on_error=1:${process.env.TSAN_OPTIONS ?? ''}`,
      },
    });
    child.stdout.on('data', (chunk) => output.push(chunk));
    child.stderr.on('data', (chunk) => output.push(chunk));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const text = Buffer.concat(output).toString();
      const counts = /^(\d+) passed, (\d+) failed$/m.exec(text);
      const [passed, failed] = counts ? [Number(counts[1]), Number(counts[2])] : [0, 0];
      // A filter that belongs to another program selects nothing here.
      const nothing = counts !== null && passed + failed === 0 && sentences.length > 0;
      if (nothing) return resolve({ passed, failed });
      process.stdout.write(`# ${basename(program)}${engine ? ` on ${engine}` : ''}\n${text}`);
      if (code === 0) return resolve({ passed, failed });
      if (failed > 0) return resolve({ passed, failed });
      process.stdout.write(
        `not ok - ${basename(program)} ended with ${signal ?? `code ${code}`}\n`,
      );
      resolve({ passed, failed: 1 });
    });
  });
}

async function runAll(programs, sentences, launcher = []) {
  // Those about the engine run once on each.
  const waiting = programs.flatMap((program) =>
    basename(program).startsWith('engine_')
      ? engines.map((engine) => ({ program, engine }))
      : [{ program }],
  );
  const total = { passed: 0, failed: 0 };
  const worker = async () => {
    for (let program; (program = waiting.shift()) !== undefined;) {
      const { passed, failed } = await runOne(program, sentences, launcher);
      total.passed += passed;
      total.failed += failed;
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return total;
}

const wanted = parseArguments(process.argv.slice(2));
let { variant } = wanted;
const problem = variant === 'plain' ? undefined : sanitizerProblem(variants[variant]);
if (problem !== undefined) {
  if (wanted.explicit) throw new Error(`${variant} can't be used here: ${problem}`);
  console.log(`# without sanitizers, they can't be used here: ${problem}`);
  variant = 'plain';
}
const engines = ['epoll'];
const noUring = uringProblem();
if (noUring === undefined) engines.push('io_uring');
else console.log(`# on epoll only, there is no io_uring here: ${noUring}`);
const lists = sourceLists();
const startsThreads = (path) =>
  readFileSync(join(root, path), 'utf8').includes('#include <thread>');
lists.tests = lists.tests.filter((path) =>
  variant === 'tsan' && wanted.file === '' ? startsThreads(path) : path.includes(wanted.file),
);
const { passed, failed } = await runAll(
  build(variant, lists),
  wanted.sentences,
  variants[variant].launcher,
);
console.log(`# C++ tests (${variant})\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
