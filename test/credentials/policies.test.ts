/** Policies: three answers, and only one of them admits. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { socketpair } from 'afunix';
import {
  allOf,
  anyOf,
  executable,
  gid,
  group,
  label,
  not,
  PeerCredentials,
  type Policy,
  sameUser,
  uid,
} from 'afunix/credentials';
import {
  needs,
  NOBODY,
  OURS,
  serve,
  start,
  startClient,
  withoutPython,
  withoutRoot,
} from './support';

const ours = process.geteuid?.() ?? -1;
const group0 = process.getegid?.() ?? -1;

/** Us, as somebody else sees us. */
function us(): PeerCredentials {
  const [one, other] = socketpair();
  const peer = one.peerCredentials;
  assert.ok(peer !== null);
  // What is asked of the kernel later.
  assert.ok(peer.groups !== null || peer.label !== null || peer.reasons.groups !== undefined);
  one.destroy();
  other.destroy();
  return peer;
}

/** Somebody in a pid namespace that is not ours: the kernel says pid 0. */
function foreigner(): PeerCredentials {
  const Made = PeerCredentials as unknown as new (
    pid: number,
    uid: number,
    gid: number,
    source: { descriptor(): number },
  ) => PeerCredentials;
  return new Made(0, ours, group0, { descriptor: () => -1 });
}

async function answer(policy: Policy, peer: PeerCredentials): Promise<boolean> {
  try {
    await policy.check(peer);
    return true;
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'ERR_AFUNIX_REFUSED');
    return false;
  }
}

test('by user, group and names', async () => {
  const peer = us();
  const name = spawnSync('id', ['-un'], { encoding: 'utf8' }).stdout.trim();
  const groupName = spawnSync('id', ['-gn'], { encoding: 'utf8' }).stdout.trim();
  const cases: [Policy, boolean][] = [
    [sameUser(), true],
    [uid(ours), true],
    [uid(ours + 1), false],
    [uid(ours + 1, ours), true],
    [uid(name), true],
    [uid('no such user', name), true],
    [uid('no such user'), false],
    [gid(group0), true],
    [gid(groupName), true],
    [gid(group0 + 1), false],
    [group(group0), true],
    [group(groupName), true],
    [group('no such group'), false],
    [group(group0 + 77_777), false],
    [not(uid(ours + 1)), true],
    [not(uid(ours)), false],
    [not(uid(name)), false],
    [allOf(uid(ours), gid(group0)), true],
    [allOf(uid(ours), gid(group0 + 1)), false],
    [anyOf(uid(ours + 1), gid(group0)), true],
    [anyOf(uid(ours + 1), (given) => given.uid === ours), true],
    [allOf(uid(ours), () => Promise.resolve(false)), false],
    [not(() => false), true],
    [
      anyOf(
        () => Promise.resolve(false),
        uid(name),
        () => false,
      ),
      true,
    ],
  ];
  for (const [policy, expected] of cases) {
    assert.equal(await answer(policy, peer), expected, policy.description);
  }
});

test('what cannot be known is neither yes nor no', async () => {
  const peer = us();
  // Nobody can say who a misspelt name is not.
  for (const policy of [uid('no such user'), group('no such group'), gid('no such group')]) {
    assert.equal(await answer(policy, peer), false);
    assert.equal(await answer(not(policy), peer), false);
    assert.equal(await answer(not(not(policy)), peer), false);
    assert.equal(await answer(anyOf(policy, uid(ours)), peer), true);
    assert.equal(await answer(allOf(not(policy), uid(ours)), peer), false);
    assert.equal(await answer(not(allOf(policy, uid(ours))), peer), false);
    assert.equal(await answer(not(allOf(policy, uid(ours + 1))), peer), true);
  }
  for (const policy of [
    not(() => {
      throw new Error('no idea');
    }),
    not(() => undefined as never),
    not(() => Promise.reject(new Error('no idea'))),
  ]) {
    assert.equal(await answer(policy, peer), false);
  }
});

test('somebody in a foreign pid namespace is matched by none, and by the opposite of none', async () => {
  const peer = foreigner();
  assert.equal(peer.pid, null);
  assert.equal(peer.foreignPidNamespace, true);
  const policies = [
    sameUser(),
    uid(ours),
    gid(group0),
    group(group0),
    label('x'),
    executable(OURS),
  ];
  for (const policy of policies) {
    assert.equal(await answer(policy, peer), false, policy.description);
    assert.equal(await answer(not(policy), peer), false, `not ${policy.description}`);
  }
  // Only who decides for themselves.
  assert.equal(
    await answer(
      anyOf(({ uid }) => uid === ours),
      peer,
    ),
    true,
  );
});

describe('executable()', () => {
  test('knows our own, and not another', async (t) => {
    const { path, connection } = await serve(t, 'stream', {
      authorize: executable(OURS, '/nowhere/at all'),
    });
    const net = await import('afunix');
    const client = net.connect(path);
    t.after(() => client.destroy());
    await connection();
    const other = await serve(t, 'stream', { authorize: executable('/bin/sh') });
    const refusal = other.refusal();
    const second = net.connect(other.path).on('error', () => undefined);
    t.after(() => second.destroy());
    assert.match((await refusal).refusal.message, /runs none of \/bin\/sh/);
  });

  test('a process that has exited runs nothing', needs(withoutPython()), async (t) => {
    let goOn: () => void = () => undefined;
    const waited = new Promise<void>((resolve) => (goOn = resolve));
    const inspect = executable('/usr/bin/python3');
    const guarded = await serve(t, 'stream', {
      authorize: allOf(() => waited.then(() => true), inspect),
    });
    // Who has sent nothing and gone is not asked about any more.
    const program = `import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.send(b'x')
print('sent', flush=True)
sys.stdin.read()`;
    const client = start(t, ['/usr/bin/python3', '-c', program, guarded.path]);
    await client.line();
    const refusal = guarded.refusal();
    await client.end();
    goOn();
    assert.match((await refusal).refusal.message, /exited/);
  });

  test('wants an absolute path', () => {
    assert.throws(() => executable('sh'), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.throws(() => executable(), { code: 'ERR_INVALID_ARG_VALUE' });
  });
});

test('label() without a security module is not known', async () => {
  const peer = us();
  if (peer.label === null) {
    assert.equal(typeof peer.reasons.label, 'string');
    assert.equal(await answer(label('x'), peer), false);
    assert.equal(await answer(not(label('x')), peer), false);
  } else {
    assert.equal(await answer(label(peer.label), peer), true);
    assert.equal(await answer(not(label('x')), peer), true);
  }
});

test(
  'group() counts supplementary groups, gid() does not',
  needs(withoutRoot(), withoutPython()),
  async (t) => {
    const lines = readFileSync('/etc/group', 'utf8').split('\n');
    const [name = '', , number = ''] = lines.find((line) => /^audio:/.test(line))?.split(':') ?? [];
    const audio = name === '' ? 29 : Number(number);
    for (const [policy, expected] of [
      [group(audio), true],
      [group(name === '' ? audio : name), true],
      [gid(audio), false],
      [allOf(group(audio), uid(NOBODY)), true],
    ] as const) {
      const guarded = await serve(t, 'stream', { authorize: policy });
      const decided = Promise.race([guarded.connection(), guarded.refusal()]);
      startClient(t, 'stream', guarded.path, { uid: NOBODY, gid: NOBODY, groups: [audio] });
      await decided;
      assert.equal(guarded.sockets.length === 1, expected, policy.description);
    }
  },
);
