/** What a descriptor can become: each cast gives it to somebody who knows what it is for, and owns it from then on. */
import fs from 'node:fs';
import nodeNet from 'node:net';
import { listenerOptions } from './bound-name';
import { requireAddon } from './checks';
import { refuseExpectation } from './credentials/expectation';
import { Descriptor } from './descriptor';
import { errnoException } from './errors';
import * as net from './net';
import type { ServerOptions } from './server/options';
import type { ConnectionListener } from './server/server';
import type { SocketOptions } from './socket/options';
import { nextTick } from './real-time';

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
    /** `fs.createReadStream` over the descriptor, which closes it at its end, or with the thread. */
    toReadStream(options?: ReadStreamOptions): fs.ReadStream;
    /** `fs.createWriteStream` over the descriptor, which closes it at its end, or with the thread. */
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

/**
 * For streams of files, which have a number and nothing else: when a worker ends nobody closes it but this thread, which owns it until the stream
 * closes it. In one step, because closing by a request that a worker's end overtakes would be closing twice.
 */
const owned = Object.assign(Object.create(fs) as typeof fs, {
  close(fd: number, closed: (error: Error | null) => void): void {
    const status = requireAddon('Descriptor').closeOwned(fd);
    nextTick(closed, status < 0 ? errnoException(status, 'close') : null);
  },
});

/** What a stream leaves open, or closes by functions that it was given, is its user's. */
function streamOver<T>(
  descriptor: Descriptor,
  options: { autoClose?: boolean | undefined; fs?: unknown },
  open: (how: { fd: number; fs?: typeof fs }) => T,
): T {
  return options.autoClose === false || options.fs !== undefined
    ? descriptor.handOver((fd) => open({ fd }))
    : descriptor.entrust((fd, stays) => open(stays ? { fd, fs: owned } : { fd }));
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
    return this.handOver((fd) => server.listen(listenerOptions(fd)));
  },
  toNetSocket(
    this: Descriptor,
    options: Omit<nodeNet.SocketConstructorOpts, 'fd'> = {},
  ): nodeNet.Socket {
    expectOpen(this, 'toNetSocket');
    refuseExpectation(options);
    return this.lend((fd) => new nodeNet.Socket({ ...options, fd }));
  },
  toReadStream(this: Descriptor, options: ReadStreamOptions = {}): fs.ReadStream {
    expectOpen(this, 'toReadStream');
    return streamOver(this, options, (how) => fs.createReadStream('', { ...options, ...how }));
  },
  toWriteStream(this: Descriptor, options: WriteStreamOptions = {}): fs.WriteStream {
    expectOpen(this, 'toWriteStream');
    return streamOver(this, options, (how) => fs.createWriteStream('', { ...options, ...how }));
  },
};

for (const [name, value] of Object.entries(casts)) {
  Object.defineProperty(Descriptor.prototype, name, { value, writable: true, configurable: true });
}
