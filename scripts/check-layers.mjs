// Proves that the code has the shape docs/architecture.md draws:
//
//   native/posix <- native/shm <- native/engine <- native/binding <- src/binding.ts <- src
//
// and that nothing unfinished or private is on its way into the repository.
// `--self-test` shows every rule failing on a small example.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fail, filesUnder, root } from './util.mjs';

const layers = ['posix', 'shm', 'engine', 'binding'];
const maxLines = 600;

// Written in pieces, so that this file passes its own check.
const unfinished = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X'].join('|')})\\b`);
const nodeHeader =
  /^(napi|napi-inl|node_api|node_api_types|js_native_api|uv|node|node_\w+|v8|v8-[\w-]+)\.h$/;
const nativeSource = /\.(cc|h)$/;

const lineOf = (text, index) => text.slice(0, index).split('\n').length;

function layerOf(file) {
  const [top, layer] = file.split('/');
  return top === 'native' ? layers.indexOf(layer) : -1;
}

function* includesOf(text) {
  for (const match of text.matchAll(
    /^[ \t]*#[ \t]*include(?:_next)?[ \t]*([<"])([^>"\n]+)[>"]/gm,
  )) {
    yield { quoted: match[1] === '"', header: match[2], line: lineOf(text, match.index) };
  }
}

// The file an include names, if it is one of ours: beside the includer, or below native/.
function ours(files, from, include) {
  const beside = path.posix.normalize(path.posix.join(path.posix.dirname(from), include.header));
  const below = path.posix.normalize(path.posix.join('native', include.header));
  return [include.quoted ? beside : below, below].find((file) => files.has(file));
}

function* checkIncludes(files) {
  for (const [file, text] of files) {
    if (!file.startsWith('native/') || !nativeSource.test(file)) continue;
    const layer = layerOf(file);
    if (layer < 0) {
      yield `${file}: not in a layer; native/ holds ${layers.join(', ')}`;
      continue;
    }
    for (const include of includesOf(text)) {
      const at = `${file}:${include.line}`;
      const base = path.posix.basename(include.header);
      const isNodeHeader =
        nodeHeader.test(base) || /^(uv|libplatform|cppgc)\//.test(include.header);
      const target = ours(files, file, include);
      if (target) {
        if (layerOf(target) > layer) {
          yield `${at}: includes upwards, ${layers[layer]} -> ${layers[layerOf(target)]} (${include.header})`;
        }
      } else if (isNodeHeader) {
        if (layers[layer] !== 'binding')
          yield `${at}: only native/binding may include <${include.header}>`;
      } else if (include.quoted) {
        yield `${at}: "${include.header}" is no file of ours`;
      }
    }
  }
}

function* checkSeam(files) {
  const loads = /node-gyp-build|\bdlopen\b|AFUNIX_ADDON|\.node['"`]/g;
  for (const [file, text] of files) {
    if (!file.startsWith('src/') || file === 'src/binding.ts') continue;
    // Comments may speak of the addon.
    const code = text.replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, (comment) =>
      comment.replace(/[^\n]/g, ' '),
    );
    for (const match of code.matchAll(loads)) {
      yield `${file}:${lineOf(code, match.index)}: only src/binding.ts loads the addon (${match[0]})`;
    }
  }
}

function* checkLength(files) {
  for (const [file, text] of files) {
    if (!/^(src|native)\//.test(file)) continue;
    const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
    if (lines > maxLines) yield `${file}: ${lines} lines; the limit is ${maxLines}`;
  }
}

// Each source file is compiled by exactly the list both build systems read.
function* checkSourceList(files) {
  const list = files.get('native/sources.txt');
  if (list === undefined) {
    yield 'native/sources.txt: missing';
    return;
  }
  const listed = list.split('\n').filter(Boolean);
  for (const file of listed) {
    if (!files.has(file)) yield `native/sources.txt: ${file} does not exist`;
  }
  for (const file of new Set(listed.filter((entry, at) => listed.indexOf(entry) !== at))) {
    yield `native/sources.txt: ${file} is listed twice`;
  }
  for (const file of files.keys()) {
    if (/^native\/.*\.cc$/.test(file) && !listed.includes(file))
      yield `${file}: not in native/sources.txt`;
  }
}

function* checkText(files, privatePaths) {
  for (const [file, text] of files) {
    if (file === 'package-lock.json') {
      const match = /"resolved": *"https?:[^"]*"/.exec(text);
      if (match) yield `${file}:${lineOf(text, match.index)}: records download addresses`;
      continue;
    }
    for (const [index, line] of text.split('\n').entries()) {
      const at = `${file}:${index + 1}`;
      if (unfinished.test(line)) yield `${at}: unfinished mark: ${line.trim()}`;
      const home = /\/(?:home|Users)\/[a-z][\w.-]*\//.exec(line)?.[0];
      const place = privatePaths.find((candidate) => line.includes(candidate)) ?? home;
      if (place) yield `${at}: machine path ${place}`;
    }
  }
}

const check = (files, privatePaths = []) => [
  ...checkIncludes(files),
  ...checkSeam(files),
  ...checkLength(files),
  ...checkSourceList(files),
  ...checkText(files, privatePaths),
];

// What git tracks or would track; without git (a source archive) everything outside build output.
function readRepository() {
  const git = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  const output = /^(\.git|\.build|\.cache|node_modules|build|build-[^/]*|dist|prebuilds)\//;
  const names =
    git.status === 0
      ? git.stdout.split('\0').filter(Boolean)
      : filesUnder('.').filter((file) => !output.test(file));
  const files = new Map();
  for (const name of new Set(names)) {
    const file = path.join(root, name);
    if (!fs.existsSync(file) || !fs.statSync(file).isFile()) continue;
    const bytes = fs.readFileSync(file);
    if (!bytes.includes(0)) files.set(name, bytes.toString('utf8'));
  }
  return files;
}

// This checkout's own place and its owner's home, unless they are places anybody might name.
function privatePaths() {
  const common = new Set(['/', '/tmp', '/var/tmp', '/home', '/opt', '/srv', '/mnt', os.tmpdir()]);
  return [root, path.dirname(root), os.homedir()]
    .filter((place) => !common.has(place))
    .map((place) => `${place}/`);
}

// One breach per example; each must be reported, and the sound tree must not.
function selfTest() {
  const sound = {
    'native/sources.txt': 'native/posix/fd.cc\nnative/binding/addon.cc\n',
    'native/posix/fd.h': '#pragma once\n#include <sys/un.h>\n',
    'native/posix/fd.cc': '#include "posix/fd.h"\n',
    'native/shm/ring.h': '#include "posix/fd.h"\n',
    'native/engine/engine.h': '#include "posix/fd.h"\n#include "shm/ring.h"\n',
    'native/binding/addon.cc': '#include <napi.h>\n#include <uv.h>\n#include "engine/engine.h"\n',
    'src/binding.ts': "load(require('node-gyp-build'))\n",
    'src/index.ts': "// binding.ts asks node-gyp-build\nimport './binding';\n",
    'package-lock.json': '{ "integrity": "sha512-" }\n',
  };
  const breaches = [
    ['napi.h below binding', 'native/engine/a.h', '#include <napi.h>\n', 'may include <napi.h>'],
    ['uv.h below binding', 'native/posix/a.h', '#  include <uv.h>\n', 'may include <uv.h>'],
    ['uv/ folder', 'native/shm/a.h', '#include <uv/errno.h>\n', 'may include <uv/errno.h>'],
    ['v8.h below binding', 'native/engine/a.h', '#include "v8.h"\n', 'may include <v8.h>'],
    ['posix -> shm', 'native/posix/a.h', '#include "shm/ring.h"\n', 'upwards, posix -> shm'],
    ['posix -> engine', 'native/posix/a.h', '#include "../engine/engine.h"\n', 'posix -> engine'],
    ['shm -> engine', 'native/shm/a.h', '#include <engine/engine.h>\n', 'upwards, shm -> engine'],
    ['unknown include', 'native/engine/a.h', '#include "nowhere.h"\n', 'no file of ours'],
    ['unknown layer', 'native/extra/a.h', '\n', 'not in a layer'],
    ['addon loaded elsewhere', 'src/a.ts', "require('node-gyp-build')\n", 'src/binding.ts loads'],
    ['.node file elsewhere', 'src/a.ts', "require('./x.node')\n", 'src/binding.ts loads'],
    ['dlopen elsewhere', 'src/a.ts', 'process.dlopen(m, f)\n', 'src/binding.ts loads'],
    ['long file', 'src/a.ts', 'x;\n'.repeat(maxLines + 1), `the limit is ${maxLines}`],
    ['long native file', 'native/posix/a.h', '\n'.repeat(maxLines + 1), `the limit is ${maxLines}`],
    ['unlisted source', 'native/posix/a.cc', '\n', 'not in native/sources.txt'],
    ['source list', 'native/sources.txt', 'native/posix/gone.cc\n', 'gone.cc does not exist'],
    ['source twice', 'native/sources.txt', 'native/posix/fd.cc\n'.repeat(2), 'listed twice'],
    ['unfinished mark', 'docs/a.md', `${'TO' + 'DO'}: later\n`, 'unfinished mark'],
    ['checkout path', 'test/a.ts', "'/checkout/of/mine/x'\n", 'machine path /checkout/of/mine/'],
    ['home path', 'test/a.ts', `'/home${'/somebody/'}x'\n`, 'machine path /home'],
    ['download address', 'package-lock.json', '"resolved": "https://a"\n', 'download addresses'],
  ];
  const wrong = check(new Map(Object.entries(sound))).map((line) => `sound tree: ${line}`);
  for (const [name, file, text, expected] of breaches) {
    const lines = check(new Map(Object.entries({ ...sound, [file]: text })), [
      '/checkout/of/mine/',
    ]);
    if (!lines.some((line) => line.startsWith(file) && line.includes(expected))) {
      wrong.push(`${name}: expected "${expected}", got ${JSON.stringify(lines)}`);
    }
  }
  if (wrong.length > 0) fail(`check-layers does not notice:\n  ${wrong.join('\n  ')}`);
  console.log(`check-layers: self-test passed, ${breaches.length} kinds of breach noticed`);
}

if (process.argv.includes('--self-test')) {
  selfTest();
} else {
  const files = readRepository();
  const lines = check(files, privatePaths());
  if (lines.length > 0) fail(`check-layers: ${lines.length} to mend\n  ${lines.join('\n  ')}`);
  console.log(`check-layers: ${files.size} files in order`);
}
