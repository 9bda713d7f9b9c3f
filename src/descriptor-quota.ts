/** How many descriptors a connection takes: the limits, and those that came on it and are open. */
import { checkInteger } from './checks';
import { debug, debugging } from './debug';
import { Descriptor, MAXIMUM_DESCRIPTORS, type Account } from './descriptor';
import { closeAll } from './descriptor-sending';
import { descriptorNumbers, engine } from './engine/engine';
import { addHint, codedError, errnoException } from './errors';
import { clearTimeout, setTimeout } from './real-time';

export interface DescriptorLimits {
  /**
   * Descriptors that one message may bring, 0 to 253; default 0: what comes is closed at once and, from Linux 6.16 on, sending some to this
   * socket fails with EPERM.
   */
  maxDescriptors?: number;
  /**
   * Received ones that may be open at a time: those that were neither closed, taken nor given away. What would bring more waits until there
   * is room, and with it whatever is behind it. One message alone may not bring more than that. Default: four times `maxDescriptors`.
   */
  maxOpenDescriptors?: number;
}

const EMFILE = -24;

/** Milliseconds in which somebody who closes what they get would have closed one. */
const PATIENCE = 5000;

/** Of the open descriptors of one connection, for each that one message may bring. */
const OPEN_PER_MESSAGE = 4;

/** Throws for limits that are none. */
export function checkDescriptorLimits(limits: DescriptorLimits): void {
  const { maxDescriptors, maxOpenDescriptors } = limits;
  if (maxDescriptors !== undefined) {
    checkInteger('options.maxDescriptors', maxDescriptors, 0, MAXIMUM_DESCRIPTORS);
  }
  if (maxOpenDescriptors !== undefined) {
    checkInteger('options.maxOpenDescriptors', maxOpenDescriptors, 0, 1_000_000);
  }
}

/** Those at `place` of the table of the batch under way. */
export function claimDescriptors(place: number, count: number): Descriptor[] {
  const status = engine().claimDescriptors(place, count);
  if (status < 0) throw errnoException(status, 'recvmsg');
  return Array.from(descriptorNumbers.subarray(place, place + count), (fd) => new Descriptor(fd));
}

/** So many may be open at a time. */
export function mostOpen({ maxDescriptors, maxOpenDescriptors }: DescriptorLimits): number {
  return maxOpenDescriptors ?? OPEN_PER_MESSAGE * (maxDescriptors ?? 0);
}

/**
 * Those of one connection that are its user's: open, and neither taken nor given away. What has no room waits, unread by its user, until some
 * are closed.
 */
export class DescriptorQuota implements Account {
  private readonly most: number;
  private open = 0;
  /** Something waits for room. */
  private waits = false;
  private watch: NodeJS.Timeout | null = null;
  /** One was closed since the watch was set. */
  private moves = false;

  constructor(
    private readonly limits: DescriptorLimits,
    /** There may be room for what had none. */
    private readonly roomAgain: () => void,
  ) {
    this.most = mostOpen(limits);
  }

  /** Whether `count` more may be open. If not, whoever asked waits for `roomAgain`. More than there can ever be are for `admit` to refuse. */
  hasRoomFor(count: number): boolean {
    if (count === 0 || count > this.most || this.open + count <= this.most) return true;
    if (!this.waits) {
      this.waits = true;
      this.moves = false;
      this.watch ??= this.watchSoon();
    }
    return false;
  }

  /** They are about to become the user's. An error, and all of them are closed, if they are more than may ever be open. */
  admit(received: readonly Descriptor[]): Error | null {
    const count = received.length;
    if (count <= this.most) {
      for (const descriptor of received) descriptor.countIn(this);
      return null;
    }
    closeAll(received);
    const error = codedError(
      Error,
      'ERR_AFUNIX_DESCRIPTOR_LIMIT',
      `${count} descriptors came with one message, and maxOpenDescriptors is ${this.most}`,
    );
    addHint(error, 'raise `maxOpenDescriptors` to what one message may bring, or more');
    return error;
  }

  changeBy(count: number): void {
    this.open += count;
    if (count > 0) return;
    this.moves = true;
    if (!this.waits) return;
    this.waits = false;
    this.roomAgain();
  }

  /** Nobody waits any more: the connection is gone. */
  close(): void {
    this.waits = false;
    if (this.watch !== null) clearTimeout(this.watch);
    this.watch = null;
  }

  private watchSoon(): NodeJS.Timeout {
    return setTimeout(() => {
      this.watch = null;
      if (!this.waits) return;
      if (this.moves) {
        this.moves = false;
        this.watch = this.watchSoon();
      } else {
        warnOfWaiting(this.open, this.most);
      }
    }, PATIENCE).unref();
  }

  /** Why the engine closed what came: the process has no room for it, or one message brought too many. */
  refusal(status: number): Error {
    if (status === EMFILE) {
      const error = errnoException(status, 'recvmsg');
      addHint(error, 'descriptors came, and this process has no room for them; they were closed');
      return error;
    }
    return codedError(
      Error,
      'ERR_AFUNIX_DESCRIPTOR_LIMIT',
      `more descriptors came with one message than maxDescriptors, which is ${this.limits.maxDescriptors ?? 0}`,
    );
  }
}

let warned = false;

/** Once in a thread: a listener that never closes does so on every connection. */
function warnOfWaiting(open: number, most: number): void {
  if (debugging) debug('%d descriptors of a connection are open, nothing is read from it', open);
  if (warned) return;
  warned = true;
  process.emitWarning(
    `A connection is not read from: ${open} descriptors that came on it are open, and maxOpenDescriptors is ${most}. close() them, or raise maxOpenDescriptors`,
    { type: 'AfunixWarning', code: 'AFUNIX_OPEN_DESCRIPTORS' },
  );
}
