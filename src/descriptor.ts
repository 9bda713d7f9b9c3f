/**
 * Descriptor: an open descriptor and the duty to close it. It knows nothing of what the descriptor is for; the casts give it to
 * somebody who does.
 */
import fs from 'node:fs';
import nodeNet from 'node:net';
import { errnoException } from './errors';
import { checkDescriptor, requireAddon } from './raw/checks';
import * as net from './net';
import type { ServerOptions } from './server/options';
import type { ConnectionListener } from './server/server';
import type { SocketOptions } from './socket/options';

const EBADF = -9;
/** What `describe` says of AF_UNIX stream sockets. */
const CONNECTED_STREAM = 1;
const LISTENING_STREAM = 0x101;
const EPROTOTYPE = -91;

/** Whose owner is gone: nobody else can close it any more. */
const unclaimed = new FinalizationRegistry<number>((fd) => {
  if (requireAddon('Descriptor').closeOwned(fd) !== 0) return;
  process.emitWarning(`Descriptor ${fd} was collected without being closed; it is closed now`, {
    type: 'AfunixWarning',
    code: 'AFUNIX_UNCLAIMED_DESCRIPTOR',
  });
});

type ReadStreamOptions = Exclude<Parameters<typeof fs.createReadStream>[1], string | undefined>;
type WriteStreamOptions = Exclude<Parameters<typeof fs.createWriteStream>[1], string | undefined>;

export class Descriptor {
  #fd: number;

  /** Takes ownership of `fd`, an open descriptor. EBADF. */
  constructor(fd: number) {
    const addon = requireAddon('Descriptor');
    checkDescriptor('fd', fd);
    const status = addon.own(fd);
    if (status < 0) throw errnoException(status, 'fcntl');
    this.#fd = fd;
    unclaimed.register(this, fd, this);
  }

  /** The number, still owned by this object; −1 once it is closed or taken. */
  get fd(): number {
    return this.#fd;
  }

  get closed(): boolean {
    return this.#fd === -1;
  }

  /** Closes it. Closed or taken already: nothing happens. */
  close(): void {
    const fd = this.#fd;
    if (fd === -1) return;
    this.#forget();
    requireAddon('Descriptor').closeOwned(fd);
  }

  /** Gives the number up: whoever calls has to close it. EBADF if it is closed or taken already. */
  take(): number {
    const fd = this.#open('take');
    this.#forget();
    requireAddon('Descriptor').disown(fd);
    return fd;
  }

  /**
   * Another object that owns it, this one no longer. It is owned all the while: a worker may be terminated at any time.
   * @internal
   */
  move(): Descriptor {
    const fd = this.#open('detach');
    this.#forget();
    return new Descriptor(fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** A connected Unix stream socket becomes an afunix `Socket`. EPROTOTYPE if it is something else. */
  toSocket(options: Omit<SocketOptions, 'fd'> = {}): net.Socket {
    this.#expect(CONNECTED_STREAM, 'toSocket');
    return new net.Socket({ ...options, fd: this.take() });
  }

  /** A listening Unix stream socket becomes an afunix `Server` that listens on it. EPROTOTYPE if it is something else. */
  toServer(options: ServerOptions = {}, listener?: ConnectionListener): net.Server {
    this.#expect(LISTENING_STREAM, 'toServer');
    return net.createServer(options, listener).listen({ fd: this.take(), exclusive: true });
  }

  /** A connected stream socket, a TCP one too, or a pipe becomes a `net.Socket`. Throws what its constructor throws. */
  toNetSocket(options: Omit<nodeNet.SocketConstructorOpts, 'fd'> = {}): nodeNet.Socket {
    const socket = new nodeNet.Socket({ ...options, fd: this.#open('toNetSocket') });
    this.take();
    return socket;
  }

  /** `fs.createReadStream` over the descriptor, which closes it at its end. */
  toReadStream(options: ReadStreamOptions = {}): fs.ReadStream {
    return fs.createReadStream('', { ...options, fd: this.take() });
  }

  /** `fs.createWriteStream` over the descriptor, which closes it at its end. */
  toWriteStream(options: WriteStreamOptions = {}): fs.WriteStream {
    return fs.createWriteStream('', { ...options, fd: this.take() });
  }

  #open(what: string): number {
    if (this.#fd === -1) throw errnoException(EBADF, what);
    return this.#fd;
  }

  #expect(kind: number, what: string): void {
    const found = requireAddon('Descriptor').describe(this.#open(what));
    if (found !== kind) throw errnoException(found < 0 ? found : EPROTOTYPE, what);
  }

  #forget(): void {
    this.#fd = -1;
    unclaimed.unregister(this);
  }
}

/** A number, or something that has one: what may be sent to another process, and stays the sender's. */
export function descriptorOf(name: string, value: unknown): number {
  const given =
    typeof value === 'object' && value !== null ? (value as { fd?: unknown }).fd : value;
  return checkDescriptor(name, given);
}
