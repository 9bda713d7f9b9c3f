import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

const root = path.dirname(require.resolve('afunix/package.json'));
const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'afunix-pack-'));
/** A copy of the checkout: building the shipped binary empties `build/`, which others are using. */
const stage = path.join(temporary, 'stage');
const project = path.join(temporary, 'project');
const installed = path.join(project, 'node_modules/afunix');

interface Smoke {
  addon: string;
  engine: string;
}

function run(command: string, args: string[], cwd: string, env?: NodeJS.ProcessEnv): string {
  return execFileSync(command, args, {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** Any call of a compiler, of make or of Python would fail. */
const noTools = { PATH: path.join(temporary, 'bin'), CC: 'false', CXX: 'false', MAKE: 'false' };

function smoke(file: string): Smoke {
  // The binary must be found without any help from the environment.
  const env = { ...noTools, AFUNIX_ADDON: undefined, PREBUILDS_ONLY: undefined };
  return JSON.parse(run(process.execPath, [file], project, env)) as Smoke;
}

let packed: string[] = [];

before(() => {
  fs.cpSync(root, stage, {
    recursive: true,
    filter: (source) =>
      !/^(\.git|\.cache|node_modules|build|build-[^/]*|prebuilds|\.build\/(?!test).*)$/.test(
        path.relative(root, source),
      ),
  });
  fs.symlinkSync(path.join(root, 'node_modules'), path.join(stage, 'node_modules'));
  run(process.execPath, ['scripts/prebuild.mjs'], stage);

  const [pack] = JSON.parse(run('npm', ['pack', '--json', '--ignore-scripts'], stage)) as [
    { filename: string; files: { path: string }[] },
  ];
  packed = pack.files.map((file) => file.path);

  fs.mkdirSync(project);
  fs.writeFileSync(path.join(project, 'package.json'), '{ "private": true }\n');
  const tarball = path.join(stage, pack.filename);
  const { PATH: _, ...noCompiler } = noTools;
  run(
    'npm',
    [
      'install',
      '--ignore-scripts',
      '--omit=dev',
      '--prefer-offline',
      '--no-audit',
      '--no-fund',
      tarball,
    ],
    project,
    noCompiler,
  );
  fs.mkdirSync(noTools.PATH);
});

after(() => fs.rmSync(temporary, { recursive: true, force: true }));

describe('the package', () => {
  test('holds no tests and no build output', () => {
    const foreign =
      /^(test|build|\.build|\.cache|\.ci|\.github|scripts|node_modules)\/|\.test\.|\.(o|a|tgz|tsbuildinfo)$/;
    assert.deepEqual(
      packed.filter((file) => foreign.test(file)),
      [],
    );
  });

  test('holds what its users need', () => {
    const { version: _, ...manifest } = JSON.parse(
      fs.readFileSync(path.join(installed, 'package.json'), 'utf8'),
    ) as { version: string; main: string; types: string; exports: unknown; bin?: unknown };
    const targets = JSON.stringify([manifest.main, manifest.types, manifest.exports, manifest.bin])
      .match(/\.\/[^"]+\.\w+/g)!
      .map((file) => path.normalize(file));
    const prebuilt = packed.filter((file) => file.startsWith('prebuilds/'));
    assert.equal(prebuilt.length, 1);
    assert.match(prebuilt[0], /^prebuilds\/linux-\w+\/afunix\.uv1\.(glibc|musl)\.node$/);
    for (const file of [...targets, 'LICENSE', 'README.md', 'CHANGELOG.md']) {
      if (!file.includes('*')) assert.ok(packed.includes(file), `${file} is not in the tarball`);
    }
  });

  test('installs with one dependency and without running anything', () => {
    const modules = fs
      .readdirSync(path.join(project, 'node_modules'))
      .filter((name) => !name.startsWith('.'));
    assert.deepEqual(modules.sort(), ['afunix', 'node-gyp-build']);
    assert.ok(!fs.existsSync(path.join(installed, 'build')));
  });

  test('import loads the shipped binary, which carries an echo', () => {
    fs.copyFileSync(path.join(root, 'scripts/smoke.mjs'), path.join(project, 'smoke.mjs'));
    const { addon } = smoke('smoke.mjs');
    assert.equal(
      path.dirname(path.dirname(addon)),
      path.join(fs.realpathSync(installed), 'prebuilds'),
    );
  });

  test('require loads the shipped binary, which carries an echo', () => {
    fs.writeFileSync(
      path.join(project, 'smoke.cjs'),
      `const { createServer, connect, stats } = require('afunix');
       const { join } = require('node:path');
       const file = join(__dirname, 's');
       const server = createServer((socket) => socket.pipe(socket)).listen(file, () => {
         let answer = '';
         connect(file)
           .on('data', (chunk) => (answer += chunk))
           .on('close', () => {
             server.close();
             if (answer !== 'carried') throw new Error(answer);
             const maps = require('node:fs').readFileSync('/proc/self/maps', 'utf8');
             const addon = /\\S+\\/afunix[^/\\s]*\\.node$/m.exec(maps)[0];
             console.log(JSON.stringify({ addon, engine: stats().engine }));
           })
           .end('carried');
       });`,
    );
    const { addon, engine } = smoke('smoke.cjs');
    assert.notEqual(engine, 'net');
    assert.equal(
      path.dirname(path.dirname(addon)),
      path.join(fs.realpathSync(installed), 'prebuilds'),
    );
  });

  test('types resolve for import and for require under NodeNext', () => {
    const program = (takeIn: string): string => `
      import { Duplex } from 'node:stream';
      import { RawSocket } from 'afunix/raw';
      ${takeIn}
      const server: net.Server = net.createServer((socket) => { socket.end(); });
      const duplex: Duplex = net.connect({ path: '/run/x.sock' }, () => {});
      // @ts-expect-error types that are really there refuse this
      net.connect({ path: 1 });
      const raw: number = RawSocket.socket('stream').fd;
      export { server, duplex, raw };
    `;
    fs.writeFileSync(path.join(project, 'esm.mts'), program("import * as net from 'afunix';"));
    fs.writeFileSync(path.join(project, 'cjs.cts'), program("import net = require('afunix');"));
    fs.writeFileSync(
      path.join(project, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          target: 'ES2022',
          module: 'NodeNext',
          strict: true,
          skipLibCheck: false,
          noEmit: true,
          typeRoots: [path.join(root, 'node_modules/@types')],
          types: ['node'],
        },
        files: ['esm.mts', 'cjs.cts'],
      }),
    );
    run(process.execPath, [path.join(root, 'node_modules/typescript/bin/tsc'), '-p', '.'], project);
  });
});
