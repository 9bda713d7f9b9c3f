/**
 * On io_uring the first answers of a batch are sent while the others are still being told, so that peers do not wait for all of it.
 * On epoll, where each answer is a system call of its own, they are sent behind the batch.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { setImmediate as immediate } from 'node:timers/promises';
import net, { features } from 'afunix';
import { RawSocket } from 'afunix/raw';
import { freshPath } from '../helpers/socket-paths';

const ENGINE_GIVES_IT = features().engine === 'io_uring';

/** Peers that do nothing by themselves, and what the server has for each. */
async function peersOf(
  t: TestContext,
  count: number,
): Promise<{ peers: RawSocket[]; sockets: net.Socket[] }> {
  const path = freshPath(t);
  const server = net.createServer().listen(path);
  t.after(() => server.close());
  await once(server, 'listening');
  const sockets: net.Socket[] = [];
  server.on('connection', (socket: net.Socket) => sockets.push(socket));
  const peers = Array.from({ length: count }, () => {
    const peer = RawSocket.socket('stream');
    t.after(() => peer.close());
    peer.connect(path);
    return peer;
  });
  while (sockets.length < count) await immediate();
  t.after(() => sockets.forEach((socket) => socket.destroy()));
  return { peers, sockets };
}

/** What has come to `peer` so far, as text. */
function arrived(peer: RawSocket): string {
  const memory = Buffer.alloc(256);
  const length = peer.recv(memory);
  return memory.toString('latin1', 0, Math.max(length, 0));
}

/**
 * Every peer sends its number, all at once; the server answers each as `answer` has it. How many had their answers when the last
 * was told.
 */
async function answeredBefore(
  peers: readonly RawSocket[],
  sockets: readonly net.Socket[],
  answer: (socket: net.Socket, question: Buffer) => void,
): Promise<{ early: number; answers: string[] }> {
  const answers = peers.map(() => '');
  const receive = (): void => peers.forEach((peer, index) => (answers[index] += arrived(peer)));
  let told = 0;
  let early = 0;
  for (const socket of sockets) {
    socket.on('data', (question: Buffer) => {
      told += 1;
      if (told === sockets.length) {
        receive();
        early = answers.filter((text) => text !== '').length;
      }
      answer(socket, question);
    });
  }
  await immediate();
  for (const [index, peer] of peers.entries()) peer.send(Buffer.from(`<${index}>`));
  while (answers.some((text) => !text.endsWith('>'))) {
    await immediate();
    receive();
  }
  return { early, answers };
}

for (const count of [2, 3, 8, 40]) {
  const expected = ENGINE_GIVES_IT ? Math.min(4, count >> 1) : 0;
  test(`of ${count} questions that come together ${expected} have their answers when the last is told`, async (t) => {
    const { peers, sockets } = await peersOf(t, count);
    const { early, answers } = await answeredBefore(peers, sockets, (socket, question) =>
      socket.write(question),
    );
    assert.equal(early, expected);
    assert.deepEqual(answers.sort(), peers.map((_, index) => `<${index}>`).sort());
  });
}

test('an answer in several pieces, some behind the head start, comes in order', async (t) => {
  const { peers, sockets } = await peersOf(t, 12);
  const { answers } = await answeredBefore(peers, sockets, (socket, question) => {
    socket.write('[');
    process.nextTick(() => socket.write(question));
    // Of somebody else's, in the middle of the batch: its own answer comes before or after, and whole.
    sockets[0]?.write('-');
  });
  const first = answers.find((text) => text.includes('-')) ?? '';
  assert.equal(first.replaceAll('-', '').length, '[<0>'.length);
  for (const text of answers) assert.match(text.replaceAll('-', ''), /^\[<\d+>$/);
});

test('whoever is destroyed before its turn is told nothing, and the others have their answers', async (t) => {
  const { peers, sockets } = await peersOf(t, 10);
  const last = sockets.length - 1;
  const told: number[] = [];
  sockets.forEach((socket, index) => {
    socket.on('data', (question: Buffer) => {
      told.push(index);
      socket.write(question);
      // Its question is in the same batch, and its end goes out with the first answers.
      sockets[last]?.destroy();
    });
  });
  await immediate();
  for (const [index, peer] of peers.entries()) peer.send(Buffer.from(`<${index}>`));
  const answers = peers.map(() => '');
  while (answers.slice(0, last).some((text) => !text.endsWith('>'))) {
    await immediate();
    for (const [index, peer] of peers.entries()) if (index < last) answers[index] += arrived(peer);
  }
  assert.deepEqual(
    told,
    peers.slice(0, last).map((_, index) => index),
  );
  assert.deepEqual(
    answers.slice(0, last),
    peers.slice(0, last).map((_, index) => `<${index}>`),
  );
  assert.equal(sockets[last]?.bytesRead, 0);
});
