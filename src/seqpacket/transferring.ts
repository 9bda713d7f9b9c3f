/** What `transfer()` and `receive()` do with the sockets and servers of `afunix/seqpacket`; loaded with the first of them. */
import { listenerOptions } from '../bound-name';
import type { Descriptor } from '../descriptor';
import { batchOf, loneMessages, type LoneMessage } from './batch';
import type { ServerOptions, SocketOptions } from './options';
import { Server, type ConnectionListener } from './server';
import { Socket } from './socket';

export interface LoneMessages {
  readonly descriptor: Descriptor;
  readonly head: readonly LoneMessage[];
}

export function detached(socket: Socket): LoneMessages {
  const { descriptor, head } = socket.detach();
  return { descriptor, head: head.flatMap(loneMessages) };
}

export function socketOf(
  { descriptor, head }: LoneMessages,
  options: Omit<SocketOptions, 'fd'>,
): Socket {
  return Socket.from({ descriptor, head: head.length > 0 ? [batchOf(head)] : [] }, options);
}

export function serverOf(
  descriptor: Descriptor,
  options: ServerOptions,
  listener?: ConnectionListener,
): Server {
  const server = new Server(options, listener);
  return descriptor.handOver((fd) => server.listen(listenerOptions(fd)));
}
