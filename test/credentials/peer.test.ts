/** Who is at the other end: what the kernel recorded, when it can be read, and what is null and why. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import nodeNet from 'node:net';
import { describe, test } from 'node:test';
import net, { features, type Socket } from 'afunix';
import {
  groupId,
  groupName,
  PeerCredentials,
  peerCredentials,
  userId,
  userName,
} from 'afunix/credentials';
import { RawSocket } from 'afunix/raw';
import seqpacket from 'afunix/seqpacket';
import { freshPath } from '../helpers/socket-paths';
import { happens } from '../helpers/sockets';
import {
  connect,
  gone,
  kinds,
  needs,
  NOBODY,
  serve,
  startClient,
  withoutNamespaces,
  withoutPython,
  withoutRoot,
} from './support';

const us = { pid: process.pid, uid: process.geteuid?.(), gid: process.getegid?.() };

function numbers(peer: PeerCredentials | null): object {
  assert.ok(peer instanceof PeerCredentials);
  return { pid: peer.pid, uid: peer.uid, gid: peer.gid };
}

const noPidfd = features().peerPidfd.available ? undefined : features().peerPidfd.reason;

for (const kind of kinds) {
  describe(kind, () => {
    test('a server and its client see each other', async (t) => {
      const { path, server, connection } = await serve(t, kind);
      const client = connect(t, kind, path);
      assert.equal(client.peerCredentials, null, 'not connected yet');
      const [peer] = await Promise.all([connection(), happens(client, 'connect')]);
      assert.deepEqual(numbers(peer.peerCredentials), us);
      assert.deepEqual(numbers(client.peerCredentials), us);
      assert.equal(peer.peerCredentials, peer.peerCredentials, 'the same object');
      assert.equal(peer.peerCredentials?.foreignPidNamespace, false);
      assert.equal(peer.peerCredentials?.unmappedUid, false);
      assert.equal(server.listening, true);
    });

    test('both ends of a pair are whoever made it', () => {
      const pair = kind === 'stream' ? net.socketpair() : seqpacket.socketpair();
      for (const end of pair) {
        assert.deepEqual(numbers(end.peerCredentials), us);
        end.destroy();
      }
    });

    test('they are there in a close handler that is the first to ask, of an accepted socket', async (t) => {
      const { path, connection } = await serve(t, kind);
      const client = connect(t, kind, path);
      const peer = await connection();
      peer.destroy();
      assert.deepEqual(numbers(peer.peerCredentials), us);
      await happens(peer, 'close');
      assert.deepEqual(numbers(peer.peerCredentials), us);
      await gone(client);
      // The one that connected had to be asked before.
      assert.equal(client.peerCredentials, null);
    });

    test('one that connected keeps what somebody asked for', async (t) => {
      const { path } = await serve(t, kind);
      const client = connect(t, kind, path);
      await happens(client, 'connect');
      const before = client.peerCredentials;
      client.destroy();
      assert.equal(client.peerCredentials, before);
      await gone(client);
      assert.equal(client.peerCredentials, before);
    });

    test('parts that nobody asked for are null after the end, with the reason', async (t) => {
      const { path, connection } = await serve(t, kind);
      connect(t, kind, path);
      const peer = await connection();
      const asked = peer.peerCredentials?.groups;
      assert.ok(asked?.includes(us.gid ?? -1));
      peer.destroy();
      const after = peer.peerCredentials;
      assert.ok(after !== null);
      assert.deepEqual(after.groups, asked, 'what was asked for stays');
      assert.equal(after.pidfd, null);
      assert.match(after.reasons.pidfd ?? '', /closed before anybody asked/);
      assert.equal(after.label, null);
      await assert.rejects(after.exited, { code: 'ERR_AFUNIX_NO_PIDFD' });
    });

    test('another user, with its groups', needs(withoutRoot(), withoutPython()), async (t) => {
      const { path, connection } = await serve(t, kind);
      const client = startClient(t, kind, path, { uid: NOBODY, gid: 4, groups: [12, 7, 4] });
      const peer = (await connection()).peerCredentials;
      const pid = Number((await client.line()).split(' ')[1]);
      assert.deepEqual(numbers(peer), { pid, uid: NOBODY, gid: 4 });
      assert.deepEqual(peer?.groups, [4, 7, 12]);
      assert.equal(await peer.userName(), await userName(NOBODY));
    });

    test('more groups than fit at first', needs(withoutRoot(), withoutPython()), async (t) => {
      const { path, connection } = await serve(t, kind);
      const groups = Array.from({ length: 700 }, (_, index) => 20_000 + index);
      startClient(t, kind, path, { uid: NOBODY, gid: 20_000, groups });
      assert.deepEqual((await connection()).peerCredentials?.groups, groups);
    });

    test(
      'a process of a pid namespace that we cannot see into has no pid',
      needs(withoutRoot(), withoutPython(), withoutNamespaces('--pid', '--fork')),
      async (t) => {
        // The server is in the new namespace, its client, this test, is not.
        const path = freshPath(t);
        const script = `
          const server = require(${JSON.stringify(require.resolve('afunix'))}).createServer((s) => {
            const p = s.peerCredentials;
            console.log(JSON.stringify([p.pid, p.foreignPidNamespace, p.uid]));
            server.close(); s.destroy();
          }).listen(${JSON.stringify(path)}, () => console.log('listens'));`;
        const { spawn } = await import('node:child_process');
        const server = spawn('unshare', ['--pid', '--fork', process.execPath, '-e', script], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        t.after(() => server.kill('SIGKILL'));
        server.stdout.setEncoding('utf8');
        let said = '';
        server.stdout.on('data', (text: string) => (said += text));
        await happens(server.stdout, 'data');
        connect(t, 'stream', path);
        await happens(server, 'close');
        assert.equal(said, `listens\n[null,true,${us.uid}]\n`);
      },
    );
  });
}

describe('peerCredentials()', () => {
  test('takes sockets of afunix and of node:net, raw ones, and numbers', async (t) => {
    const path = freshPath(t);
    const server = nodeNet.createServer().listen(path);
    t.after(() => server.close());
    const client = nodeNet.connect(path);
    const [peer] = (await happens(server, 'connection')) as [nodeNet.Socket];
    assert.deepEqual(numbers(peerCredentials(peer)), us);
    assert.deepEqual(numbers(peerCredentials(client)), us);
    client.destroy();
    peer.destroy();
    const [left, right] = RawSocket.socketpair('seqpacket');
    assert.deepEqual(numbers(peerCredentials(left)), us);
    assert.deepEqual(numbers(peerCredentials(right.fd)), us);
    const [ours, theirs] = net.socketpair();
    assert.equal(peerCredentials(ours), ours.peerCredentials);
    for (const end of [left, right]) end.close();
    for (const end of [ours, theirs]) end.destroy();
  });

  test('does not ask a number that has become another socket', () => {
    const [left, right] = RawSocket.socketpair('stream');
    const peer = peerCredentials(left.fd);
    const { fd } = left;
    left.close();
    const [other, another] = RawSocket.socketpair('stream');
    assert.ok([other.fd, another.fd].includes(fd), 'the number is taken again');
    assert.equal(peer.groups, null);
    assert.match(peer.reasons.groups ?? '', /closed/);
    for (const socket of [right, other, another]) socket.close();
  });

  test('says what is wrong', (t) => {
    const [left, right] = RawSocket.socketpair('stream');
    const listener = RawSocket.socket('stream');
    const unconnected = RawSocket.socket('stream');
    listener.bind();
    listener.listen();
    t.after(() => [left, right, listener, unconnected].forEach((socket) => socket.close()));
    assert.throws(() => peerCredentials(listener), { code: 'ENOTCONN', syscall: 'getsockopt' });
    assert.throws(() => peerCredentials(unconnected), { code: 'ENOTCONN' });
    assert.throws(() => peerCredentials(new net.Socket()), { code: 'ENOTCONN' });
    assert.throws(() => peerCredentials(new nodeNet.Socket()), { code: 'ENOTCONN' });
    assert.throws(() => peerCredentials(1_000_000), { code: 'EBADF' });
    assert.throws(() => peerCredentials(-1), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => peerCredentials('0' as never), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => peerCredentials(null as never), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => peerCredentials({} as never), { code: 'ERR_INVALID_ARG_TYPE' });
  });

  test('of what is no connected Unix socket it says what that is', needs(withoutPython()), () => {
    // A process that finds all of these open.
    const program = `
import os, socket, sys
near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); bound.bind('')
sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); sender.connect(bound.getsockname())
things = [os.open('/dev/null', os.O_RDONLY), os.open('/', os.O_RDONLY), os.pipe()[0], os.eventfd(0),
    socket.socket(socket.AF_INET).detach(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach(),
    bound.fileno(), sender.fileno(), near.fileno()]
for fd in things: os.set_inheritable(fd, True)
os.execv(sys.argv[1], [sys.argv[1], '-e', sys.argv[2], *map(str, things)])`;
    const script = `
const { peerCredentials } = require(${JSON.stringify(require.resolve('afunix/credentials'))});
for (const fd of process.argv.slice(1)) {
  try { console.log(peerCredentials(Number(fd)).pid === process.pid); }
  catch ({ code, syscall }) { console.log(code, syscall); }
}`;
    const { stdout, stderr } = spawnSync(
      '/usr/bin/python3',
      ['-c', program, process.execPath, script],
      { encoding: 'utf8' },
    );
    assert.deepEqual(
      [stdout.trim().split('\n'), stderr],
      [
        [
          ...Array<string>(4).fill('ENOTSOCK getsockopt'),
          ...Array<string>(2).fill('EAFNOSUPPORT getsockopt'),
          // Of a datagram socket the kernel notes only who made the pair.
          ...Array<string>(2).fill('ENOTCONN getsockopt'),
          'true',
        ],
        '',
      ],
    );
  });

  test('of what is closed, or no number of a descriptor', async () => {
    for (const wrong of [-1, NaN, 0.5, Infinity, 2 ** 31]) {
      assert.throws(() => peerCredentials(wrong), { code: 'ERR_OUT_OF_RANGE' }, String(wrong));
      assert.throws(() => peerCredentials({ fd: wrong === -1 ? -2 : wrong }), {
        code: 'ERR_OUT_OF_RANGE',
      });
    }
    for (const wrong of [undefined, true, 3n, Symbol('3'), () => 3]) {
      assert.throws(() => peerCredentials(wrong as never), { code: 'ERR_INVALID_ARG_TYPE' });
    }
    const [raw, other] = RawSocket.socketpair('stream');
    const descriptor = other.detach();
    raw.close();
    descriptor.close();
    for (const closed of [raw, descriptor]) {
      assert.throws(() => peerCredentials(closed), { code: 'EBADF', syscall: 'getsockopt' });
    }
    const sockets = net.socketpair();
    const messages = seqpacket.socketpair();
    for (const socket of [...sockets, ...messages]) {
      socket.destroy();
      assert.throws(() => peerCredentials(socket), { code: 'ENOTCONN' });
      await happens(socket, 'close');
      assert.throws(() => peerCredentials(socket), { code: 'ENOTCONN' });
    }
  });

  test('refuses TCP, whose kernel answer would be nobody', async (t) => {
    const server = nodeNet.createServer().listen(0, '127.0.0.1');
    t.after(() => server.close());
    await happens(server, 'listening');
    const client = nodeNet.connect((server.address() as nodeNet.AddressInfo).port, '127.0.0.1');
    await happens(client, 'connect');
    assert.throws(() => peerCredentials(client), { code: 'EAFNOSUPPORT' });
    client.destroy();
  });
});

describe('the process itself', needs(noPidfd, withoutPython()), () => {
  async function withClient(t: Parameters<typeof serve>[0]): Promise<{
    socket: Socket;
    peer: PeerCredentials;
    client: ReturnType<typeof startClient>;
  }> {
    const { path, connection } = await serve(t, 'stream', {}, { allowHalfOpen: true });
    const client = startClient(t, 'stream', path);
    const socket = await connection();
    const peer = socket.peerCredentials;
    assert.ok(peer !== null);
    return { socket, peer, client };
  }

  test('a pidfd names it, and is closed with the connection', async (t) => {
    const { socket, peer } = await withClient(t);
    const { pidfd } = peer;
    assert.ok(pidfd !== null);
    assert.equal(peer.pidfd, pidfd, 'the same one');
    const about = readFileSync(`/proc/self/fdinfo/${pidfd.fd}`, 'utf8');
    assert.equal(Number(/^Pid:\s*(\d+)$/m.exec(about)?.[1]), peer.pid);
    const closes = happens(socket, 'close');
    socket.destroy();
    assert.equal(pidfd.closed, true);
    await closes;
    assert.equal(peer.pidfd, pidfd);
  });

  test('one that was taken stays', async (t) => {
    const { socket, peer } = await withClient(t);
    const fd = peer.pidfd?.take() ?? -1;
    socket.destroy();
    assert.ok(existsSync(`/proc/self/fd/${fd}`));
    const { closeSync } = await import('node:fs');
    closeSync(fd);
  });

  test('`exited` tells when it has, although the connection is gone', async (t) => {
    const { socket, peer, client } = await withClient(t);
    const { exited } = peer;
    assert.equal(peer.exited, exited);
    assert.equal(exited.signal.aborted, false);
    socket.destroy();
    await happens(socket, 'close');
    const aborted = new Promise((resolve) => exited.signal.addEventListener('abort', resolve));
    await client.end();
    await exited;
    await aborted;
    assert.equal(exited.signal.aborted, true);
  });

  test('`exited` is fulfilled for one that was gone before anybody asked', async (t) => {
    const { peer, client } = await withClient(t);
    await client.end();
    await peer.exited;
    assert.equal(peer.exited.signal.aborted, true);
  });
});

describe('names', () => {
  test('of users and groups, and back', async () => {
    assert.equal(await userName(0), 'root');
    assert.equal(await userId('root'), 0);
    assert.equal(await groupName(0), 'root');
    assert.equal(await groupId('root'), 0);
    const { stdout } = spawnSync('getent', ['passwd', 'nobody'], { encoding: 'utf8' });
    assert.equal(await userId('nobody'), Number(stdout.split(':')[2]));
  });

  test('null if there is none', async () => {
    assert.equal(await userName(0xfffffffe), null);
    assert.equal(await groupName(0xfffffffe), null);
    assert.equal(await userId('nobody of this name'), null);
    assert.equal(await groupId(''), null);
    assert.equal(await userId('root\0'), null, 'C would see root');
  });

  test('what is no id is refused', async () => {
    await assert.rejects(userName(-1), { code: 'ERR_OUT_OF_RANGE' });
    await assert.rejects(userName(0xffffffff), { code: 'ERR_OUT_OF_RANGE' });
    await assert.rejects(groupName(1.5), { code: 'ERR_OUT_OF_RANGE' });
    await assert.rejects(groupName('0' as never), { code: 'ERR_INVALID_ARG_TYPE' });
    await assert.rejects(userId(0 as never), { code: 'ERR_INVALID_ARG_TYPE' });
  });
});
