/**
 * Stream traffic: each conversation begins with a header that says what it is. Lengths, pauses, kinds of writes and the places
 * where a connection is torn off come from the conversation's seed.
 */
import { once } from 'node:events';
import fs from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Socket } from 'afunix';
import type net from 'afunix';
import type { Descriptor } from 'afunix/raw';
import { firstOf } from './events';
import { below, Checker, generator, patternOf, someLength, type Random } from './pattern';

type Net = typeof net;

const HEADER = 9;
const LONGEST = 3_000_000;

/** What the first byte of a conversation says. */
const Kind = { echo: 0, sink: 1, source: 2, torn: 3, files: 4 } as const;
type Kind = (typeof Kind)[keyof typeof Kind];

export const streamKinds = Object.keys(Kind) as (keyof typeof Kind)[];

function header(kind: Kind, seed: number, length: number): Buffer {
  const bytes = Buffer.alloc(HEADER);
  bytes.writeUInt8(kind, 0);
  bytes.writeUInt32LE(seed, 1);
  bytes.writeUInt32LE(length, 5);
  return bytes;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Writes the bytes of `seed`, in writes of many lengths and kinds; stops early at `end`. */
async function write(
  socket: Socket,
  random: Random,
  seed: number,
  length: number,
  end = length,
): Promise<void> {
  const longest = below(random, 2) === 0 ? 2000 : 300_000;
  for (let offset = 0; offset < end && !socket.destroyed;) {
    const size = Math.min(someLength(random, longest), end - offset);
    const bytes = patternOf(seed, offset, size);
    const way = below(random, 4);
    let more;
    if (way === 0) more = socket.write(bytes.toString('latin1'), 'latin1');
    else if (way === 1) {
      const middle = below(random, size);
      socket.cork();
      socket.write(bytes.subarray(0, middle));
      more = socket.write(bytes.toString('hex', middle), 'hex');
      socket.uncork();
    } else more = socket.write(bytes);
    offset += size;
    if (!more) await firstOf(socket, 'drain', 'close');
    else if (below(random, 10) === 0) await turn();
  }
}

/** Reads to the end, comparing, with pauses, and by several ways of reading. */
async function check(socket: Socket, random: Random, checker: Checker): Promise<void> {
  if (below(random, 2) === 0) {
    // Without the option the socket would be destroyed at the end, before it has answered.
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
      checker.push(chunk as Buffer);
      if (below(random, 20) === 0) await turn();
    }
    return;
  }
  socket.on('data', (chunk: Buffer) => {
    try {
      checker.push(chunk);
    } catch (error) {
      socket.destroy(error as Error);
    }
    if (below(random, 20) === 0) {
      socket.pause();
      setImmediate(() => socket.resume());
    }
  });
  await once(socket, 'end');
}

async function closed(socket: Socket): Promise<void> {
  if (!socket.closed) await once(socket, 'close');
}

/** The first bytes of a conversation; what follows them stays in the socket. */
async function readHeader(socket: Socket): Promise<Buffer | null> {
  for (;;) {
    const bytes = socket.read(HEADER) as Buffer | null;
    if (bytes !== null) return bytes.length === HEADER ? bytes : null;
    if (socket.readableEnded || socket.destroyed) return null;
    await firstOf(socket, 'readable', 'end', 'close');
  }
}

/** The serving end of every conversation. */
export async function serve(socket: Socket): Promise<void> {
  // A peer that tears off: what arrived before that was right.
  let gone = false;
  socket.on('error', () => (gone = true));
  const files: number[] = [];
  socket.on('descriptors', (descriptors: Descriptor[]) => {
    for (const descriptor of descriptors) files.push(descriptor.take());
  });
  const bytes = await readHeader(socket);
  if (bytes === null) {
    socket.destroy();
    return;
  }
  const kind = bytes.readUInt8(0) as Kind;
  const seed = bytes.readUInt32LE(1);
  const length = bytes.readUInt32LE(5);
  const random = generator(seed ^ 0x5a5a5a5a);
  if (kind === Kind.echo) {
    await pipeline(socket, socket);
  } else if (kind === Kind.source) {
    await write(socket, random, seed, length);
    socket.end();
    socket.resume();
  } else {
    const checker = new Checker(seed);
    try {
      await check(socket, random, checker);
    } catch (error) {
      if (!gone) throw error;
    }
    if (kind === Kind.torn) {
      socket.destroy();
      return;
    }
    checker.finish(length);
    for (const file of files) {
      fs.writeSync(file, String(seed));
      fs.closeSync(file);
    }
    const answer = Buffer.alloc(4);
    answer.writeUInt32LE(length);
    socket.end(answer);
  }
  await closed(socket);
}

async function collect(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** One conversation from the connecting end; how many bytes it moved. */
export async function converse(
  net: Net,
  path: string,
  name: keyof typeof Kind,
  seed: number,
): Promise<number> {
  const random = generator(seed);
  const kind = Kind[name];
  const length = someLength(random, LONGEST);
  const checker = new Checker(seed);
  if (name === 'source' && below(random, 2) === 0) return sourceInto(net, path, seed, length);
  const socket = net.connect(path);
  await once(socket, 'connect');
  socket.write(header(kind, seed, length));
  if (name === 'echo') {
    const checked = check(socket, random, checker);
    await write(socket, generator(seed + 1), seed, length);
    socket.end();
    await checked;
    checker.finish(length);
  } else if (name === 'source') {
    await check(socket, random, checker);
    checker.finish(length);
  } else if (name === 'torn') {
    socket.on('error', () => undefined);
    await write(socket, random, seed, length, below(random, length));
    socket.destroy();
  } else {
    const pipe = name === 'files' ? openPipe(net) : undefined;
    const sent = below(random, length);
    await write(socket, random, seed, length, sent);
    if (pipe !== undefined) socket.sendDescriptors([pipe.write], patternOf(seed, sent, 1));
    const rest = pipe === undefined ? sent : sent + 1;
    socket.end(patternOf(seed, rest, length - rest));
    const answer = await collect(socket);
    if (answer.length !== 4 || answer.readUInt32LE() !== length)
      throw new Error(`seed ${seed}: answer`);
    if (pipe !== undefined) await pipe.said(String(seed));
  }
  await closed(socket);
  return length;
}

/** Reads into memory of its own. */
async function sourceInto(net: Net, path: string, seed: number, length: number): Promise<number> {
  const checker = new Checker(seed);
  let wrong: Error | undefined;
  const socket = net.connect({
    path,
    onread: {
      buffer: Buffer.alloc(100_000),
      callback: (size, buffer) => {
        try {
          checker.push(Buffer.from(buffer.buffer, buffer.byteOffset, size));
        } catch (error) {
          wrong ??= error as Error;
        }
        return true;
      },
    },
  });
  socket.write(header(Kind.source, seed, length));
  await once(socket, 'close');
  if (wrong !== undefined) throw wrong;
  checker.finish(length);
  return length;
}

/** Something whose one end can be sent away, and whose other end tells what became of it. */
function openPipe(net: Net): { write: number; said(text: string): Promise<void> } {
  const [mine, theirs] = net.socketpair();
  const { descriptor } = theirs.detach();
  const said = async (text: string): Promise<void> => {
    descriptor.close();
    const heard = (await collect(mine)).toString();
    if (heard !== text) throw new Error(`'${heard}' through a descriptor, not '${text}'`);
  };
  return { write: descriptor.fd, said };
}
