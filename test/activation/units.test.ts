/** The units and the program of docs/listening.md belong together, and work. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { freshDirectory } from '../helpers/socket-paths';
import { startManager, startService } from './support';

const root = path.dirname(require.resolve('afunix/package.json'));
const [, chapter = ''] = readFileSync(path.join(root, 'docs/listening.md'), 'utf8').split(
  '\n## Started by a service manager\n',
);
const blocks = (language: string): string[] =>
  [...chapter.matchAll(new RegExp('```' + language + '\n([^]*?)```', 'g'))].map(
    ([, text = '']) => text,
  );
const [socketUnit = '', serviceUnit = ''] = blocks('ini');
const [program = ''] = blocks('js');

function setting(unit: string, name: string): string {
  return new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1] ?? '';
}

test('path, name and mode are the same in the unit and in the program', () => {
  assert.ok(program.includes(`path: '${setting(socketUnit, 'ListenStream')}'`));
  assert.ok(program.includes(`name === '${setting(socketUnit, 'FileDescriptorName')}'`));
  assert.ok(program.includes(`mode: 0o${Number(setting(socketUnit, 'SocketMode'))}`));
  assert.equal(setting(serviceUnit, 'Type'), 'notify');
});

test('the program serves on the socket of the unit, and says that it is ready and that it stops', async (t) => {
  const directory = freshDirectory(t);
  const manager = await startManager(t, `${directory}/notify`, 3);
  const file = `${directory}/program.js`;
  // As CommonJS, which resolves the package from anywhere.
  const source = program
    .replace(/^import (.*) from '(.*)';$/gm, (_, names: string, from: string) => {
      const where = JSON.stringify(require.resolve(from));
      return names.startsWith('{')
        ? `const ${names} = require(${where});`
        : `const ${names} = require(${where}).default;`;
    })
    .concat("function serve(socket) { socket.on('error', () => {}); socket.end('served'); }");
  writeFileSync(file, source);
  const socket = `${directory}/${path.basename(setting(socketUnit, 'ListenStream'))}`;
  const service = startService(
    t,
    {
      sockets: [{ kind: 'stream', path: socket, name: setting(socketUnit, 'FileDescriptorName') }],
      env: {
        NOTIFY_SOCKET: `${directory}/notify`,
        WATCHDOG_USEC: String(Number(setting(serviceUnit, 'WatchdogSec')) * 1e6),
        PROGRAM: file,
      },
    },
    ({ require }) => {
      require(process.env['PROGRAM'] ?? '');
    },
  );
  const texts = [(await manager.received()).text, (await manager.received()).text];
  assert.deepEqual(texts.sort(), ['READY=1\nSTATUS=Serving', 'WATCHDOG=1']);
  assert.ok(statSync(socket).isSocket());
  service.child.kill('SIGTERM');
  assert.equal((await manager.received()).text, 'STOPPING=1');
  assert.deepEqual((await service.ended).code, 0);
});

const analyze = spawnSync('systemd-analyze', ['--version']);

test(
  'systemd understands the units',
  { skip: analyze.error === undefined ? false : 'systemd-analyze is not installed' },
  (t) => {
    const directory = freshDirectory(t);
    writeFileSync(`${directory}/example.socket`, socketUnit);
    // A program that is there.
    writeFileSync(
      `${directory}/example.service`,
      serviceUnit.replace(/^ExecStart=.*$/m, `ExecStart=${process.execPath}`),
    );
    const { stdout, stderr } = spawnSync(
      'systemd-analyze',
      ['verify', '--man=no', `${directory}/example.socket`],
      { encoding: 'utf8' },
    );
    // It looks at units of this machine as well.
    const ours = `${stdout}${stderr}`
      .split('\n')
      .filter((line) => /example\.(socket|service)/.test(line));
    assert.deepEqual(
      ours.filter((line) => /Unknown|ignoring|Failed to parse/.test(line)),
      [],
    );
  },
);
