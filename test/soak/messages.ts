/** Messages with their number, length and bytes, in batches of any size, there and back. */
import { once } from 'node:events';
import type { Socket } from 'afunix/seqpacket';
import type seqpacket from 'afunix/seqpacket';
import { firstOf } from './events';
import { below, generator, patternOf, someLength } from './pattern';

type Seqpacket = typeof seqpacket;

const LONGEST = 100_000;
const MOST = 2000;
const HEADER = 8;

function messageOf(seed: number, number: number, length: number): Buffer {
  const message = Buffer.alloc(HEADER + length);
  message.writeUInt32LE(number, 0);
  message.writeUInt32LE(length, 4);
  message.set(patternOf(seed + number, 0, length), HEADER);
  return message;
}

/** Sends back what comes, in the batches in which it comes. */
export async function echo(socket: Socket): Promise<void> {
  for await (const batch of socket.batches({ memory: 'borrowed' })) {
    const more = socket.sendBatch([...batch]);
    batch.release();
    if (!more) await firstOf(socket, 'drain', 'close');
  }
  socket.end();
  if (!socket.closed) await once(socket, 'close');
}

/** One conversation from the connecting end; how many messages it exchanged. */
export async function exchange(library: Seqpacket, path: string, seed: number): Promise<number> {
  const random = generator(seed);
  const count = someLength(random, MOST);
  const lengths = Array.from({ length: count }, () => someLength(random, LONGEST));
  const socket = library.connect(path);
  let next = 0;
  let wrong: Error | undefined;
  socket.on('message', (bytes: Buffer) => {
    const length = lengths[next] ?? -1;
    if (!bytes.equals(messageOf(seed, next, Math.max(length, 0)))) {
      wrong ??= new Error(`seed ${seed}: message ${next} of ${count} came back as another`);
    }
    next += 1;
    if (below(random, 50) === 0) {
      socket.pause();
      setImmediate(() => socket.resume());
    }
  });
  const ended = once(socket, 'close');
  await once(socket, 'connect');
  for (let sent = 0; sent < count;) {
    const size = Math.min(1 + below(random, 64), count - sent);
    const batch = lengths
      .slice(sent, sent + size)
      .map((length, at) => messageOf(seed, sent + at, length));
    sent += size;
    if (!socket.sendBatch(batch)) await firstOf(socket, 'drain', 'close');
  }
  socket.end();
  await ended;
  if (wrong !== undefined) throw wrong;
  if (next !== count) throw new Error(`seed ${seed}: ${next} messages of ${count} came back`);
  return count;
}
