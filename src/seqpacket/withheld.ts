/** What was sent before it was known who is at the other end: it stays here until somebody has said that they may have it. */
import type { AsyncResource } from 'node:async_hooks';
import type { Descriptor } from '../descriptor';
import { closeAll } from '../descriptor-sending';

export type SendCallback = (error: NodeJS.ErrnoException | null) => void;

/** Somebody who is told what became of a message. */
export interface Waiting {
  readonly callback: SendCallback;
  readonly context: AsyncResource;
}

export interface WithheldMessage {
  /** A copy: the message is its sender's again. */
  readonly message: Uint8Array;
  readonly load: readonly Descriptor[] | null;
  readonly waiting: Waiting | null;
}

export class Withheld {
  bytes = 0;
  /** Who waits until all of it was sent. */
  readonly flushing: Waiting[] = [];
  private messages: WithheldMessage[] = [];

  get count(): number {
    return this.messages.length;
  }

  add(one: WithheldMessage): void {
    this.bytes += one.message.byteLength;
    this.messages.push(one);
  }

  /** All of them, in order; from then on they are whoever's took them. */
  take(): readonly WithheldMessage[] {
    const { messages } = this;
    this.messages = [];
    this.bytes = 0;
    return messages;
  }

  /** None of them will be sent. Whoever waited for one. */
  drop(): Waiting[] {
    const dropped = this.take();
    for (const { load } of dropped) if (load !== null) closeAll(load);
    const waiting = dropped.flatMap((one) => (one.waiting === null ? [] : [one.waiting]));
    return [...waiting, ...this.flushing.splice(0)];
  }
}
