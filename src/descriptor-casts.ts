/** What a descriptor can become: each cast gives it to somebody who knows what it is for, and owns it from then on. */
import fs from 'node:fs';
import nodeNet from 'node:net';
import { requireAddon } from './checks';
import { Descriptor } from './descriptor';
import { errnoException } from './errors';
import * as net from './net';
import type { ServerOptions } from './server/options';
import type { ConnectionListener } from './server/server';
import type { SocketOptions } from './socket/options';

const EBADF = -9;
const EPROTOTYPE = -91;
/** What `describe` says of AF_UNIX stream sockets. */
const CONNECTED_STREAM = 1;
const LISTENING_STREAM = 0x101;

type ReadStreamOptions = Exclude<Parameters<typeof fs.createReadStream>[1], string | undefined>;
type WriteStreamOptions = Exclude<Parameters<typeof fs.createWriteStream>[1], string | undefined>;

declare module './descriptor' {
  interface Descriptor {
    /** A connected Unix stream socket becomes an afunix `Socket`. EPROTOTYPE if it is something else. */
    toSocket(options?: Omit<SocketOptions, 'fd'>): net.Socket;
    /** A listening Unix stream socket becomes an afunix `Server` that listens on it. EPROTOTYPE if it is something else. */
    toServer(options?: ServerOptions, listener?: ConnectionListener): net.Server;
    /** A connected stream socket, a TCP one too, or a pipe becomes a `net.Socket`. Throws what its constructor throws. */
    toNetSocket(options?: Omit<nodeNet.SocketConstructorOpts, 'fd'>): nodeNet.Socket;
    /** `fs.createReadStream` over the descriptor, which closes it at its end. */
    toReadStream(options?: ReadStreamOptions): fs.ReadStream;
    /** `fs.createWriteStream` over the descriptor, which closes it at its end. */
    toWriteStream(options?: WriteStreamOptions): fs.WriteStream;
  }
}

function expectOpen(descriptor: Descriptor, what: string): number {
  if (descriptor.closed) throw errnoException(EBADF, what);
  return descriptor.fd;
}

function expectKind(descriptor: Descriptor, kind: number, what: string): void {
  const found = requireAddon('Descriptor').describe(expectOpen(descriptor, what));
  if (found !== kind) throw errnoException(found < 0 ? found : EPROTOTYPE, what);
}

const casts = {
  toSocket(this: Descriptor, options: Omit<SocketOptions, 'fd'> = {}): net.Socket {
    expectKind(this, CONNECTED_STREAM, 'toSocket');
    return this.handOver((fd) => new net.Socket({ ...options, fd }));
  },
  toServer(
    this: Descriptor,
    options: ServerOptions = {},
    listener?: ConnectionListener,
  ): net.Server {
    expectKind(this, LISTENING_STREAM, 'toServer');
    const server = net.createServer(options, listener);
    return this.handOver((fd) => server.listen({ fd, exclusive: true }));
  },
  toNetSocket(
    this: Descriptor,
    options: Omit<nodeNet.SocketConstructorOpts, 'fd'> = {},
  ): nodeNet.Socket {
    expectOpen(this, 'toNetSocket');
    return this.lend((fd) => new nodeNet.Socket({ ...options, fd }));
  },
  toReadStream(this: Descriptor, options: ReadStreamOptions = {}): fs.ReadStream {
    expectOpen(this, 'toReadStream');
    return this.handOver((fd) => fs.createReadStream('', { ...options, fd }));
  },
  toWriteStream(this: Descriptor, options: WriteStreamOptions = {}): fs.WriteStream {
    expectOpen(this, 'toWriteStream');
    return this.handOver((fd) => fs.createWriteStream('', { ...options, fd }));
  },
};

for (const [name, value] of Object.entries(casts)) {
  Object.defineProperty(Descriptor.prototype, name, { value, writable: true, configurable: true });
}
