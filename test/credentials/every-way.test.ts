/** Every option that protects, in every way into `net`: it is followed, or there is an error, and never neither. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { freshDirectory } from '../helpers/socket-paths';
import type { Outcome } from './every-way-program';
import { needs, withoutPython } from './support';

const program = path.join(__dirname, 'every-way-program.js');
const withAnotherProcess = needs(withoutPython());

async function outcomes(
  t: TestContext,
  environment: Readonly<Record<string, string>>,
): Promise<readonly Outcome[]> {
  const folder = freshDirectory(t);
  chmodSync(folder, 0o755);
  const byRegister = environment['WAYS'] !== 'import';
  const load = byRegister ? ['--require', require.resolve('afunix/register')] : [];
  const child = spawn(process.execPath, [...load, program, folder], {
    env: { ...process.env, NODE_NO_WARNINGS: '1', ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const code = await new Promise((resolve) => child.once('close', resolve));
  assert.equal(code, 0);
  const all = text.trimEnd().split('\n');
  t.diagnostic(`${all.length} cases`);
  return all.map((line) => JSON.parse(line) as Outcome);
}

const words = ({ side, way, where, given, option, became }: Outcome): string =>
  [side, way, where, given, option, became].filter((word) => word !== '').join(', ');

const FILE = ['mode', 'uid', 'gid', 'stale', 'checkDirectory'];
const UNGUARDED = 'error ERR_AFUNIX_UNGUARDED';
const REFUSED = [UNGUARDED, 'error ERR_INVALID_ARG_VALUE'];

/** Those of which nobody here keeps sockets: `net` connects them, with whatever it was given. */
const ofSubclasses = [
  'a subclass of net.Socket',
  'a subclass of net.Socket, when made',
  'https.request',
  'tls.connect',
  'tls.connect, inherited',
  'tls.connect with a socket',
  'net.Socket of a descriptor',
  'http2.connect, secure',
];

/** Whether it can be followed at all. */
function canBeFollowed({ side, way, where, given, option }: Outcome): boolean {
  if (where === 'a port') return false;
  if (side === 'client') return !ofSubclasses.includes(way);
  if (option === 'passCredentials' && given !== 'when made' && !way.startsWith('serve()'))
    return false;
  return where !== 'an abstract name' || !FILE.includes(option);
}

/** What is not as it should be; `isOurs` says which ways are not left to `net`. */
function wrong(all: readonly Outcome[], isOurs: (outcome: Outcome) => boolean): readonly string[] {
  return all
    .filter((outcome) => {
      const { became } = outcome;
      if (isOurs(outcome) && canBeFollowed(outcome)) return became !== 'followed';
      return !REFUSED.includes(became);
    })
    .map(words);
}

const ofAfunix = ({ way }: Outcome): boolean => way.includes('afunix') || way.includes('serve()');

test('by import', withAnotherProcess, async (t) => {
  const all = await outcomes(t, { WAYS: 'import' });
  assert.ok(all.length > 200);
  assert.deepEqual(
    wrong(all, () => true),
    [],
  );
});

test('by afunix/register', withAnotherProcess, async (t) => {
  const all = await outcomes(t, { WAYS: 'register' });
  assert.ok(all.length > 900);
  assert.deepEqual(
    wrong(all, () => true),
    [],
  );
});

const leftToNet = {
  'AFUNIX_REGISTER=off': { AFUNIX_REGISTER: 'off' },
  'paths that AFUNIX_REGISTER_PATHS leaves out': { AFUNIX_REGISTER_PATHS: '/nowhere/' },
  'no addon': { AFUNIX_ADDON: '/nowhere/afunix.node' },
  'a setting that is none': { AFUNIX_ENGINE: 'steam' },
  'a method of net.Socket that somebody has replaced': { REPLACED: 'yes' },
};
for (const [name, environment] of Object.entries(leftToNet)) {
  test(`where node:net does it: ${name}`, withAnotherProcess, async (t) => {
    const all = await outcomes(t, { WAYS: 'net', ...environment });
    assert.ok(all.length > 700);
    assert.deepEqual(
      wrong(all, () => false),
      [],
    );
    const codes = new Set(all.map(({ became }) => became));
    assert.deepEqual([...codes], [UNGUARDED]);
  });
}

test('imported beside a register that is off', withAnotherProcess, async (t) => {
  const all = await outcomes(t, { WAYS: 'register', AFUNIX_REGISTER: 'off' });
  assert.deepEqual(wrong(all, ofAfunix), []);
});

test('in a cluster worker', withAnotherProcess, async (t) => {
  const all = await outcomes(t, { WAYS: 'register', IN_A_WORKER: 'yes' });
  assert.ok(all.length > 900);
  assert.deepEqual(
    wrong(all, ({ where }) => where === 'a path, exclusively'),
    [],
  );
});
