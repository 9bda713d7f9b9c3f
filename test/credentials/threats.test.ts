/** Rows of the threat table, by their numbers: who tries what, and that it does not help. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chownSync, readdirSync, readFileSync, unlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import { describe, test } from 'node:test';
import net, { type Socket } from 'afunix';
import { peerCredentials, sameUser, uid } from 'afunix/credentials';
import { RawSocket } from 'afunix/raw';
import { happens } from '../helpers/sockets';
import {
  connect,
  gone,
  kinds,
  needs,
  NOBODY,
  serve,
  sharedPath,
  start,
  startClient,
  visit,
  withoutNamespaces,
  withoutPython,
  withoutRoot,
} from './support';

const us = process.geteuid?.() ?? -1;
const long = process.env['AFUNIX_LONG'] === '1';
const asSomebodyElse = needs(withoutRoot(), withoutPython());

/** A server in a process of its own, that says what it sees. */
const SERVER = (path: string, authorize: string): string[] => [
  process.execPath,
  '-e',
  `
  const net = require(${JSON.stringify(require.resolve('afunix'))});
  const { sameUser, uid, not } = require(${JSON.stringify(require.resolve('afunix/credentials'))});
  const server = net.createServer((socket) => { console.log('admitted'); socket.destroy(); });
  server.on('refused', (peer, refusal) => {
    console.log('refused', JSON.stringify([peer.uid, peer.pid, peer.unmappedUid, refusal.message]));
  });
  server.listen({ path: ${JSON.stringify(path)}, authorize: ${authorize} }, () => {
    require('node:fs').chmodSync(${JSON.stringify(path)}, 0o666);
    console.log('listens');
  });
  process.stdin.on('end', () => process.exit()).resume();
  `,
];

for (const kind of kinds) {
  describe(kind, () => {
    test(
      'T3: a client that expects somebody else tells an impostor nothing',
      asSomebodyElse,
      async (t) => {
        const path = sharedPath(t);
        chownSync(dirname(path), NOBODY, NOBODY);
        const impostor = start(
          t,
          [
            '/usr/bin/python3',
            '-c',
            `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_${kind.toUpperCase()})
s.bind(sys.argv[1]); __import__('os').chmod(sys.argv[1], 0o666); s.listen()
print('listens', flush=True)
c, _ = s.accept()
print('got', c.recv(100), flush=True)
`,
            path,
          ],
          { uid: NOBODY, gid: NOBODY },
        );
        assert.equal(await impostor.line(), 'listens');
        const { default: seqpacket } = await import('afunix/seqpacket');
        const client = (kind === 'stream'
          ? net.connect({ path, authorize: sameUser() })
          : seqpacket.connect({ path, authorize: sameUser() })) as unknown as Socket;
        if (kind === 'stream') client.write('the password');
        const [error] = (await happens(client, 'error')) as [NodeJS.ErrnoException];
        assert.equal(error.code, 'ERR_AFUNIX_REFUSED');
        assert.equal(await impostor.line(), "got b''");
      },
    );

    test(
      'T4: an abstract name is open to everybody, and authorize lets nobody in',
      asSomebodyElse,
      async (t) => {
        const path = `\0afunix-t4-${process.pid}-${kind}`;
        const guarded = await serve(t, kind, { path, authorize: sameUser() });
        const refused = guarded.refusal();
        const client = startClient(t, kind, path, { uid: NOBODY });
        assert.match(await client.line(), /^connected/);
        const { peer, refusal } = await refused;
        assert.equal(peer.uid, NOBODY);
        assert.equal(refusal.code, 'policy');
        assert.deepEqual(guarded.sockets, []);
      },
    );

    test(
      'T4: another network namespace has other abstract names, and the same paths',
      needs(withoutPython(), withoutNamespaces('--net')),
      async (t) => {
        const name = `\0afunix-t4-net-${process.pid}-${kind}`;
        const abstract = await serve(t, kind, { path: name });
        const outside = startClient(t, kind, name, { unshare: ['--net'] });
        assert.equal(await outside.line(), `failed ${constants.errno.ECONNREFUSED}`);
        assert.deepEqual(abstract.sockets, []);

        const guarded = await serve(t, kind, { authorize: sameUser() });
        const inside = startClient(t, kind, guarded.path, { unshare: ['--net'] });
        const { peerCredentials: peer } = await guarded.connection();
        assert.equal(await inside.line(), `connected ${peer?.pid}`);
        assert.equal(peer?.uid, us);
      },
    );

    test(
      'T5: the name that a client has chosen says nothing about who it is',
      needs(withoutPython()),
      async (t) => {
        const names = [';uid=0;', 'a\nuid=0\n', ';uid=0'.padEnd(107, 'x'), '\xff;uid=0'];
        for (const name of names) {
          const guarded = await serve(t, kind, { authorize: sameUser() });
          // As long as a name can be, at most.
          const bound = Buffer.from(`${guarded.path}${name}`, 'latin1').subarray(0, 107);
          const client = startClient(t, kind, guarded.path, {}, bound);
          const socket = await guarded.connection();
          assert.equal(socket.peerCredentials?.uid, us, JSON.stringify(name));
          await client.end();
        }
        const abstract = await serve(t, kind, { authorize: uid(us + 1) });
        startClient(t, kind, abstract.path, {}, Buffer.from(`\0uid=${us + 1}\0;uid=${us + 1}`));
        const { peer } = await abstract.refusal();
        assert.equal(peer.uid, us);
      },
    );

    test(
      'T24: a file that everybody may connect to lets in the one user that authorize names',
      asSomebodyElse,
      async (t) => {
        const guarded = await serve(t, kind, { authorize: sameUser() });
        const refused = guarded.refusal();
        startClient(t, kind, guarded.path, { uid: NOBODY });
        assert.equal((await refused).peer.uid, NOBODY);
        connect(t, kind, guarded.path);
        await guarded.connection();
        assert.equal(guarded.sockets.length, 1);
      },
    );
  });
}

describe('T6: who has no number here is matched by nobody', () => {
  test(
    'a server in a user namespace of its own, a client outside',
    needs(withoutPython(), withoutNamespaces('--user')),
    async (t) => {
      // In there, nobody has a number: not we, and not the server itself.
      for (const authorize of [
        'sameUser()',
        `uid(${NOBODY})`,
        'uid(0)',
        'not(uid(0))',
        'not(sameUser())',
      ]) {
        const path = sharedPath(t);
        const server = start(t, SERVER(path, authorize), { unshare: ['--user'] });
        assert.equal(await server.line(), 'listens');
        await gone(connect(t, 'stream', path));
        const [word, ...rest] = (await server.line()).split(' ');
        assert.equal(word, 'refused', authorize);
        const [seen, , unmapped, message] = JSON.parse(rest.join(' ')) as unknown[];
        assert.deepEqual([seen, unmapped], [65_534, true]);
        assert.match(String(message), /users without a number here/);
        await server.end();
      }
    },
  );

  test(
    'a server in a pid namespace of its own, a client outside',
    needs(withoutRoot(), withoutNamespaces('--pid', '--fork')),
    async (t) => {
      for (const authorize of ['sameUser()', `uid(${us})`, `not(uid(${us + 1}))`]) {
        const path = sharedPath(t);
        const server = start(t, SERVER(path, authorize), { unshare: ['--pid', '--fork'] });
        assert.equal(await server.line(), 'listens');
        await gone(connect(t, 'stream', path));
        const [word, ...rest] = (await server.line()).split(' ');
        assert.equal(word, 'refused', authorize);
        const [, pid, , message] = JSON.parse(rest.join(' ')) as unknown[];
        assert.equal(pid, null);
        assert.match(String(message), /foreign pid namespace/);
        await server.end();
      }
    },
  );

  test(
    'a client in a pid namespace below ours has a pid that we can see',
    needs(withoutRoot(), withoutPython(), withoutNamespaces('--pid', '--fork')),
    async (t) => {
      const guarded = await serve(t, 'stream', { authorize: sameUser() });
      startClient(t, 'stream', guarded.path, { unshare: ['--pid', '--fork'] });
      const { peerCredentials: peer } = await guarded.connection();
      assert.equal(peer?.foreignPidNamespace, false);
      assert.match(readFileSync(`/proc/${peer?.pid}/cmdline`, 'utf8'), /python3/);
    },
  );
});

test(
  'T7: of clients that connect and exit at once, none is taken for somebody else',
  needs(withoutPython()),
  async (t) => {
    const rounds = long ? 10_000 : 2000;
    const guarded = await serve(t, 'stream', {}, { allowHalfOpen: true });
    // A parent that forks, and whose children connect, send their pid and exit before anybody looks.
    const churn = start(t, [
      '/usr/bin/python3',
      '-c',
      `
import os, socket, sys
for i in range(int(sys.argv[2])):
    pid = os.fork()
    if pid == 0:
        s = socket.socket(socket.AF_UNIX)
        s.connect(sys.argv[1])
        s.send(b'%d %d' % (os.getpid(), i))
        os._exit(0)
    os.waitpid(pid, 0)
print('done', flush=True)
`,
      guarded.path,
      String(rounds),
    ]);
    let told = 0;
    let withPidfd = 0;
    const wrong: string[] = [];
    const all = new Promise<void>((resolve) => {
      guarded.server.on('connection', (socket: Socket) => {
        const peer = socket.peerCredentials;
        // An open pidfd holds the process: whatever /proc says of its number now is about it, or the pidfd says that it is gone.
        const { pidfd } = peer ?? {};
        let named = 0;
        if (pidfd) {
          withPidfd += 1;
          const about = readFileSync(`/proc/self/fdinfo/${pidfd.fd}`, 'utf8');
          named = Number(/^Pid:\s*(-?\d+)$/m.exec(about)?.[1]);
        }
        socket.on('data', (chunk) => {
          const [pid] = String(chunk).split(' ').map(Number);
          if (peer?.pid !== pid) wrong.push(`SO_PEERCRED says ${peer?.pid}, it was ${pid}`);
          // −1: gone. Anything else has to be this one, and not whoever has its number now.
          if (pidfd && named !== -1 && named !== pid)
            wrong.push(`the pidfd is of ${named}, not ${pid}`);
          socket.destroy();
          told += 1;
          if (told === rounds) resolve();
        });
      });
    });
    await Promise.all([all, churn.line()]);
    assert.deepEqual(wrong, []);
    assert.equal(told, rounds);
    t.diagnostic(`${withPidfd} of ${rounds} had a pidfd`);
  },
);

test(
  "T8: one user's flood is held at its cap exactly, and another user gets in",
  asSomebodyElse,
  async (t) => {
    const cap = long ? 1024 : 300;
    const guarded = await serve(t, 'stream', {
      authorize: uid(us, NOBODY),
      maxConnectionsPerUid: cap,
      backlog: 4096,
    });
    const wanted = long ? 5000 : 1000;
    const flood = start(
      t,
      [
        '/usr/bin/python3',
        '-c',
        `
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
kept = []
for i in range(int(sys.argv[2])):
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
    kept.append(s)
print('connected', flush=True)
sys.stdin.read()
`,
        guarded.path,
        String(wanted),
      ],
      { uid: NOBODY },
    );
    // While it pours in, somebody else comes again and again, and is let in each time.
    const { connections, refusals } = await visit(t, guarded, 200);
    assert.deepEqual([connections, refusals], [200, 0]);
    assert.equal(await flood.line(), 'connected');
    const theirs = (): Socket[] =>
      guarded.sockets.filter(({ peerCredentials: peer }) => peer?.uid === NOBODY);
    while (theirs().length + guarded.refused.length < wanted) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(theirs().length, cap);
    assert.equal(guarded.refused.length, wanted - cap);
    for (const { peer, refusal } of guarded.refused) {
      assert.equal(peer.uid, NOBODY);
      assert.equal(refusal.code, 'maxConnectionsPerUid');
    }
    const ours = connect(t, 'stream', guarded.path);
    const socket = await guarded.connection();
    assert.equal(socket.peerCredentials?.uid, us);
    assert.equal(ours.destroyed, false);
    // All of theirs gone: their places are free again.
    const left = Promise.all(theirs().map((one) => gone(one)));
    await flood.end();
    await left;
    const again = startClient(t, 'stream', guarded.path, { uid: NOBODY });
    await guarded.connection();
    await again.end();
  },
);

test('T9: with a full descriptor table who connects is known or dropped, and nothing is leaked', async (t) => {
  // In a process of its own: the table is full for everybody in it.
  const path = sharedPath(t);
  const script = `
    const net = require(${JSON.stringify(require.resolve('afunix'))});
    const { sameUser, executable, anyOf } = require(${JSON.stringify(require.resolve('afunix/credentials'))});
    const fs = require('node:fs');
    const open = () => fs.readdirSync('/proc/self/fd').length;
    let before = 0;
    const kept = [];
    const fill = () => { for (;;) { try { kept.push(fs.openSync('/', 'r')); } catch { return; } } };
    const server = net.createServer((socket) => {
      // Without this connection; Node opens descriptors of its own for stdin, late.
      before = open() - 1;
      fill();
      const peer = socket.peerCredentials;
      console.log('connection', peer.uid === process.getuid(), peer.groups !== null, peer.pidfd === null, peer.reasons.pidfd);
      socket.destroy();
    });
    server.on('refused', (peer, refusal) => console.log('refused', refusal.message));
    server.on('drop', (error) => console.log('dropped', error && error.code));
    server.listen({ path: ${JSON.stringify(path)}, authorize: sameUser() }, () => {
      console.log('listens');
      process.stdin.on('data', (word) => {
        if (String(word).startsWith('fill')) { fill(); console.log('full'); }
        else { for (const fd of kept) fs.closeSync(fd); kept.length = 0;
               setTimeout(() => { console.log('open', open() - before); process.exit(); }, 20); }
      });
    });`;
  const server = start(t, [
    'sh',
    '-c',
    'ulimit -n 64 && exec "$@"',
    'sh',
    process.execPath,
    '-e',
    script,
  ]);
  assert.equal(await server.line(), 'listens');
  await gone(connect(t, 'stream', path));
  assert.equal(await server.line(), 'connection true true true getsockopt failed with 24');
  server.child.stdin?.write('fill');
  assert.equal(await server.line(), 'full');
  await gone(connect(t, 'stream', path));
  assert.equal(await server.line(), 'dropped EMFILE');
  server.child.stdin?.write('end');
  assert.equal(await server.line(), 'open 0');
});

test('credentials agree with what ss and /proc say', needs(withoutPython()), async (t) => {
  const guarded = await serve(t, 'stream');
  const client = startClient(t, 'stream', guarded.path);
  const socket = await guarded.connection();
  const pid = Number((await client.line()).split(' ')[1]);
  const peer = socket.peerCredentials;
  assert.equal(peer?.pid, pid);
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  assert.equal(peer.uid, Number(/^Uid:\s+\d+\s+(\d+)/m.exec(status)?.[1]));
  assert.equal(peer.gid, Number(/^Gid:\s+\d+\s+(\d+)/m.exec(status)?.[1]));
  const list = /^Groups:[ \t]*(.*)$/m.exec(status)?.[1]?.trim() ?? '';
  const groups = new Set([peer.gid, ...list.split(/\s+/).filter(Boolean).map(Number)]);
  assert.deepEqual(
    peer.groups,
    [...groups].sort((a, b) => a - b),
  );
  const { stdout, error } = spawnSync('ss', ['-xpH', 'src', guarded.path], { encoding: 'utf8' });
  assert.equal(error, undefined, 'needs ss(8)');
  assert.match(stdout, new RegExp(`pid=${process.pid},`));
  // The raw answer of the kernel.
  const raw = RawSocket.socketpair('stream');
  const cred = Buffer.alloc(12);
  raw[0].getsockopt('SO_PEERCRED', cred);
  assert.equal(peerCredentials(raw[0]).pid, cred.readInt32LE(0));
  raw.forEach((one) => one.close());
});

test('a flood of refused connections leaves no descriptor and no socket file behind', async (t) => {
  const before = readdirSync('/proc/self/fd').length;
  const guarded = await serve(t, 'stream', { authorize: uid(us + 1) });
  const clients = Array.from({ length: 500 }, () => connect(t, 'stream', guarded.path));
  await Promise.all(clients.map(gone));
  while (guarded.refused.length < clients.length) await guarded.refusal();
  const closed = happens(guarded.server, 'close');
  guarded.server.close();
  await closed;
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(readdirSync('/proc/self/fd').length <= before + 3, true);
  assert.throws(() => unlinkSync(guarded.path), { code: 'ENOENT' });
});
