/** A message socket as streams: a message is a chunk. */
import { Duplex } from 'node:stream';
import type { ReadableStream, WritableStream } from 'node:stream/web';
import { closeAll } from '../descriptor-sending';
import type { Message } from './outgoing';
import type { Socket } from './socket';

type Done = (error?: Error | null) => void;

interface Chunk {
  readonly chunk: Message;
}

/** Runs `act`; what it throws goes to `done`. */
function trying(done: Done, act: () => void): void {
  try {
    act();
  } catch (error) {
    done(error as Error);
  }
}

export function messageDuplex(socket: Socket): Duplex {
  const duplex = new Duplex({
    objectMode: true,
    decodeStrings: false,
    allowHalfOpen: socket.allowHalfOpen,
    read: () => void socket.resume(),
    write: (chunk: Message, _encoding, done: Done) =>
      trying(done, () => void socket.send(chunk, done)),
    writev: (chunks: Chunk[], done: Done) =>
      trying(done, () => void socket.sendBatch(chunks.map(messageOf), done)),
    final(done: Done) {
      if (socket.writableFinished) done();
      else socket.end(done);
    },
    destroy(error, done: Done) {
      if (socket.closed) {
        done(error);
        return;
      }
      socket.once('close', () => done(error));
      socket.destroy();
    },
  });
  // It ends when the stream does, behind what the stream still holds.
  socket.allowHalfOpen = true;
  socket.on('message', (message, { descriptors }) => {
    // A chunk is only bytes.
    closeAll(descriptors);
    if (!duplex.push(message)) socket.pause();
  });
  socket.on('end', () => duplex.push(null));
  socket.on('error', (error) => void duplex.destroy(error));
  socket.on('close', () => void duplex.destroy());
  // What has been told before is not told again.
  if (socket.readableEnded) duplex.push(null);
  if (socket.destroyed) duplex.destroy();
  return duplex;
}

function messageOf({ chunk }: Chunk): Message {
  return chunk;
}

export function messageWebStreams(socket: Socket): {
  readable: ReadableStream<Uint8Array>;
  writable: WritableStream<Message>;
} {
  return Duplex.toWeb(messageDuplex(socket));
}
