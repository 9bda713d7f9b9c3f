/** The channel `net.client.socket` of node:diagnostics_channel, told of each client once. */
import diagnostics from 'node:diagnostics_channel';
import { SOCKET_CONNECT_IS_PUBLISHED } from './net-version';

const channel = diagnostics.channel('net.client.socket');

/** `net.connect()` made this socket. */
export function tellOfMade(socket: object): void {
  if (!SOCKET_CONNECT_IS_PUBLISHED && channel.hasSubscribers) channel.publish({ socket });
}

/** `Socket.connect()` was called on it. */
export function tellOfConnecting(socket: object): void {
  if (SOCKET_CONNECT_IS_PUBLISHED && channel.hasSubscribers) channel.publish({ socket });
}
