/**
 * Sockets of one engine send made-up traffic to each other: every peer has what was said to it, bytes, descriptors and identities,
 * nothing more, nothing less, and nothing of anybody else's.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test, type TestContext } from 'node:test';
import type { MessageInfo, Socket } from 'afunix/seqpacket';
import { grown, takeCensus } from '../helpers/descriptors';
import { freshPath } from '../helpers/socket-paths';
import { happens, LONG, randomNumbers, seqpacket, until } from './support';

const ROUNDS = LONG ? 2_000 : 60;
const SEED = Number(process.env['AFUNIX_SEED'] ?? 1);

/** What a message said, or what came: bytes, files, and who sent it. */
interface Said {
  readonly text: string;
  readonly files: readonly string[];
  readonly from: string;
}

/** Files to send, by name; each is told from the others by its inode. */
interface Files {
  readonly fds: readonly number[];
  nameOf(fd: number): string;
}

function openFiles(t: TestContext, count: number): Files {
  const names = new Map<number, string>();
  const fds = Array.from({ length: count }, (_, i) => {
    const file = freshPath(t);
    fs.writeFileSync(file, String(i));
    const fd = fs.openSync(file, 'r');
    t.after(() => fs.closeSync(fd));
    names.set(fs.fstatSync(fd).ino, `file ${i}`);
    return fd;
  });
  return { fds, nameOf: (fd) => names.get(fs.fstatSync(fd).ino) ?? 'something else' };
}

interface End {
  readonly socket: Socket;
  /** What the other end has said to this one. */
  readonly expected: Said[];
  readonly received: Said[];
  readonly takes: number;
  readonly knowsWho: boolean;
}

type Random = (limit: number) => number;

const LENGTHS = [1, 7, 64, 1000, 5_000, 20_000];

function record(end: End, { nameOf }: Files): void {
  const { socket, received } = end;
  socket.on('message', (bytes, info: MessageInfo) => {
    const { credentials, descriptors } = info;
    const files = descriptors.map((descriptor) => {
      const name = nameOf(descriptor.fd);
      // Some stay open for a while, so that what comes next may have to wait.
      if (received.length % 3 === 0) setImmediate(() => descriptor.close());
      else descriptor.close();
      return name;
    });
    const from =
      credentials === null ? '-' : `${credentials.pid ?? 0} ${credentials.uid} ${credentials.gid}`;
    if (info.truncated || info.descriptorsDropped) files.push('something was lost');
    received.push({ text: bytes.toString('latin1'), files, from });
  });
}

const MYSELF = `${process.pid} ${process.getuid?.() ?? 0} ${process.getgid?.() ?? 0}`;

/** One thing that `from` says to `to`, in any of the ways that there are. */
function say(from: End, to: End, files: Files, random: Random, number: number): void {
  const note = (text: string, names: readonly string[]): void => {
    to.expected.push({ text, files: names, from: to.knowsWho ? MYSELF : '-' });
  };
  const textOf = (index: number): string =>
    `${number}.${index} `.padEnd(LENGTHS[random(LENGTHS.length)] ?? 1, String(number % 10));
  const way = random(4);
  if (way === 0 && to.takes > 0) {
    const fds = Array.from(
      { length: 1 + random(to.takes) },
      () => files.fds[random(files.fds.length)] ?? -1,
    );
    const text = textOf(0);
    note(text, fds.map(files.nameOf));
    from.socket.sendDescriptors(fds, text);
  } else if (way === 1) {
    const batch = Array.from({ length: 1 + random(70) }, (_, i) => textOf(i));
    for (const text of batch) note(text, []);
    from.socket.sendBatch(batch);
  } else {
    const text = textOf(0);
    note(text, []);
    if (way === 2) from.socket.send(text);
    else from.socket.send(Buffer.from(text), (error) => assert.equal(error, null));
  }
}

async function connectTo(
  t: TestContext,
  random: Random,
): Promise<{ client: End; peer: End; close: () => Promise<void> }> {
  const takes = [0, 1, 3, 64, 253];
  const limits = {
    maxMessageSize: 20_000 + random(2) * 150_000,
    batchSize: [1, 4, 64, 256][random(4)] ?? 1,
  };
  const peerTakes = takes[random(takes.length)] ?? 0;
  const clientTakes = takes[random(takes.length)] ?? 0;
  const passCredentials = random(3) === 0 ? (random(2) === 0 ? 'pidfd' : true) : false;
  const path = freshPath(t);
  // Or four messages' worth, so that some have to wait.
  const most = random(2) === 0 ? {} : { maxOpenDescriptors: 100_000 };
  const server = seqpacket.createServer({
    ...limits,
    ...most,
    passCredentials,
    maxDescriptors: peerTakes,
  });
  server.listen(path);
  const accepted = happens(server, 'connection') as Promise<[Socket]>;
  const socket = seqpacket.connect({ path, ...limits, ...most, maxDescriptors: clientTakes });
  const [peer] = await accepted;
  const end = (of: Socket, what: number, knowsWho: boolean): End => ({
    socket: of,
    expected: [],
    received: [],
    takes: what,
    knowsWho,
  });
  return {
    client: end(socket, clientTakes, false),
    peer: end(peer, peerTakes, passCredentials !== false),
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** Ends say what they like, pause, read on, and end in one way or the other. */
async function round(t: TestContext, files: Files, random: Random): Promise<void> {
  const pairs = await Promise.all(
    Array.from({ length: 2 + random(2) }, () => connectTo(t, random)),
  );
  const talks = pairs.flatMap(({ client, peer }): [End, End][] => [
    [client, peer],
    [peer, client],
  ]);
  for (const [end] of talks) record(end, files);
  for (let number = 0; number < 30; ++number) {
    const [from, to] = talks[random(talks.length)];
    say(from, to, files, random, number);
    if (random(8) === 0) to.socket.pause();
    if (random(6) === 0) await new Promise((resolve) => setImmediate(resolve));
    if (random(4) === 0) to.socket.resume();
  }
  for (const [{ socket }] of talks) socket.resume();
  await until(() => talks.every(([end]) => end.received.length >= end.expected.length));
  const closes = talks.map(([{ socket }]) => happens(socket, 'close'));
  for (const { client, peer } of pairs) {
    const [first, second] = random(2) === 0 ? [client, peer] : [peer, client];
    if (random(2) === 0) first.socket.end();
    else first.socket.destroy();
    if (random(3) === 0) second.socket.destroy();
  }
  await Promise.all(closes);
  for (const [{ received, expected }] of talks) assert.deepEqual(received, expected);
  await Promise.all(pairs.map(({ close }) => close()));
}

test(
  `${ROUNDS} rounds between two and three pairs: what was said, and nothing else`,
  { timeout: 1_000_000 },
  async (t) => {
    const files = openFiles(t, 5);
    await round(t, files, randomNumbers(0));
    const before = takeCensus();
    for (let i = 0; i < ROUNDS; ++i) {
      const seed = SEED * 100_000 + i;
      try {
        await round(t, files, randomNumbers(seed));
      } catch (error) {
        t.diagnostic(`round ${i}: AFUNIX_SEED=${SEED}`);
        throw error;
      }
    }
    await until(() => Object.keys(grown(before, takeCensus())).length === 0);
  },
);
