/** Several copies of the module in one thread: a test runner that loads it anew for each file, two versions in a tree, a bundle beside it. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { happens } from '../helpers/sockets';

type Afunix = typeof import('afunix');
type Raw = typeof import('afunix/raw');
type Seqpacket = typeof import('afunix/seqpacket');

interface Copy {
  readonly afunix: Afunix;
  readonly raw: Raw;
  readonly seqpacket: Seqpacket;
}

const load = createRequire(__filename);

/** Evaluates all of our JavaScript once more; the addon stays in the cache of `require`. */
function anotherCopy(): Copy {
  for (const file of Object.keys(load.cache)) {
    if (file.includes('/dist/') && !file.endsWith('.node'))
      Reflect.deleteProperty(load.cache, file);
  }
  return {
    afunix: load('afunix') as Afunix,
    raw: load('afunix/raw') as Raw,
    seqpacket: load('afunix/seqpacket') as Seqpacket,
  };
}

test('several copies of the module in one thread serve and connect beside and with each other', async () => {
  const copies = [anotherCopy(), anotherCopy(), anotherCopy()];
  assert.notEqual(copies[0]?.afunix.Socket, copies[1]?.afunix.Socket, 'only one copy');
  const path = (index: number): string => `\0afunix-test-${process.pid}-copy-${index}`;
  const servers = copies.map(({ afunix }, index) => {
    const server = afunix.createServer((peer) => void peer.pipe(peer));
    server.listen(path(index));
    return server;
  });
  await Promise.all(servers.map((server) => happens(server, 'listening')));
  const talks = copies.flatMap(({ afunix }, from) =>
    copies.map(async (_, to) => {
      const socket = afunix.connect(path(to));
      socket.write(`from ${from} to ${to}`);
      assert.equal(String((await happens(socket, 'data'))[0]), `from ${from} to ${to}`);
      const closed = happens(socket, 'close');
      socket.end();
      socket.resume();
      await closed;
    }),
  );
  await Promise.all(talks);
  for (const { afunix } of copies) assert.equal(afunix.stats().connected, copies.length);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
});

test('several copies of the module in one thread have message sockets and raw sockets each', async () => {
  for (const { seqpacket, raw } of [anotherCopy(), anotherCopy()]) {
    const [one, other] = seqpacket.socketpair();
    const message = happens(other, 'message');
    one.send('whole');
    assert.equal(String((await message)[0]), 'whole');
    one.destroy();
    other.destroy();
    const [mine, theirs] = raw.RawSocket.socketpair('stream');
    mine.send(Buffer.from('x'));
    assert.ok((await theirs.poll(raw.constants.POLLIN)) & raw.constants.POLLIN);
    mine.close();
    theirs.close();
  }
});
