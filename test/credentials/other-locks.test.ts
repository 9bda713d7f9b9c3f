/** What opens the socket file to somebody, or keeps it shut, and what that has to do with the guard: nothing. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, realpathSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import net from 'afunix';
import { sameUser } from 'afunix/credentials';
import { freshDirectory } from '../helpers/socket-paths';
import { happens } from '../helpers/sockets';
import {
  kinds,
  needs,
  NOBODY,
  serve,
  sharedPath,
  start,
  withoutPython,
  withoutRoot,
} from './support';

const asSomebodyElse = [withoutRoot(), withoutPython()] as const;
const PYTHON = '/usr/bin/python3';

/** Connects and says how that went. */
const CONNECT = `
import errno, os, socket, sys
def connect(path):
    s = socket.socket(socket.AF_UNIX, getattr(socket, 'SOCK_' + sys.argv[1].upper()))
    try:
        s.connect(path)
        print('connected', flush=True)
    except OSError as error:
        print(errno.errorcode[error.errno], flush=True)
    return s
`;

/** An access control list as the kernel keeps it: this user may read and write, beside the owner, its group and all others. */
const ACL = `
import os, struct, sys
entries = [(0x01, 6, -1), (0x02, 6, ${NOBODY}), (0x04, 0, -1), (0x10, 6, -1), (0x20, 0, -1)]
value = struct.pack('<I', 2) + b''.join(struct.pack('<HHI', t, p, i & 0xffffffff) for t, p, i in entries)
os.setxattr(sys.argv[1], sys.argv[2], value)
`;

/** What went wrong, if something did. */
function setAcl(file: string, name: 'access' | 'default'): string | undefined {
  const script = ['-c', ACL, file, `system.posix_acl_${name}`];
  const { status, stderr } = spawnSync(PYTHON, script, { encoding: 'utf8' });
  return status === 0 ? undefined : stderr.trim();
}

/** Has any user run this copy of the interpreter with a capability. What went wrong, if something did. */
function makeCapable(copy: string): string | undefined {
  copyFileSync(realpathSync(PYTHON), copy);
  const given = spawnSync('setcap', ['cap_dac_override+ep', copy], { encoding: 'utf8' });
  if (given.status !== 0) return given.error?.message ?? given.stderr;
  const run = ['--clear-groups', `--reuid=${NOBODY}`, copy, '-c', ''];
  const { status, stderr } = spawnSync('setpriv', run, { encoding: 'utf8' });
  return status === 0 ? undefined : stderr;
}

/** Says why it cannot be done in a folder as the tests have them; undefined if it can. */
function without(
  what: string,
  attempt: (folder: string) => string | undefined,
): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'afunix-locks-'));
  try {
    chmodSync(folder, 0o755);
    const because = attempt(folder);
    return because === undefined ? undefined : `needs ${what}: ${because}`;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const asRoot = asSomebodyElse.every((reason) => reason === undefined);
const withAcls = needs(
  ...asSomebodyElse,
  asRoot ? without('access control lists', (folder) => setAcl(folder, 'default')) : undefined,
);
const withCapabilities = needs(
  ...asSomebodyElse,
  asRoot ? without('file capabilities', (folder) => makeCapable(join(folder, 'p'))) : undefined,
);

for (const kind of kinds) {
  describe(kind, () => {
    test(
      'a file capability opens the file, and the guard sees the same user as ever',
      withCapabilities,
      async (t) => {
        const directory = freshDirectory(t);
        chmodSync(directory, 0o755);
        const copy = join(directory, 'python3');
        assert.equal(makeCapable(copy), undefined);
        const guarded = await serve(t, kind, { authorize: sameUser() });
        chmodSync(guarded.path, 0o600);
        const script = [
          '-c',
          `${CONNECT}connect(sys.argv[2])\nsys.stdin.read()`,
          kind,
          guarded.path,
        ];
        const without = start(t, [PYTHON, ...script], { uid: NOBODY });
        assert.equal(await without.line(), 'EACCES');
        const refused = guarded.refusal();
        const client = start(t, [copy, ...script], { uid: NOBODY });
        assert.equal(await client.line(), 'connected');
        assert.equal((await refused).peer.uid, NOBODY);
        assert.deepEqual(guarded.sockets, []);
      },
    );

    test(
      'in another root directory a client is who it is, by whatever path it came',
      needs(...asSomebodyElse),
      async (t) => {
        const guarded = await serve(t, kind, { authorize: sameUser() });
        const refused = guarded.refusal();
        const script = `${CONNECT}
os.chroot(os.path.dirname(sys.argv[2]))
first = connect('/s')
os.setgid(${NOBODY}); os.setuid(${NOBODY})
second = connect('/s')
sys.stdin.read()
`;
        const connected = guarded.connection();
        const client = start(t, [PYTHON, '-c', script, kind, guarded.path]);
        const { peerCredentials } = await connected;
        assert.deepEqual([peerCredentials?.uid, peerCredentials?.pid], [0, client.child.pid]);
        assert.equal((await refused).peer.uid, NOBODY);
        assert.deepEqual([await client.line(), await client.line()], ['connected', 'connected']);
      },
    );

    test(
      'an access control list opens the file to a user, and not the guard',
      withAcls,
      async (t) => {
        const guarded = await serve(t, kind, { authorize: sameUser() });
        chmodSync(guarded.path, 0o600);
        assert.equal(setAcl(guarded.path, 'access'), undefined);
        const refused = guarded.refusal();
        const client = start(
          t,
          [PYTHON, '-c', `${CONNECT}connect(sys.argv[2])\nsys.stdin.read()`, kind, guarded.path],
          { uid: NOBODY },
        );
        assert.equal(await client.line(), 'connected');
        assert.equal((await refused).peer.uid, NOBODY);
      },
    );
  });
}

test(
  'the list that a directory gives to new files opens no socket file beyond its mode',
  withAcls,
  async (t) => {
    const path = sharedPath(t);
    assert.equal(setAcl(dirname(path), 'default'), undefined);
    chmodSync(dirname(path), 0o755);
    for (const stale of ['error', 'probe', 'replace'] as const) {
      const server = net.createServer(() => assert.fail('admitted'));
      server.listen({ path, mode: 0o600, stale });
      await happens(server, 'listening');
      assert.equal(statSync(path).mode & 0o777, 0o600);
      const script = ['-c', `${CONNECT}connect(sys.argv[2])`, 'stream', path];
      assert.equal(await start(t, [PYTHON, ...script], { uid: NOBODY }).line(), 'EACCES');
      const closed = happens(server, 'close');
      server.close();
      await closed;
    }
  },
);
