// Runs the compiled suite under the stock Node with an addon built with the address and
// undefined-behaviour sanitizers. Arguments go to scripts/test.mjs.
//
// Node itself leaks at exit, so leaks cannot simply fail a process: every report is read here, and a
// leak counts when any frame of it is in our addon, or when it cannot be laid at Node's door.
// A LeakSanitizer suppression could not tell the two apart: each stack of ours ends in Node's frames.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fail, nodeGyp, root, run, works } from './util.mjs';

const folder = path.join(root, '.build/asan');
const reports = path.join(folder, 'reports');
const addon = path.join(folder, 'build/Release/afunix.node');
const compiler = process.env.CXX || 'c++';
const sanitizers = 'address,undefined';

function runtime() {
  const { stdout, status } = spawnSync(compiler, ['-print-file-name=libasan.so'], {
    encoding: 'utf8',
  });
  const file = stdout?.trim();
  if (status !== 0 || !path.isAbsolute(file)) fail(`test-asan: ${compiler} has no libasan.so`);
  return fs.realpathSync(file);
}

// node-gyp always builds into ./build, so the sanitized build has a folder of links.
function build() {
  fs.mkdirSync(folder, { recursive: true });
  for (const name of ['binding.gyp', 'package.json', 'native', 'node_modules']) {
    fs.rmSync(path.join(folder, name), { force: true });
    fs.symlinkSync(path.join(root, name), path.join(folder, name));
  }
  nodeGyp(folder, ['configure', '--release', '--loglevel=warn', '--', `-Dsanitize=${sanitizers}`]);
  nodeGyp(folder, ['build', '--release', '--loglevel=warn']);
}

// A `node` that preloads the sanitizer into itself and, through process.execPath, into every Node
// started from it; nginx, a shell or Python started by a test stays as it is.
function writeNode(libasan) {
  const bin = path.join(folder, 'bin');
  const node = path.join(bin, 'node');
  const hook = path.join(bin, 'preload.cjs');
  fs.mkdirSync(bin, { recursive: true });
  fs.writeFileSync(
    hook,
    `delete process.env.LD_PRELOAD;\nprocess.execPath = ${JSON.stringify(node)};\n`,
  );
  fs.writeFileSync(
    node,
    `#!/bin/sh\nLD_PRELOAD='${libasan}' exec '${process.execPath}' --require '${hook}' "$@"\n`,
    { mode: 0o755 },
  );
  return node;
}

const environment = {
  ...process.env,
  AFUNIX_ADDON: addon,
  ASAN_OPTIONS: [
    'detect_leaks=1',
    'detect_stack_use_after_return=1',
    'strict_string_checks=1',
    'check_initialization_order=1',
    'handle_abort=0',
    // Enough to see who allocated; each frame of compiled JavaScript costs LeakSanitizer milliseconds.
    'malloc_context_size=10',
    'exitcode=99',
    'stack_trace_format="    #%n %p %F %L {%m}"',
    `log_path=${path.join(reports, 'asan')}`,
  ].join(':'),
  // See the top: leaks are judged here.
  LSAN_OPTIONS: 'exitcode=0:report_objects=0',
  // Inside a preloaded ASan this one always writes to stderr; its exit code fails the test.
  UBSAN_OPTIONS: 'print_stacktrace=1:exitcode=99',
};

function emptyReports() {
  fs.rmSync(reports, { recursive: true, force: true });
  fs.mkdirSync(reports, { recursive: true });
}

// Whether an addon allocated it, by itself or through a Node-API call. What V8's heap allocates is
// V8's, whoever asked: process.exit() leaves the heap standing, where LeakSanitizer sees nothing. So is
// what JavaScript allocates that an addon called. What nobody can be found for is ours.
function isOurs(leak) {
  const nodes = new Set([process.execPath, fs.realpathSync(process.execPath)]);
  let throughNode = false;
  for (const [, what, module] of leak.matchAll(/^ +#\d+ \S+ (.*) ?\{(.*)\}$/gm)) {
    if (module.endsWith('.node')) return true;
    if (/\.so(\.|$)/.test(module)) continue;
    // Below Node: compiled JavaScript. On top: code that has been unloaded.
    if (!nodes.has(module)) return !throughNode;
    if (/^in (Builtins_|(\S+ )?v8::internal::)/.test(what)) return false;
    throughNode = true;
  }
  return !throughNode;
}

function readReports() {
  const ours = [];
  let leaksOfNode = 0;
  for (const name of fs.readdirSync(reports)) {
    const text = fs.readFileSync(path.join(reports, name), 'utf8');
    if (!text.includes('ERROR: LeakSanitizer')) {
      // Notes, such as that a thread ended while it was looked at, are no findings.
      if (/ERROR|fatal error/.test(text)) ours.push(`${name}\n${text}`);
      continue;
    }
    for (const leak of text.split(/\n(?=(?:Direct|Indirect) leak of )/).slice(1)) {
      if (isOurs(leak)) ours.push(`${name}\n${leak}`);
      else leaksOfNode += 1;
    }
  }
  return { ours, leaksOfNode };
}

// A sanitizer that is not there finds nothing: each run first shows that mistakes in an addon are seen.
function proveThatItBites(node) {
  const mistakes = {
    leak: ['static char* volatile kept; kept = new char[77]; kept = nullptr;', 'leak of 77 byte'],
    overflow: ['char* volatile p = new char[8]; p[8] = 1; delete[] p;', 'heap-buffer-overflow'],
    undefined: ['int volatile n = 2147483647; n = n + 1;', 'signed integer overflow'],
  };
  const canary = path.join(folder, 'canary');
  for (const [name, [code, expected]] of Object.entries(mistakes)) {
    emptyReports();
    const file = `${canary}-${name}.node`;
    fs.writeFileSync(
      `${canary}.cc`,
      `extern "C" __attribute__((noinline, visibility("default")))\nvoid* napi_register_module_v1(void*, void* exports) { ${code} return exports; }\n`,
    );
    const flags = [
      `-fsanitize=${sanitizers}`,
      '-fno-sanitize-recover=all',
      '-shared',
      '-fPIC',
      '-g',
      '-Wl,-z,nodelete',
    ];
    run(compiler, [...flags, '-fno-omit-frame-pointer', '-o', file, `${canary}.cc`]);
    // In a worker: its stack is gone by the time leaks are looked for.
    const load = `require(${JSON.stringify(file)})`;
    const script = `new (require('worker_threads').Worker)(${JSON.stringify(load)}, { eval: true })`;
    const { status, stderr } = spawnSync(node, ['-e', script], {
      env: environment,
      encoding: 'utf8',
    });
    const { ours } = readReports();
    const seen = [...ours, status === 0 ? '' : stderr].join('\n');
    if (!seen.includes(expected)) {
      fail(`test-asan: a deliberate ${name} in an addon went unnoticed\n${stderr}`);
    }
  }
  emptyReports();
}

if (process.platform !== 'linux') fail('test-asan: the addon is for Linux');
if (!works(compiler)) fail(`test-asan: ${compiler} is missing`);
build();
const node = writeNode(runtime());
proveThatItBites(node);

const suite = spawnSync(
  process.execPath,
  // The package test compiles a build of its own, without the sanitizers.
  [
    'scripts/test.mjs',
    '--node',
    node,
    '--timeout',
    '900',
    '--without',
    'test/package/',
    ...process.argv.slice(2),
  ],
  { cwd: root, stdio: 'inherit', env: environment },
);
const { ours, leaksOfNode } = readReports();
console.log(`\nSanitizer reports: ${ours.length} of ours, ${leaksOfNode} leaks of Node's own`);
if (ours.length > 0) fail(ours.join('\n\n'));
if (suite.status !== 0) fail('test-asan: the suite failed');
