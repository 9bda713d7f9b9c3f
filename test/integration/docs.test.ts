/** The documentation names what there is: files, members, exports, codes, and the tests that it calls as witnesses. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import nodeNet from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import net, { features, stats } from 'afunix';
import { root } from './support';

const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');

function filesUnder(folder: string, extension: string): string[] {
  return readdirSync(path.join(root, folder), { recursive: true })
    .map((file) => path.join(folder, String(file)))
    .filter((file) => file.endsWith(extension));
}

const pages = ['README.md', 'CHANGELOG.md', ...filesUnder('docs', '.md')];

for (const page of pages) {
  test(`${page}: links lead somewhere`, () => {
    for (const [, target = ''] of read(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [file = '', anchor] = target.split('#');
      const place = file === '' ? page : path.join(path.dirname(page), file);
      assert.ok(existsSync(path.join(root, place)), target);
      if (anchor !== undefined) assert.ok(anchors(read(place)).has(anchor), target);
    }
  });
}

/** As repositories make them of headings. */
function anchors(markdown: string): Set<string> {
  const headings = [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, text = '']) => text);
  return new Set(
    headings.map((text) =>
      text
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .replace(/\s/g, '-'),
    ),
  );
}

test('the compatibility table has every member of net.Socket and net.Server', () => {
  const table = read('docs/net-compatibility.md');
  const named = new Set([...table.matchAll(/`([\w.[\]]+)(?:\(\))?`/g)].map(([, name]) => name));
  const missing: string[] = [];
  for (const prototype of [nodeNet.Socket.prototype, nodeNet.Server.prototype] as object[]) {
    for (const member of Object.getOwnPropertyNames(prototype)) {
      if (!named.has(member)) missing.push(member);
    }
  }
  assert.deepEqual(missing, []);
});

test('the tests that the compatibility table names exist', () => {
  const table = read('docs/net-compatibility.md');
  const rows = [...table.matchAll(/^\|.*\| ([^|]+) \|$/gm)].map(([, cell = '']) => cell);
  const names = rows.flatMap((cell) =>
    [...cell.matchAll(/`([\w/-]+)`/g)].map(([, name = '']) => name),
  );
  assert.ok(names.length > 20);
  const missing = names.filter((name) => {
    const file = name.includes('/') ? name : `conformance/${name}`;
    return !existsSync(path.join(root, 'test', `${file}.test.ts`));
  });
  assert.deepEqual(missing, []);
});

test('api.md has every export, feature and counter', () => {
  const api = read('docs/api.md');
  const exported = Object.keys(net).filter(
    (name) => !name.startsWith('_') && name !== 'default' && !isOfNet(name),
  );
  const names = [...exported, ...Object.keys(features()), ...Object.keys(stats())];
  assert.deepEqual(
    names.filter((name) => !new RegExp(`\\b${name}\\b`).test(api)),
    [],
  );
});

/** Handed on as it is. */
function isOfNet(name: string): boolean {
  return Reflect.get(net, name) === Reflect.get(nodeNet, name);
}

test('api.md has every error code and every option that the source has', () => {
  const api = read('docs/api.md');
  const sources = filesUnder('src', '.ts').map(read);
  const codes = sources.flatMap((source) =>
    [...source.matchAll(/'(ERR_[A-Z_]+)'/g)].map(([, code = '']) => code),
  );
  const options = ['src/socket/options.ts', 'src/server/options.ts'].flatMap((file) =>
    [...read(file).matchAll(/^ {2}(\w+)\??:/gm)].map(([, option = '']) => option),
  );
  const missing = [...new Set([...codes, ...options])].filter(
    (name) => !new RegExp(`\\b${name}\\b`).test(api),
  );
  assert.deepEqual(missing, []);
});
