import type { EventEmitter } from 'node:events';

import { launchNode } from '../launch.js';
import { afunixEntry, afunixLibrary } from './afunix-library.js';
import type { Connection, Endpoint, JavaScriptContender } from './contender.js';
import type { MessageConnection, MessageReader } from './messages.js';

/** The part of afunix/seqpacket that is used here. */
interface Seqpacket {
  createServer(onConnection: (socket: Socket) => void): EventEmitter & {
    listen(path: string, onListening: () => void): unknown;
  };
  connect(path: string): Socket;
}

interface Socket extends EventEmitter {
  send(message: Uint8Array): boolean;
  sendBatch(messages: readonly Uint8Array[]): boolean;
  batches(options: { memory: 'borrowed' }): AsyncIterable<Batch>;
  end(callback?: () => void): unknown;
  resume(): unknown;
  readonly writableFinished: boolean;
}

interface Batch {
  readonly length: number;
  message(index: number): Buffer;
  readonly lengths: Int32Array;
}

function library(): Seqpacket {
  return afunixEntry('afunix/seqpacket') as Seqpacket;
}

function pathOf(endpoint: Endpoint): string {
  if ('path' in endpoint) return endpoint.path;
  throw new Error('only Unix sockets are measured here');
}

function listenOn<C>(
  path: string,
  asConnection: (socket: Socket) => C,
  accept: (connection: C) => void,
): Promise<Endpoint> {
  return new Promise((resolve, reject) => {
    const server = library().createServer((socket) => accept(asConnection(socket)));
    server.once('error', reject);
    server.listen(path, () => resolve({ path }));
  });
}

/** A message is told as 'data', and write() sends one: all that echo needs. */
function asStream(socket: Socket): Connection {
  const on = socket.on.bind(socket);
  return Object.assign(socket, {
    write: socket.send.bind(socket),
    on: (event: string, listener: (...args: unknown[]) => void) =>
      on(event === 'data' ? 'message' : event, listener),
  });
}

/** One call of the library per message, both ways. */
class SingleMessages implements MessageConnection {
  constructor(protected readonly socket: Socket) {}

  on(event: string, listener: (error: Error) => void): void {
    this.socket.on(event, listener);
  }

  send(messages: readonly Buffer[]): boolean {
    let room = true;
    for (const message of messages) room = this.socket.send(message) && room;
    return room;
  }

  read(reader: MessageReader): void {
    this.socket.on('message', (message: Buffer) => {
      if (reader.each) reader.each(message);
      else reader.count(1, message.length);
    });
    this.socket.on('end', () => reader.end());
  }

  end(): Promise<void> {
    return new Promise((resolve) => void this.socket.end(resolve));
  }
}

/** Batches in both directions; what came is read from the batch's columns. */
class BatchedMessages extends SingleMessages {
  override send(messages: readonly Buffer[]): boolean {
    return this.socket.sendBatch(messages);
  }

  override read(reader: MessageReader): void {
    void this.readBatches(reader);
  }

  private async readBatches(reader: MessageReader): Promise<void> {
    for await (const batch of this.socket.batches({ memory: 'borrowed' })) {
      let next = 0;
      while (reader.each && next < batch.length) reader.each(batch.message(next++));
      let bytes = 0;
      for (let i = next; i < batch.length; i++) bytes += batch.lengths[i] ?? 0;
      if (next < batch.length) reader.count(batch.length - next, bytes);
    }
    reader.end();
  }
}

function seqpacketContender(
  id: string,
  title: string,
  Messages: typeof SingleMessages,
): JavaScriptContender {
  return {
    id,
    title,
    baselines: ['net-unix', 'node-unix-socket'],
    reads: 'data',
    launch: launchNode,
    probe: () => {
      library();
      const { engine } = afunixLibrary().stats();
      if (engine === 'net') throw new Error('afunix found no usable addon here');
      return { engine };
    },
    listen: (path, onConnection) => listenOn(path, asStream, onConnection),
    connect: (endpoint) => asStream(library().connect(pathOf(endpoint))),
    messages: {
      listen: (path, onConnection) =>
        listenOn(path, (socket) => new Messages(socket), onConnection),
      connect: (endpoint) => new Messages(library().connect(pathOf(endpoint))),
    },
    counters: () => afunixLibrary().stats(),
  };
}

export const afunixSeqpacket = seqpacketContender(
  'afunix-seqpacket',
  'afunix, SEQPACKET',
  SingleMessages,
);

export const afunixSeqpacketBatched = seqpacketContender(
  'afunix-seqpacket-batched',
  'afunix, SEQPACKET, batched',
  BatchedMessages,
);
