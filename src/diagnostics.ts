/**
 * Channels of node:diagnostics_channel: `net`'s own, which are told what `net` would tell them, and ours. Nothing is made for them unless
 * somebody has subscribed.
 */
import diagnostics, { type Channel } from 'node:diagnostics_channel';
import type net from 'node:net';
import type { PeerCredentials } from './credentials/peer';
import { SOCKET_CONNECT_IS_PUBLISHED } from './net-version';
import type { Server as MessageServer } from './seqpacket/server';
import type { Socket as MessageSocket } from './seqpacket/socket';
import type { Refusal } from './server/refusal';

/** Our channels by name, and what each is told. */
export interface DiagnosticsMessages {
  /** This thread's engine has been started: with its first socket. */
  'afunix.engine': {
    readonly engine: 'epoll' | 'io_uring';
    /** Why it is not the one that was asked for. */
    readonly reason?: string;
  };
  /**
   * `authorize` or one of its limits did not let somebody in. Told before the event `'refused'`; `peer` closes with it, so what else is known of
   * them has to be asked for at once.
   */
  'afunix.server.refused': {
    readonly server: net.Server | MessageServer;
    readonly peer: PeerCredentials;
    readonly refusal: Refusal;
  };
  /** A message socket is about to connect. (Of a stream `net.client.socket` tells.) */
  'afunix.seqpacket.client.socket': { readonly socket: MessageSocket };
  /** A message server has accepted one, which its `'connection'` has been told of. (Of a stream `net.server.socket` tells.) */
  'afunix.seqpacket.server.socket': { readonly socket: MessageSocket };
}

interface ChannelOf<Message> extends Omit<Channel, 'publish'> {
  publish(message: Message): void;
}

function ours<Name extends keyof DiagnosticsMessages>(
  name: Name,
): ChannelOf<DiagnosticsMessages[Name]> {
  return diagnostics.channel(name);
}

export const engineChannel = ours('afunix.engine');
export const refusedChannel = ours('afunix.server.refused');
export const messageClientChannel = ours('afunix.seqpacket.client.socket');
export const messageServerChannel = ours('afunix.seqpacket.server.socket');

/** `net`'s: a server has accepted a socket, which its `'connection'` has been told of. */
export const serverSocketChannel: ChannelOf<{ socket: object }> =
  diagnostics.channel('net.server.socket');

const clientSocketChannel = diagnostics.channel('net.client.socket');

/** `net.connect()` made this socket. */
export function tellOfMade(socket: object): void {
  if (!SOCKET_CONNECT_IS_PUBLISHED && clientSocketChannel.hasSubscribers) {
    clientSocketChannel.publish({ socket });
  }
}

/** `Socket.connect()` was called on it. */
export function tellOfConnecting(socket: object): void {
  if (SOCKET_CONNECT_IS_PUBLISHED && clientSocketChannel.hasSubscribers) {
    clientSocketChannel.publish({ socket });
  }
}

/** Of `net`'s tracing channel `net.server.listen`, the parts that it tells. */
export interface ListenTrace {
  readonly asyncStart: Channel;
  readonly asyncEnd: Channel;
  readonly error: Channel;
}

/** Undefined where this Node has no tracing channels. */
export const listenTrace: ListenTrace | undefined = (
  diagnostics as unknown as { tracingChannel?: (name: string) => ListenTrace }
).tracingChannel?.('net.server.listen');
