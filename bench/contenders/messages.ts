import type { Connection, Endpoint } from './contender.js';

/** Told of what came; the bytes are only lent. */
export interface MessageReader {
  /** Whole messages with their bytes; asked for instead of `count` while they are verified. */
  each: ((message: Buffer) => void) | null;
  /** So many messages came, with so many bytes in all. */
  count(messages: number, bytes: number): void;
  end(): void;
}

/** A connection that carries messages, whatever it makes them of. */
export interface MessageConnection {
  /** Sends them in order. False: 'drain' follows, and until then no more should be sent. */
  send(messages: readonly Buffer[]): boolean;
  read(reader: MessageReader): void;
  /** Ends this direction; done when everything was taken by the kernel. */
  end(): Promise<void>;
  on(event: 'connect' | 'drain' | 'error', listener: (error: Error) => void): unknown;
}

/** The part of a contender that sends and receives messages with boundaries. */
export interface MessageContender {
  listen(path: string, onConnection: (connection: MessageConnection) => void): Promise<Endpoint>;
  connect(endpoint: Endpoint): MessageConnection;
}

/** Bytes of the length in front of each message on a stream. */
const PREFIX = 4;

/** One write for both is faster than two, and than a corked pair. */
function framed(message: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX + message.length);
  frame.writeUInt32LE(message.length, 0);
  message.copy(frame, PREFIX);
  return frame;
}

/** Messages over a stream, each behind its length: what a program without SOCK_SEQPACKET does. */
export class FramedConnection implements MessageConnection {
  constructor(private readonly stream: Connection) {}

  on(event: string, listener: (error: Error) => void): void {
    this.stream.on(event, listener);
  }

  send(messages: readonly Buffer[]): boolean {
    let room = true;
    for (const message of messages) room = this.stream.write(framed(message)) && room;
    return room;
  }

  read(reader: MessageReader): void {
    let rest: Buffer | null = null;
    this.stream.on('data', (chunk: Buffer) => {
      const bytes = rest === null ? chunk : Buffer.concat([rest, chunk]);
      let at = 0;
      let messages = 0;
      while (bytes.length - at >= PREFIX) {
        const end = at + PREFIX + bytes.readUInt32LE(at);
        if (end > bytes.length) break;
        if (reader.each) reader.each(bytes.subarray(at + PREFIX, end));
        else messages += 1;
        at = end;
      }
      rest = at === bytes.length ? null : bytes.subarray(at);
      if (messages > 0) reader.count(messages, at - messages * PREFIX);
    });
    this.stream.on('end', () => reader.end());
  }

  end(): Promise<void> {
    return new Promise((resolve) => {
      this.stream.on('finish', () => resolve());
      this.stream.end();
    });
  }
}
