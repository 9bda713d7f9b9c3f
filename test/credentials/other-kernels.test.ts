/** What other kernels say of a peer: with a security module, and before they knew of groups and pidfds. */
import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { label } from 'afunix/credentials';
import { runLone } from '../helpers/lone-process';
import { type OtherKernel, otherKernel, withoutOtherKernels } from '../helpers/other-kernel';
import { needs } from './support';

const EACCES = 13;
const ESRCH = 3;
const EINVAL = 22;
const ENOPROTOOPT = 92;

interface Seen {
  readonly text: string | null;
  readonly hex: string | null;
  readonly reason: string | undefined;
  /** By policy: whether it admits. */
  readonly admitted: readonly boolean[];
}

/** What a socket tells of its label there, and which of `label(one)` and `not(label(one))` admit it. */
async function labelled(
  t: TestContext,
  kernel: OtherKernel,
  wanted: readonly (string | { hex: string })[],
): Promise<Seen> {
  const lines = await runLone(
    t,
    { wanted },
    async ({ net, require, parameters: { wanted }, say }) => {
      const { label, not } = require('afunix/credentials') as typeof import('afunix/credentials');
      const [one, other] = net.socketpair();
      const peer = one.peerCredentials;
      if (peer === null) throw new Error('nobody there');
      const admitted: boolean[] = [];
      for (const given of wanted) {
        const policy = label(typeof given === 'string' ? given : Buffer.from(given.hex, 'hex'));
        for (const each of [policy, not(policy)]) {
          admitted.push(
            await each.check(peer).then(
              () => true,
              () => false,
            ),
          );
        }
      }
      const hex = peer.labelBytes?.toString('hex') ?? null;
      say(JSON.stringify({ text: peer.label, hex, reason: peer.reasons.label, admitted }));
      one.destroy();
      other.destroy();
    },
    { env: otherKernel(t, kernel) },
  );
  return JSON.parse(lines.join('\n')) as Seen;
}

describe('a security label', needs(withoutOtherKernels()), () => {
  test('is told without the NUL that some modules put behind it, and matched byte by byte', async (t) => {
    const context = 'system_u:system_r:sshd_t:s0';
    for (const end of ['', '\0']) {
      const bytes = Buffer.from(`${context}${end}`);
      const seen = await labelled(t, { label: bytes }, [
        context,
        `${context}\0`,
        { hex: Buffer.from(context).toString('hex') },
        context.toUpperCase(),
        context.slice(0, -1),
        `${context}0`,
      ]);
      assert.equal(seen.text, context);
      assert.deepEqual(seen.admitted, [
        ...[true, false],
        ...[true, false],
        ...[true, false],
        ...[false, true],
        ...[false, true],
        ...[false, true],
      ]);
    }
  });

  test('may be longer than anybody expected, and of bytes that are no text', async (t) => {
    const bytes = Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 7 + 1) & 0xff));
    const text = bytes.toString('latin1');
    const seen = await labelled(t, { label: bytes }, [
      text,
      { hex: bytes.toString('hex') },
      bytes.toString('utf8').replaceAll('\u{fffd}', '?'),
    ]);
    assert.equal(seen.hex, bytes.toString('hex'));
    assert.equal(seen.text, text);
    assert.deepEqual(seen.admitted, [true, false, true, false, false, true]);
  });

  test('that is empty, or that the kernel does not tell, is matched by nothing, nor by its opposite', async (t) => {
    const empty = await labelled(t, { label: Buffer.from('\0') }, ['x']);
    assert.deepEqual([empty.text, empty.admitted], ['', [false, false]]);
    const none = await labelled(t, { failing: { SO_PEERSEC: ENOPROTOOPT } }, ['x']);
    assert.deepEqual([none.text, none.admitted], [null, [false, false]]);
    assert.match(none.reason ?? '', /no security module of this kernel/);
    const denied = await labelled(t, { failing: { SO_PEERSEC: EACCES } }, ['x']);
    assert.deepEqual([denied.text, denied.admitted], [null, [false, false]]);
    assert.match(denied.reason ?? '', /failed with 13/);
  });
});

test('label() takes what could be one', () => {
  for (const wrong of ['', '\0', new Uint8Array(0), 'caf\u{e9} \u{2615}']) {
    assert.throws(() => label(wrong), { code: 'ERR_INVALID_ARG_VALUE' }, JSON.stringify(wrong));
  }
  assert.throws(() => label(5 as never), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => label(), { code: 'ERR_INVALID_ARG_VALUE' });
});

test(
  'before Linux 4.13 there are no groups: the primary one is known, of the others nothing is',
  needs(withoutOtherKernels()),
  async (t) => {
    const lines = await runLone(
      t,
      {},
      async ({ net, require, say }) => {
        const { gid, group, not } =
          require('afunix/credentials') as typeof import('afunix/credentials');
        const [one, other] = net.socketpair();
        const peer = one.peerCredentials;
        if (peer === null) throw new Error('nobody there');
        const own = process.getegid?.() ?? -1;
        const policies = [
          group(own),
          gid(own),
          group(77_777),
          not(group(77_777)),
          not(gid(77_777)),
        ];
        for (const policy of policies) {
          say(
            await policy.check(peer).then(
              () => 'yes',
              () => 'no',
            ),
          );
        }
        say(`${String(peer.groups)} ${peer.reasons.groups}`);
        one.destroy();
        other.destroy();
      },
      { env: otherKernel(t, { failing: { SO_PEERGROUPS: ENOPROTOOPT } }) },
    );
    assert.deepEqual(lines, [
      'yes',
      'yes',
      'no',
      'no',
      'yes',
      'null SO_PEERGROUPS needs Linux 4.13',
    ]);
  },
);

for (const [what, errno, reason, exited] of [
  [
    'T7: before Linux 6.5 there is no pidfd, and nothing in its place',
    ENOPROTOOPT,
    'SO_PEERPIDFD needs Linux 6.5',
    'ERR_AFUNIX_NO_PIDFD',
  ],
  [
    'T7: before Linux 6.16 there is none of a process that is gone',
    EINVAL,
    'the process has exited',
    'exited',
  ],
  ['T7: nor where that is said in another way', ESRCH, 'the process has exited', 'exited'],
] as const) {
  test(what, needs(withoutOtherKernels()), async (t) => {
    const lines = await runLone(
      t,
      {},
      async ({ net, require, say }) => {
        const { executable, not } =
          require('afunix/credentials') as typeof import('afunix/credentials');
        const [one, other] = net.socketpair();
        const peer = one.peerCredentials;
        if (peer === null) throw new Error('nobody there');
        say(`${String(peer.pidfd)} ${peer.reasons.pidfd}`);
        say(
          await peer.exited.then(
            () => 'exited',
            (error: unknown) => (error as NodeJS.ErrnoException).code,
          ),
        );
        // Its number is known, and who has it now is the right one: that is not enough.
        for (const policy of [executable(process.execPath), not(executable(process.execPath))]) {
          say(
            await policy.check(peer).then(
              () => 'yes',
              () => 'no',
            ),
          );
        }
        say(peer.pid === process.pid);
        one.destroy();
        other.destroy();
      },
      { env: otherKernel(t, { failing: { SO_PEERPIDFD: errno } }) },
    );
    assert.deepEqual(lines, [`null ${reason}`, exited, 'no', 'no', 'true']);
  });
}
