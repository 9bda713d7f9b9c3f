/** The events that `net.Socket` does not have, for every method that takes a listener. Node's own types have the others. */
import type { PeerCredentials } from '../credentials/peer';
import type { Descriptor } from '../descriptor';
import type { DescriptorsInfo } from './passing';

/** They are the listener's, who closes them. They come right before the bytes that `info` names. */
export type DescriptorsListener = (descriptors: Descriptor[], info: DescriptorsInfo) => void;

/** What comes from `info.offset` on was written by `writer`. */
export type CredentialsListener = (
  writer: PeerCredentials,
  info: { readonly offset: number },
) => void;

interface Added<Event extends string, Listener> {
  addListener(event: Event, listener: Listener): this;
  off(event: Event, listener: Listener): this;
  on(event: Event, listener: Listener): this;
  once(event: Event, listener: Listener): this;
  prependListener(event: Event, listener: Listener): this;
  prependOnceListener(event: Event, listener: Listener): this;
  removeListener(event: Event, listener: Listener): this;
}

export type AddedEvents = Added<'descriptors', DescriptorsListener> &
  Added<'credentials', CredentialsListener>;
