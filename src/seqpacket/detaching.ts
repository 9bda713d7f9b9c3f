/** A message socket that gives up its descriptor, and one that is made of it. */
import { descriptorOf, Descriptor } from '../descriptor';
import { SEQPACKET } from '../binding';
import { engine, flush, takeUntoldMessages } from '../engine/engine';
import { codedError, errnoException } from '../errors';
import type { AncillaryReceiver } from './ancillary';
import { MESSAGE_TRUNCATED } from '../engine/records';
import { batchOf, type LoneMessage, type MessageBatch } from './batch';
import type { MessageConnection } from './connection';
import type { Inbox } from './inbox';

const EPROTOTYPE = -91;

export interface Detached {
  /** The connection's, still open; whoever has it closes it. */
  readonly descriptor: Descriptor;
  /** What had been received and not been told: the next messages, with their descriptors. Whoever drops them has to `release()` each. */
  readonly head: readonly MessageBatch[];
}

/** Of a socket, as far as it concerns giving its connection away. */
export interface Parts {
  readonly connection: MessageConnection | null;
  readonly inbox: Inbox;
  readonly ancillary: AncillaryReceiver | null;
  /** It was ended, or something that was sent has failed. */
  readonly sendsNoMore: boolean;
}

/** Takes the connection out of the engine. What is left of it there goes when it is closed. */
export function release({ connection, inbox, ancillary, sendsNoMore }: Parts): Detached {
  if (connection === null) throw codedError(Error, 'ERR_SOCKET_CLOSED', 'Socket is closed');
  flush();
  if (connection.queued > 0 || connection.blocked || sendsNoMore) {
    throw codedError(
      Error,
      'ERR_AFUNIX_PENDING_WRITES',
      `${connection.queued} bytes have not been taken by the kernel, or the socket was ended: detach() before end(), and behind \`await socket.flushed()\``,
    );
  }
  // Until it is known whether it goes nothing is told.
  inbox.leave();
  const fd = engine().detach(connection.handle);
  if (fd < 0) {
    inbox.stay();
    throw errnoException(fd, 'detach');
  }
  for (const [first, count] of takeUntoldMessages(connection.handle)) {
    inbox.take(first, count, ancillary?.take(first, count) ?? null);
  }
  return { descriptor: new Descriptor(fd), head: [...inbox.takeAll(), ...unread()] };
}

/** What the engine had received of the connection that it gave up last: each message behind its length and its full length. */
function unread(): MessageBatch[] {
  const memory = Buffer.alloc(engine().unread(new Uint8Array(0)));
  if (memory.length === 0) return [];
  engine().unread(memory);
  const messages: LoneMessage[] = [];
  for (let at = 0; at < memory.length;) {
    const length = memory.readInt32LE(at);
    const fullLength = memory.readInt32LE(at + 4);
    at += 8 + length;
    const bytes = memory.subarray(at - length, at);
    messages.push({ bytes, fullLength, flags: fullLength > length ? MESSAGE_TRUNCATED : 0 });
  }
  return [batchOf(messages)];
}

/** Opens what `given` is a descriptor of by `open`, who owns it then. What is refused stays its owner's. */
export function openGiven<T>(
  given: number | Descriptor | Detached,
  open: (fd: number, head: readonly MessageBatch[]) => T,
): T {
  const isDetached = typeof given === 'object' && given !== null && 'descriptor' in given;
  const source = isDetached ? given.descriptor : given;
  const fd = descriptorOf('given', source);
  const kind = engine().describe(fd);
  if (kind !== SEQPACKET) throw errnoException(kind < 0 ? kind : EPROTOTYPE, 'from');
  const head = isDetached ? given.head : [];
  return typeof source === 'number'
    ? open(fd, head)
    : source.handOver((handed) => open(handed, head));
}
