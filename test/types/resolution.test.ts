/** What a program sees of the package's types, in each way that TypeScript finds modules: everything, and nothing of it as `any`. */
import assert from 'node:assert/strict';
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { tmpdir } from 'node:os';
import { after, test } from 'node:test';
import ts from 'typescript';

const root = dirname(require.resolve('afunix/package.json'));
const place = mkdtempSync(join(tmpdir(), 'afu-types-'));
after(() => rmSync(place, { recursive: true, force: true }));

// A copy: in the repository the ways of Node's own self-reference would be tried.
const installed = join(place, 'node_modules', 'afunix');
cpSync(join(root, 'dist'), join(installed, 'dist'), { recursive: true });
cpSync(join(root, 'package.json'), join(installed, 'package.json'));
for (const needed of ['@types', 'undici-types']) {
  symlinkSync(join(root, 'node_modules', needed), join(place, 'node_modules', needed));
}

const PROGRAM = `
import net, { createServer, type Socket } from 'afunix';
import { serve } from 'afunix/http';
import { createServer as createMessageServer } from 'afunix/seqpacket';
import { RawSocket } from 'afunix/raw';
import { sameUser } from 'afunix/credentials';
import { listeners } from 'afunix/activation';
import 'afunix/register';

type IsAny<T> = 0 extends 1 & T ? true : false;
const isTyped = <T>(_value: T, _isAny: IsAny<T>): void => undefined;
isTyped(net, false);
for (const value of [serve, RawSocket, sameUser, listeners] as const) isTyped(value, false);
net.createServer((socket) => {
  isTyped(socket, false);
  socket.detach().descriptor.close();
});
createServer((socket) => {
  const accepted: Socket = socket;
  isTyped(accepted.peerCredentials?.uid, false);
});
createMessageServer((socket) => isTyped(socket, false));
const socket: net.Socket = net.connect('/run/x.sock');
socket.on('data', (chunk) => isTyped(chunk, false)).end();
`;
const file = join(place, 'program.ts');
writeFileSync(file, PROGRAM);

const { ModuleKind, ModuleResolutionKind } = ts;
const ways: readonly [string, ts.ModuleKind, ts.ModuleResolutionKind][] = [
  ['node10', ModuleKind.CommonJS, ModuleResolutionKind.Node10],
  ['node16', ModuleKind.Node16, ModuleResolutionKind.Node16],
  ['nodenext', ModuleKind.NodeNext, ModuleResolutionKind.NodeNext],
  ['bundler', ModuleKind.ESNext, ModuleResolutionKind.Bundler],
  ['preserve', ModuleKind.Preserve, ModuleResolutionKind.Bundler],
];

for (const [name, module, moduleResolution] of ways) {
  test(`${name}: a program compiles under --strict, and so do the package's own declarations`, () => {
    const program = ts.createProgram([file], {
      strict: true,
      noEmit: true,
      esModuleInterop: true,
      target: ts.ScriptTarget.ES2022,
      types: ['node'],
      ignoreDeprecations: '6.0',
      skipLibCheck: false,
      module,
      moduleResolution,
    });
    const ours = program.getSourceFiles().filter(({ fileName }) => fileName.startsWith(place));
    const complaints = ours.flatMap((source) => program.getSemanticDiagnostics(source));
    assert.deepEqual(
      complaints.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n')),
      [],
    );
  });
}

test('no declaration needs typed arrays or Buffer to be generic, as they are only since TypeScript 5.7', () => {
  const folder = dirname(require.resolve('afunix'));
  const declarations = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.d\.[mc]?ts$/.test(name),
  );
  assert.notEqual(declarations.length, 0);
  for (const name of declarations) {
    const text = readFileSync(join(folder, name), 'utf8');
    assert.doesNotMatch(text, /\b(?:Int|Uint|Float|BigInt|BigUint)\d+Array<|\bBuffer</, name);
  }
});
