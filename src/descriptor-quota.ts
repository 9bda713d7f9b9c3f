/** How many descriptors a connection takes: the limits, and those that came on it and are open. */
import { checkInteger } from './checks';
import { Descriptor, MAXIMUM_DESCRIPTORS } from './descriptor';
import { closeAll } from './descriptor-sending';
import { descriptorNumbers, engine } from './engine/engine';
import { addHint, codedError, errnoException } from './errors';

export interface DescriptorLimits {
  /**
   * Descriptors that one message may bring, 0 to 253; default 0: what comes is closed at once and, from Linux 6.16 on, sending some to this
   * socket fails with EPERM.
   */
  maxDescriptors?: number;
  /** Received ones that may be open at a time; more destroy the socket. Default: four times `maxDescriptors`. */
  maxOpenDescriptors?: number;
}

const EMFILE = -24;

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

export class DescriptorQuota {
  private readonly most: number;
  /** Weak: a descriptor that nobody has any more is closed when it is collected. */
  private readonly open = new Set<WeakRef<Descriptor>>();

  constructor(private readonly limits: DescriptorLimits) {
    this.most = limits.maxOpenDescriptors ?? OPEN_PER_MESSAGE * (limits.maxDescriptors ?? 0);
  }

  /** They are about to become the user's. An error, and all of them are closed, if they are more than may be open. */
  admit(received: readonly Descriptor[]): Error | null {
    const count = received.length;
    if (this.open.size + count > this.most) this.forgetClosed();
    if (this.open.size + count > this.most) {
      closeAll(received);
      const error = codedError(
        Error,
        'ERR_AFUNIX_DESCRIPTOR_LIMIT',
        `${count} descriptors came, ${this.open.size} of this connection are open, and maxOpenDescriptors is ${this.most}`,
      );
      addHint(
        error,
        'close() them sooner, or raise `maxOpenDescriptors` to as many as may come while a listener still works on earlier ones; what was take()n does not count',
      );
      return error;
    }
    for (const descriptor of received) this.open.add(new WeakRef(descriptor));
    return null;
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

  private forgetClosed(): void {
    for (const reference of this.open) {
      if (reference.deref()?.closed !== false) this.open.delete(reference);
    }
  }
}
