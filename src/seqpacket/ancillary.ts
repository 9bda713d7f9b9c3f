/** What comes beside the bytes of a message: descriptors, if its socket takes some, and who sent it, if its server asks. */
import type { Descriptor } from '../descriptor';
import { claimDescriptors, DescriptorQuota, type DescriptorLimits } from '../descriptor-quota';
import { closeAll } from '../descriptor-sending';
import { kHold, kRelease, type PeerCredentials } from '../credentials/peer';
import { Writers } from '../credentials/writers';
import { CREDENTIALS_CAME, DESCRIPTORS_CAME, DESCRIPTORS_DROPPED } from '../engine/records';
import { DESCRIPTOR_COUNTS, DESCRIPTOR_PLACES, FLAGS, PEERS, received } from './memory';

export class Ancillary {
  /** How many descriptors came, whoever has them now. */
  readonly descriptorCount: number;
  /** More came than its user may have open. */
  dropped = false;
  /** The sender's pidfd stays open. */
  private holds: boolean;

  constructor(
    /** Those that nobody has taken; closed by `close`. */
    readonly descriptors: Descriptor[],
    private receiver: AncillaryReceiver,
    /** Who sent it; null where nobody asked the kernel. */
    readonly credentials: PeerCredentials | null = null,
  ) {
    this.descriptorCount = descriptors.length;
    this.holds = credentials !== null;
    credentials?.[kHold]();
  }

  /** The connection, and with it the message, is another socket's, which counts them. */
  moveTo(receiver: AncillaryReceiver): void {
    this.receiver = receiver;
  }

  /** Whether they, and `others` before them, may be the user's now. If not, the receiver's `roomAgain` is called. */
  fits(others = 0): boolean {
    return this.receiver.hasRoomFor(others + this.descriptors.length);
  }

  /** They are the user's from here on, unless these are too many: then there are none, and the connection ends. */
  admit(): void {
    if (this.receiver.admits(this.descriptors)) return;
    this.dropped = true;
    closeAll(this.descriptors.splice(0));
  }

  /** The same, and they are only the caller's. */
  takeDescriptors(): Descriptor[] {
    if (this.descriptors.length > 0) this.admit();
    return this.descriptors.splice(0);
  }

  /** Closes what nobody has taken. */
  close(): void {
    closeAll(this.descriptors.splice(0));
    this.told();
  }

  /** The message was told: what is open of its sender is open because nobody else has sent since. */
  told(): void {
    if (this.holds) this.credentials?.[kRelease]();
    this.holds = false;
  }
}

/** By message; null for what had nothing beside it, and for messages none of which had. */
export type AncillaryOfBatch = (Ancillary | null)[] | null;

/** Takes what came out of the engine's tables, for one socket. */
export class AncillaryReceiver {
  private readonly quota: DescriptorQuota;
  private readonly writers = new Writers();
  private failed = false;

  constructor(
    limits: DescriptorLimits,
    /** The connection has to end, behind the messages that came. */
    private readonly fail: (error: Error) => void,
    /** There may be room for descriptors that had none. */
    roomAgain: () => void,
  ) {
    this.quota = new DescriptorQuota(limits, roomAgain);
  }

  /** What came with the messages in these rows, while the batch of events lasts. */
  take(first: number, count: number): AncillaryOfBatch {
    let taken: AncillaryOfBatch = null;
    for (let i = 0; i < count; ++i) {
      const row = first + i;
      const flags = received[FLAGS + row];
      if ((flags & (DESCRIPTORS_CAME | CREDENTIALS_CAME)) === 0) continue;
      const descriptors =
        (flags & DESCRIPTORS_CAME) === 0
          ? []
          : claimDescriptors(received[DESCRIPTOR_PLACES + row], received[DESCRIPTOR_COUNTS + row]);
      const sender =
        (flags & CREDENTIALS_CAME) === 0 ? null : this.writers.at(received[PEERS + row]);
      taken ??= new Array<Ancillary | null>(count).fill(null);
      taken[i] = new Ancillary(descriptors, this, sender);
    }
    return taken;
  }

  hasRoomFor(count: number): boolean {
    return this.failed || this.quota.hasRoomFor(count);
  }

  admits(descriptors: readonly Descriptor[]): boolean {
    if (this.failed) return false;
    const refused = this.quota.admit(descriptors);
    if (refused === null) return true;
    this.failed = true;
    this.fail(refused);
    return false;
  }

  /** The connection is gone. */
  close(): void {
    this.writers.close();
    this.quota.close();
  }

  /** The engine has closed what came with one of the messages that it told. */
  refused(status: number): void {
    if (this.failed) return;
    this.failed = true;
    this.fail(this.quota.refusal(status));
  }
}

/** Closes all that came with the messages from row `first` on: nobody will ever look at it. */
export function dropAncillary(taken: AncillaryOfBatch, first: number): void {
  taken?.forEach((ancillary, i) => {
    ancillary?.close();
    if (ancillary === null || ancillary.descriptorCount === 0) return;
    const row = FLAGS + first + i;
    received[row] = (received[row] & ~DESCRIPTORS_CAME) | DESCRIPTORS_DROPPED;
  });
}
