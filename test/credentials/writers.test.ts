/** `passCredentials`: who wrote what, which need not be who connected. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import net, { type Socket } from 'afunix';
import { not, type PeerCredentials, uid } from 'afunix/credentials';
import { type MessageInfo, type Socket as MessageSocket } from 'afunix/seqpacket';
import { happens } from '../helpers/sockets';
import {
  connect,
  kinds,
  needs,
  NOBODY,
  serve,
  start,
  withoutPython,
  withoutRoot,
  type Kind,
} from './support';

interface Piece {
  readonly text: string;
  readonly writer: PeerCredentials | null;
}

/** What a socket receives until its end, in pieces of one writer each. */
async function pieces(socket: Socket): Promise<Piece[]> {
  const all: Piece[] = [];
  const starts: { writer: PeerCredentials; offset: number }[] = [];
  socket.on('credentials', (writer: PeerCredentials, info: { offset: number }) => {
    starts.push({ writer, offset: info.offset });
  });
  let bytes = '';
  socket.on('data', (chunk: Buffer) => (bytes += String(chunk)));
  socket.on('message', (message: Buffer, info: MessageInfo) => {
    all.push({ text: String(message), writer: info.credentials });
  });
  await happens(socket, 'end');
  starts.forEach(({ writer, offset }, i) => {
    all.push({ text: bytes.slice(offset, starts[i + 1]?.offset), writer });
  });
  return all;
}

/** Connects and writes as root, then has a child of another user write, then writes again; all before anybody reads. */
function threeWriters(
  t: Parameters<typeof serve>[0],
  kind: Kind,
  path: string,
): ReturnType<typeof start> {
  return start(t, [
    '/usr/bin/python3',
    '-c',
    `
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_${kind.toUpperCase()})
s.connect(sys.argv[1])
s.send(b'one '); s.send(b'and one ')
pid = os.fork()
if pid == 0:
    os.setgid(${NOBODY}); os.setuid(${NOBODY})
    s.send(b'two ')
    os._exit(0)
os.waitpid(pid, 0)
s.send(b'three')
print(os.getpid(), pid, flush=True)
`,
    path,
  ]);
}

for (const kind of kinds) {
  describe(kind, () => {
    test(
      "each piece is its writer's, from the first byte on",
      needs(withoutRoot(), withoutPython()),
      async (t) => {
        const guarded = await serve(t, kind, {}, { passCredentials: true });
        const client = threeWriters(t, kind, guarded.path);
        const socket = await guarded.connection();
        const told = await pieces(socket);
        const [parent, child] = (await client.line()).split(' ').map(Number);
        const seen = told.map(({ text, writer }) => [text, writer?.uid, writer?.gid, writer?.pid]);
        const ours = [0, 0, parent];
        assert.deepEqual(
          seen,
          kind === 'stream'
            ? [
                ['one and one ', ...ours],
                ['two ', NOBODY, NOBODY, child],
                ['three', ...ours],
              ]
            : [
                ['one ', ...ours],
                ['and one ', ...ours],
                ['two ', NOBODY, NOBODY, child],
                ['three', ...ours],
              ],
        );
        // Who connected is still who connected.
        assert.equal(socket.peerCredentials?.uid, 0);
        const [, two] = kind === 'stream' ? told : told.slice(1);
        const writer = two?.writer;
        assert.ok(writer);
        await uid(NOBODY).check(writer);
        await assert.rejects(uid(0).check(writer), { code: 'ERR_AFUNIX_REFUSED' });
        assert.equal(writer.groups, null);
        assert.match(writer.reasons.groups ?? '', /uid, gid and pid alone/);
      },
    );

    test('nothing is told where nobody asks', async (t) => {
      const guarded = await serve(t, kind);
      const client = connect(t, kind, guarded.path);
      const socket = await guarded.connection();
      const told = pieces(socket);
      if (kind === 'stream') client.write('x');
      else (client as unknown as { send(text: string): void }).send('x');
      client.end();
      assert.deepEqual(await told, kind === 'stream' ? [] : [{ text: 'x', writer: null }]);
    });

    test('much that one process writes is told once to be its', async (t) => {
      const guarded = await serve(t, kind, {}, { passCredentials: true });
      const client = connect(t, kind, guarded.path);
      const socket = await guarded.connection();
      let changes = 0;
      let received = 0;
      socket.on('credentials', () => (changes += 1));
      socket.on('data', (chunk: Buffer) => (received += chunk.length));
      const writers = new Set<unknown>();
      socket.on('message', (message: Buffer, { credentials }: MessageInfo) => {
        received += message.length;
        writers.add(credentials);
      });
      const block = Buffer.alloc(100_000, 'x');
      for (let i = 0; i < 20; ++i) {
        if (kind === 'stream') client.write(block);
        else (client as unknown as { send(text: Buffer): void }).send(block);
      }
      client.end();
      await happens(socket, 'end');
      assert.equal(received, 20 * block.length);
      assert.deepEqual([changes, writers.size], kind === 'stream' ? [1, 0] : [0, 1]);
    });
  });
}

test('descriptors and writers come with the same bytes', async (t) => {
  const guarded = await serve(t, 'stream', {}, { passCredentials: true, maxDescriptors: 2 });
  const client = connect(t, 'stream', guarded.path);
  const socket = await guarded.connection();
  const order: string[] = [];
  socket.on('credentials', ({ pid }: PeerCredentials) => order.push(`by ${pid}`));
  socket.on('descriptors', (descriptors: { close(): void }[]) => {
    order.push(`${descriptors.length} descriptors`);
    for (const descriptor of descriptors) descriptor.close();
  });
  socket.on('data', (chunk: Buffer) => order.push(String(chunk)));
  client.sendDescriptors([0, 1], 'with');
  client.end();
  await happens(socket, 'end');
  assert.deepEqual(order, [`by ${process.pid}`, '2 descriptors', 'with']);
});

test('messages of a batch have theirs, and an empty message is none of an end', async (t) => {
  const guarded = await serve(t, 'seqpacket', {}, { passCredentials: true });
  const client = connect(t, 'seqpacket', guarded.path) as unknown as MessageSocket;
  const socket = (await guarded.connection()) as unknown as MessageSocket;
  client.sendBatch(['a', 'b']);
  client.end();
  const seen: unknown[] = [];
  for await (const batch of socket.batches()) {
    for (let i = 0; i < batch.length; ++i) {
      seen.push([String(batch.message(i)), batch.info(i).credentials?.pid]);
      assert.equal(batch.info(i).descriptorsDropped, false);
    }
    batch.release();
  }
  assert.deepEqual(seen, [
    ['a', process.pid],
    ['b', process.pid],
  ]);
});

test('who is not known wrote for nobody: no policy matches, nor its opposite', async () => {
  const [one, other] = net.socketpair();
  const Peer = one.peerCredentials?.constructor as new (
    ...given: [number, number, number, object]
  ) => PeerCredentials;
  one.destroy();
  other.destroy();
  // What the kernel says of a message that came without.
  const nobody = new Peer(0, 65_534, 65_534, { descriptor: () => -1 });
  for (const policy of [uid(65_534), not(uid(0))]) {
    await assert.rejects(policy.check(nobody), { code: 'ERR_AFUNIX_REFUSED' });
  }
});
