/** `passCredentials: 'pidfd'`: each writer comes with a descriptor for its process, and none of them stays open. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import net, { features, type Socket } from 'afunix';
import { executable, type PeerCredentials } from 'afunix/credentials';
import { Descriptor } from 'afunix/raw';
import seqpacket, { type MessageInfo, type Socket as MessageSocket } from 'afunix/seqpacket';
import { takeCensus } from '../helpers/descriptors';
import { happens } from '../helpers/sockets';
import { connect, kinds, needs, serve, start, withoutPython, type Kind, OURS } from './support';

const withoutPidfds = features().writerPidfd.reason;
const PIDFD = { passCredentials: 'pidfd' } as const;

/** Pidfds that this process has open. */
function pidfds(): number {
  let count = 0;
  for (const [kind, open] of takeCensus()) if (kind.includes('pidfd')) count += open;
  return count;
}

function pidOf(descriptor: { readonly fd: number }): number {
  const about = readFileSync(`/proc/self/fdinfo/${descriptor.fd}`, 'utf8');
  return Number(/^Pid:\s*(-?\d+)$/m.exec(about)?.[1]);
}

function say(socket: Socket, text: string): void {
  if ('send' in socket) (socket as unknown as MessageSocket).send(text);
  else socket.write(text);
}

/** Calls `seen` with every writer, as a listener is told of it. */
function eachWriter(socket: Socket, seen: (writer: PeerCredentials) => void): void {
  socket.on('credentials', seen);
  socket.on('data', () => undefined);
  socket.on('message', (_: Buffer, { credentials }: MessageInfo) => {
    if (credentials !== null) seen(credentials);
  });
}

/** Writes `count` times, each time from another process, which waits for its turn and for the end of this one. */
function manyWriters(
  t: Parameters<typeof serve>[0],
  kind: Kind,
  path: string,
  count: number,
  descriptors = 0,
): ReturnType<typeof start> {
  return start(t, [
    '/usr/bin/python3',
    '-c',
    `
import array, os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_${kind.toUpperCase()})
s.connect(sys.argv[1])
rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0] * ${descriptors}))] if ${descriptors} else []
children = []
alive, living = os.pipe()
for i in range(${count}):
    ready, done = os.pipe()
    pid = os.fork()
    if pid == 0:
        s.sendmsg([b'x'], rights)
        os.write(done, b'.')
        os.close(living)
        os.read(alive, 1)
        os._exit(0)
    os.read(ready, 1)
    os.close(ready); os.close(done)
    children.append(pid)
print(*children, flush=True)
sys.stdin.read()
`,
    path,
  ]);
}

for (const kind of kinds) {
  describe(kind, () => {
    test(
      'a writer has a pidfd, which is open while it is the last',
      needs(withoutPidfds),
      async (t) => {
        const before = pidfds();
        const guarded = await serve(t, kind, {}, PIDFD);
        const client = connect(t, kind, guarded.path);
        const socket = await guarded.connection();
        const told: PeerCredentials[] = [];
        eachWriter(socket, (writer) => told.push(writer));
        for (let i = 0; i < 20; ++i) {
          say(client, 'x');
          await happens(socket, kind === 'stream' ? 'data' : 'message');
        }
        const [writer] = told;
        assert.ok(writer?.pidfd);
        assert.equal(new Set(told).size, 1);
        assert.equal(pidOf(writer.pidfd), process.pid);
        assert.deepEqual(writer.reasons, {});
        assert.equal(pidfds() - before, 1);
        await executable(OURS).check(writer);
        socket.destroy();
        await happens(socket, 'close');
        assert.equal(writer.pidfd.closed, true);
        assert.equal(pidfds(), before);
      },
    );

    test('what was taken outlives the connection', needs(withoutPidfds), async (t) => {
      const before = pidfds();
      const guarded = await serve(t, kind, {}, PIDFD);
      const client = connect(t, kind, guarded.path);
      const socket = await guarded.connection();
      let taken = -1;
      eachWriter(socket, ({ pidfd }) => (taken = pidfd?.take() ?? -1));
      say(client, 'x');
      client.end();
      await happens(socket, 'end');
      socket.destroy();
      await happens(socket, 'close');
      assert.equal(pidOf({ fd: taken }), process.pid);
      assert.equal(pidfds() - before, 1);
      new Descriptor(taken).close();
      assert.equal(pidfds(), before);
    });

    test(
      'each of many writers has its own, and the connection never holds more than one',
      needs(withoutPidfds, withoutPython()),
      async (t) => {
        const before = pidfds();
        const guarded = await serve(t, kind, {}, { ...PIDFD, pauseOnConnect: true });
        const client = manyWriters(t, kind, guarded.path, 50);
        const socket = await guarded.connection();
        const pids = (await client.line()).split(' ').map(Number);
        const seen: number[] = [];
        eachWriter(socket, ({ pidfd }) => seen.push(pidfd === null ? 0 : pidOf(pidfd)));
        socket.resume();
        while (seen.length < 50) await happens(socket, kind === 'stream' ? 'data' : 'message');
        assert.deepEqual(seen, pids);
        assert.equal(pidfds() - before, 1);
        socket.destroy();
        await happens(socket, 'close');
        assert.equal(pidfds(), before);
      },
    );

    test(
      'a connection that is destroyed takes what nobody was told along',
      needs(withoutPidfds, withoutPython()),
      async (t) => {
        const before = pidfds();
        const guarded = await serve(t, kind, {}, { ...PIDFD, pauseOnConnect: true });
        const client = manyWriters(t, kind, guarded.path, 50);
        const socket = await guarded.connection();
        await client.line();
        let seen = 0;
        eachWriter(socket, () => {
          seen += 1;
          socket.destroy();
        });
        socket.resume();
        await happens(socket, 'close');
        assert.equal(seen, 1);
        assert.equal(pidfds(), before);
      },
    );

    for (const maxDescriptors of [1, 2]) {
      test(
        `it is none of the descriptors that are sent, of which ${maxDescriptors} may come`,
        needs(withoutPidfds, withoutPython()),
        async (t) => {
          const before = pidfds();
          const options = { ...PIDFD, maxDescriptors, pauseOnConnect: true };
          const guarded = await serve(t, kind, {}, options);
          const client = manyWriters(t, kind, guarded.path, 1, 2);
          const socket = await guarded.connection();
          const [pid] = (await client.line()).split(' ').map(Number);
          const counts: number[] = [];
          const count = (descriptors: readonly { close(): void }[]): void => {
            counts.push(descriptors.length);
            for (const descriptor of descriptors) descriptor.close();
          };
          socket.on('descriptors', count);
          socket.on('message', (_: Buffer, info: MessageInfo) => count(info.descriptors));
          const writers: (number | undefined)[] = [];
          eachWriter(socket, ({ pidfd }) => writers.push(pidfd === null ? 0 : pidOf(pidfd)));
          const failed = maxDescriptors < 2 ? happens(socket, 'error') : null;
          const told = happens(socket, kind === 'stream' ? 'data' : 'message');
          socket.resume();
          await told;
          assert.deepEqual(writers, [pid]);
          if (failed === null) {
            assert.deepEqual(counts, [2]);
          } else {
            const [error] = (await failed) as [NodeJS.ErrnoException];
            assert.equal(error.code, 'ERR_AFUNIX_DESCRIPTOR_LIMIT');
            assert.equal(
              counts.reduce((sum, n) => sum + n, 0),
              0,
            );
          }
          const closed = socket.closed ? null : happens(socket, 'close');
          socket.destroy();
          await closed;
          assert.equal(pidfds(), before);
        },
      );
    }

    test(
      'the exit of a writer is told, and it wrote for nobody else',
      needs(withoutPidfds, withoutPython()),
      async (t) => {
        const guarded = await serve(t, kind, {}, PIDFD);
        const client = manyWriters(t, kind, guarded.path, 1);
        const socket = await guarded.connection();
        const writer = await new Promise<PeerCredentials>((resolve) => eachWriter(socket, resolve));
        const { exited } = writer;
        assert.equal(exited.signal.aborted, false);
        await client.line();
        client.child.stdin?.end();
        await exited;
        assert.equal(exited.signal.aborted, true);
      },
    );

    test('without asking there is none, and why', async (t) => {
      const guarded = await serve(t, kind, {}, { passCredentials: true });
      const client = connect(t, kind, guarded.path);
      const socket = await guarded.connection();
      const writer = new Promise<PeerCredentials>((resolve) => eachWriter(socket, resolve));
      say(client, 'x');
      assert.equal((await writer).pidfd, null);
      assert.match((await writer).reasons.pidfd ?? '', /nobody asked for it/);
    });
  });
}

test(
  'a batch has those of its messages until it is released',
  needs(withoutPidfds, withoutPython()),
  async (t) => {
    for (const memory of ['owned', 'borrowed'] as const) {
      const before = pidfds();
      const guarded = await serve(t, 'seqpacket', {}, { ...PIDFD, pauseOnConnect: true });
      const client = manyWriters(t, 'seqpacket', guarded.path, 100);
      const socket = (await guarded.connection()) as unknown as MessageSocket;
      const pids = (await client.line()).split(' ').map(Number);
      const seen: number[] = [];
      for await (const batch of socket.batches({ memory })) {
        // A bound: at most two more wait.
        assert.ok(batch.length <= 32);
        assert.ok(pidfds() - before <= 3 * 32 + 1);
        for (let i = 0; i < batch.length; ++i) {
          const { pidfd } = batch.info(i).credentials ?? {};
          seen.push(pidfd ? pidOf(pidfd) : 0);
        }
        if (seen.length === pids.length) break;
      }
      assert.deepEqual(seen, pids);
      assert.equal(pidfds() - before, 1);
      socket.destroy();
      await happens(socket, 'close');
      assert.equal(pidfds(), before);
    }
  },
);

test('whoever gives its socket up keeps no pidfd', needs(withoutPidfds), async (t) => {
  const before = pidfds();
  const guarded = await serve(t, 'stream', {}, PIDFD);
  const client = connect(t, 'stream', guarded.path);
  const socket = await guarded.connection();
  const writer = new Promise<PeerCredentials>((resolve) => eachWriter(socket, resolve));
  say(client, 'x');
  assert.equal((await writer).pidfd?.closed, false);
  const { descriptor } = socket.detach();
  await happens(socket, 'close');
  assert.equal(pidfds(), before);
  descriptor.close();
});

test('a way to pass credentials that is none is refused', () => {
  for (const passCredentials of ['yes', 1, null]) {
    const refused = { code: 'ERR_INVALID_ARG_VALUE', message: /must be a boolean or 'pidfd'/ };
    assert.throws(() => net.createServer({ passCredentials } as object), refused);
    assert.throws(() => seqpacket.createServer({ passCredentials } as object), refused);
  }
});

test('a kernel without them says so with every writer', () => {
  const [one, other] = net.socketpair();
  const Peer = one.peerCredentials?.constructor as new (
    ...given: [number, number, number, object]
  ) => PeerCredentials;
  one.destroy();
  other.destroy();
  for (const [errno, why] of [
    [92, /Linux 6\.5/],
    [3, /has exited/],
    [24, /no room/],
    [61, /none came/],
  ] as const) {
    const writer = new Peer(1, 0, 0, { descriptor: () => -1, pidfd: -errno });
    assert.equal(writer.pidfd, null);
    assert.match(writer.reasons.pidfd ?? '', why);
  }
});

test(
  'a ring has no place for them: what was received before it, and what comes, is closed',
  needs(withoutPidfds, withoutPython()),
  async (t) => {
    const before = pidfds();
    const guarded = await serve(t, 'seqpacket', {}, { ...PIDFD, pauseOnConnect: true });
    const client = manyWriters(t, 'seqpacket', guarded.path, 50);
    const socket = (await guarded.connection()) as unknown as MessageSocket;
    await client.line();
    socket.once('message', () => socket.pause());
    socket.resume();
    await happens(socket, 'message');
    socket.receiveInto(new SharedArrayBuffer(1 << 20));
    const ended = happens(socket, 'end');
    client.child.stdin?.end();
    await ended;
    assert.ok(pidfds() - before <= 1);
    socket.destroy();
    await happens(socket, 'close');
    assert.equal(pidfds(), before);
  },
);
