/** Socket: one connection that keeps the boundaries of messages (SOCK_SEQPACKET). */
import { EventEmitter } from 'node:events';
import { promisify } from 'node:util';
import type { Duplex } from 'node:stream';
import type { ReadableStream, WritableStream } from 'node:stream/web';
import type { Descriptor } from '../descriptor';
import type { DescriptorLike } from '../descriptor-sending';
import { mostOpen } from '../descriptor-quota';
import { expectationOf, refuseExpectation, type Expectation } from '../credentials/expectation';
import type { PeerCredentials } from '../credentials/peer';
import { engine } from '../engine/engine';
import { MESSAGE_BUDGET } from '../engine/records';
import { addHint, codedError, errnoException } from '../errors';
import { IdleTimer } from '../socket/idle-timer';
import { onConnect, onEnd, onReadError, onWriteError } from '../engine/connection';
import { AcceptedOptions } from './accepted';
import { AncillaryReceiver } from './ancillary';
import type { MessageBatch } from './batch';
import { kKeepsMessages } from './brand';
import type { SocketEvents } from './events';
import {
  adopt,
  checkSignal,
  destroyOnAbort,
  openConnection,
  whenConnected,
  type ConnectArguments,
} from './connecting';
import {
  MessageConnection,
  onDrained,
  onDescriptorsRefused,
  onMessages,
  type MessageUser,
  type SendCallback,
} from './connection';
import { openGiven, release, type Detached } from './detaching';
import { FinishCallbacks, type EndCallback } from './finishing';
import { Inbox, type Attention, type BatchMemory } from './inbox';
import { startMessages } from './memory';
import { checkMessageOptions, type SocketConnectOptions, type SocketOptions } from './options';
import { Outbox } from './outbox';
import type { Message } from './outgoing';
import { RingSink } from './ring';
import { tellWhenListened } from './listening';
import { messageDuplex, messageWebStreams } from './streams';
import { nextTick } from '../real-time';

const DEFAULT_HIGH_WATER_MARK = 64 * 1024;
const EPERM = -1;

export interface BatchesOptions {
  /** `'owned'`, the default: the bytes are yours. `'borrowed'`: they are until `release()`, or until the next batch is asked for. */
  memory?: BatchMemory;
}

const kListen = Symbol('listen');
const kLookAgain = Symbol('look again');

export class Socket extends EventEmitter<SocketEvents> implements MessageUser {
  connecting = false;
  destroyed = false;
  /** 'close' was emitted. */
  closed = false;
  /** What it was destroyed with. */
  errored: Error | null = null;
  readableEnded = false;
  writableEnded = false;
  writableFinished = false;
  timeout: number | undefined = undefined;
  /** Stay able to send after the other end has ended. */
  allowHalfOpen: boolean;
  /** Bytes that may wait for the kernel before `send` returns false. */
  readonly writableHighWaterMark: number;
  /** The server that accepted it. */
  server: EventEmitter | null = null;

  #connection: MessageConnection | null = null;
  /** That is gone, and knows who was at its other end. */
  #last: MessageConnection | null = null;
  readonly #options: SocketOptions;
  /** Who has to listen wherever it connects. */
  readonly #expectation: Expectation | null = null;
  readonly #inbox: Inbox;
  readonly #outbox: Outbox;
  /** Only where something beside the bytes is wanted. */
  readonly #ancillary: AncillaryReceiver | null;
  readonly #gone: (() => void) | null;
  #address: string | undefined;
  #referenced = true;
  /** What sending failed with before the connection was told to be one. */
  #failedEarly = 0;
  #idle: IdleTimer | null = null;
  #pendingSeen = 0;
  #lookedAtSoon = false;
  readonly #finishing = new FinishCallbacks(this);
  /** It is read as a stream. */
  #streamed = false;
  /** Of a connection that is gone. */
  #counted = { bytesRead: 0, bytesWritten: 0, messagesRead: 0, messagesWritten: 0 };

  constructor(options?: SocketOptions);
  /** @internal */
  constructor(options: AcceptedOptions);
  constructor(given: SocketOptions | AcceptedOptions = {}) {
    super();
    const accepted = given instanceof AcceptedOptions ? given : null;
    const options = accepted?.options ?? (given as SocketOptions);
    // A server has looked at them once.
    if (accepted === null) {
      checkMessageOptions(options);
      checkSignal(options.signal);
      this.#expectation = expectationOf(options);
      if (options.fd !== undefined) refuseExpectation(options);
    }
    this.#options = options;
    this.#gone = accepted?.gone ?? null;
    this.allowHalfOpen = Boolean(options.allowHalfOpen);
    this.writableHighWaterMark = options.highWaterMark ?? DEFAULT_HIGH_WATER_MARK;
    this.#inbox = new Inbox({
      listened: () => this.listenerCount('message') > 0,
      tell: (message, info) => this.emit('message', message, info),
      attend: (attention) => this.#attend(attention),
      readInto: (area) => this.#connection?.readInto(area),
      over: (error) => this.#onOver(error),
    });
    this.#outbox = new Outbox(this, () => this.#active());
    const fail = (error: Error): void => this.#inbox.finish(error);
    const more = options.maxDescriptors || accepted?.passCredentials;
    const roomAgain = (): void => this.#inbox.roomAgain();
    this.#ancillary = more ? new AncillaryReceiver(options, fail, roomAgain) : null;
    if (accepted !== null) this.#attach(accepted.connection);
    else if (options.fd !== undefined) this.#attach(new MessageConnection(adopt(options.fd)));
    if (accepted === null && options.signal !== undefined) destroyOnAbort(this, options.signal);
  }

  // Connecting

  connect(path: string, listener?: () => void): this;
  connect(options: SocketConnectOptions, listener?: () => void): this;
  connect(...args: ConnectArguments): this {
    if (this.#connection !== null || this.destroyed) {
      throw codedError(
        Error,
        'ERR_AFUNIX_CONNECTED',
        'This socket is connected, or was: make another one for another connection',
      );
    }
    const { path, timeout, open, ...given } = openConnection(this, args);
    const expectation = given.expectation ?? this.#expectation;
    const listener = args[1];
    if (timeout !== undefined) this.setTimeout(timeout);
    if (typeof listener === 'function') this.once('connect', listener);
    this.connecting = true;
    this.#address = path;
    const status = startMessages();
    const handle = status < 0 ? status : open(Boolean(this.#options.maxDescriptors));
    if (handle < 0) this.destroy(errnoException(handle, 'connect', path, 'SOCK_SEQPACKET'));
    else this.#attach(new MessageConnection(handle).expect(expectation));
    return this;
  }

  #attach(connection: MessageConnection): void {
    this.#connection = connection;
    this.#outbox.connection = connection;
    connection.serve(this);
    const { maxMessageSize, batchSize, sendBufferSize, recvBufferSize, busyPoll } = this.#options;
    const longest = engine().setMessageLimits(
      connection.handle,
      maxMessageSize ?? 0,
      batchSize ?? 0,
      sendBufferSize ?? 0,
      recvBufferSize ?? 0,
    );
    if (longest < 0) {
      this.destroy(errnoException(longest, 'setsockopt'));
      return;
    }
    this.#outbox.longest = longest;
    const { maxDescriptors } = this.#options;
    if (maxDescriptors) connection.setMaxDescriptors(maxDescriptors, mostOpen(this.#options));
    if (busyPoll !== undefined) connection.setBusyPoll(busyPoll);
    if (!this.#referenced) connection.setReferenced(false);
    this.#inbox.update();
  }

  [onConnect](status: number): void {
    this.connecting = false;
    if (status !== 0) {
      this.destroy(errnoException(status, 'connect', this.#address, 'SOCK_SEQPACKET'));
      return;
    }
    this.#active();
    const failure = this.#failedEarly;
    if (failure !== 0) this[onWriteError](failure);
    this.emit('connect');
    this.emit('ready');
  }

  // Receiving

  /** @internal Somebody listens to 'message'. */
  [kListen](): void {
    this.#inbox.listen();
  }

  /** No 'message' until `resume()`; the kernel keeps what comes, and the sender has to wait. */
  pause(): this {
    this.#inbox.pause();
    return this;
  }

  /** Ends a pause. Without a listener to 'message' what comes is thrown away from now on. */
  resume(): this {
    this.#inbox.resume();
    return this;
  }

  isPaused(): boolean {
    return this.#inbox.isPaused;
  }

  /**
   * Messages as they come, many at a time. While somebody iterates no 'message' is emitted. Who leaves the loop leaves the
   * socket as it is; what was received and not taken waits for the next who reads.
   */
  batches(options: BatchesOptions = {}): AsyncIterableIterator<MessageBatch> {
    const { memory = 'owned' } = options;
    if (memory !== 'owned' && memory !== 'borrowed') {
      throw codedError(
        TypeError,
        'ERR_INVALID_ARG_VALUE',
        `The property 'options.memory' must be 'owned' or 'borrowed'. Received ${String(memory)}`,
      );
    }
    this.#claim('batches()');
    return this.#inbox.iterate(memory);
  }

  /**
   * From now on messages go into `ring`, and are read from there by whoever has it, in any thread: see `MessageRing`. No
   * 'message' is emitted.
   */
  receiveInto(ring: SharedArrayBuffer): this {
    this.#claim('receiveInto()');
    const { maxMessageSize = this.#outbox.longest, batchSize = MESSAGE_BUDGET } = this.#options;
    const roomAgain = (): void => this.#inbox.poured();
    this.#inbox.pour(new RingSink(ring, maxMessageSize, batchSize, roomAgain));
    return this;
  }

  #claim(who: string): void {
    if (this.#connection === null && !this.destroyed) {
      throw codedError(Error, 'ERR_SOCKET_CLOSED', `${who} needs a connection: connect() first`);
    }
    if (this.#inbox.isTaken || this.#streamed) {
      throw codedError(
        Error,
        'ERR_AFUNIX_READING',
        'Somebody iterates over the batches of this socket, reads it as a stream, or a ring takes its messages',
      );
    }
  }

  #attend(attention: Attention): void {
    const connection = this.#connection;
    if (connection === null) return;
    if (attention === 'watch' && connection.attention === 'none') {
      // Most are listened to before the tick is over.
      if (!this.#lookedAtSoon) nextTick(lookAgain, this);
      this.#lookedAtSoon = true;
    } else {
      connection.attend(attention);
    }
  }

  /** @internal The tick is over. */
  [kLookAgain](): void {
    this.#lookedAtSoon = false;
    this.#connection?.attend(this.#inbox.attention);
  }

  [onMessages](first: number, count: number): void {
    this.#active();
    this.#inbox.take(first, count, this.#ancillary?.take(first, count) ?? null);
  }

  [onDescriptorsRefused](status: number): void {
    this.#ancillary?.refused(status);
  }

  [onEnd](): void {
    this.#active();
    this.#inbox.finish(null);
  }

  [onReadError](status: number): void {
    this.#active();
    this.#inbox.finish(this.#outbox.failure ?? errnoException(status, 'read'));
  }

  /** Whoever reads has everything that came before the end. */
  #onOver(error: Error | null): void {
    if (this.destroyed) return;
    if (error !== null) {
      this.destroy(error);
      return;
    }
    this.readableEnded = true;
    if (!this.allowHalfOpen && !this.writableEnded) this.end();
    if (this.writableFinished) nextTick(() => this.destroy());
    this.emit('end');
  }

  // Sending

  /**
   * Sends one message. False: more than the high-water mark waits for the kernel; stop until 'drain'. The message is its
   * owner's again when this returns. `callback` runs once the kernel has it. What is wrong with the message itself is
   * told to the callback or, if there is none, thrown; nothing else happens.
   */
  send(message: Message, callback?: SendCallback): boolean {
    return this.#outbox.send(message, callback);
  }

  /**
   * Sends one message and 1 to 253 descriptors along with it, which stay the sender's, who may close them at once. The rest is
   * as with `send`. Errors: EBADF, EMFILE at once; EPERM if the other end takes none (Linux 6.16), which ends the connection.
   */
  sendDescriptors(
    descriptors: readonly DescriptorLike[],
    message: Message,
    callback?: SendCallback,
  ): boolean {
    return this.#outbox.sendDescriptors(descriptors, message, callback);
  }

  /**
   * Sends messages in as few system calls as it takes, in order. All of them are looked at first: if one can't be sent, none
   * is, and the error's `index` says which it was. The rest is as with `send`.
   */
  sendBatch(messages: Iterable<Message>, callback?: SendCallback): boolean {
    return this.#outbox.sendBatch(messages, callback);
  }

  /**
   * Fulfilled once the kernel has everything that was sent: at once if it has. Rejected with the socket's error, or ERR_SOCKET_CLOSED, if there
   * is no connection or it is gone before.
   */
  async flushed(): Promise<void> {
    if (this.connecting) await whenConnected(this);
    await promisify(this.#outbox.whenFlushed.bind(this.#outbox))();
  }

  [onDrained](): void {
    this.#idle?.refresh();
    this.emit('drain');
  }

  [onWriteError](status: number): void {
    if (this.connecting) {
      // What became of the connection itself is about to be told.
      this.#failedEarly = status;
      return;
    }
    const error = errnoException(status, 'send');
    if (status === EPERM) {
      addHint(error, 'the other end takes no descriptors: it has no `maxDescriptors`');
    }
    this.#outbox.fail(error);
    // Whoever reads gets what came before it first.
    if (!this.#inbox.attended || this.readableEnded) this.destroy(error);
    else this.#inbox.endsWith(error);
  }

  /** Ends this direction, behind everything sent; `callback` runs on 'finish'. */
  end(callback?: EndCallback): this;
  end(message: Message, callback?: EndCallback): this;
  end(first?: Message | EndCallback, second?: EndCallback): this {
    const callback = typeof first === 'function' ? first : second;
    if (first !== undefined && typeof first !== 'function') this.send(first);
    if (callback !== undefined) this.#finishing.add(callback);
    if (this.writableEnded || this.destroyed) return this;
    this.writableEnded = true;
    if (this.connecting) this.once('connect', () => this.#finish());
    else this.#finish();
    return this;
  }

  #finish(): void {
    this.#connection?.shutdown(() => {
      // A peer that is gone already makes it fail; this direction is over all the same.
      if (this.#outbox.failure !== null) return;
      this.writableFinished = true;
      if (this.readableEnded) nextTick(() => this.destroy());
      this.#finishing.finished();
      this.emit('finish');
    });
  }

  // Closing

  /** Closes at once. What was sent and not taken by the kernel is lost; what it has taken arrives. */
  destroy(error?: Error | null): this {
    if (this.destroyed) return this;
    this.destroyed = true;
    this.connecting = false;
    this.errored = error ?? null;
    this.#idle?.clear();
    const failed = error !== undefined && error !== null;
    const iterated = this.#inbox.isTaken;
    this.#inbox.abandon(error ?? null, !failed && !this.readableEnded);
    this.#finishing.abandoned();
    this.#ancillary?.close();
    const close = (): void => {
      this.closed = true;
      this.emit('close', failed);
    };
    // Whoever iterates is told by the iterator.
    if (failed && !(iterated && this.listenerCount('error') === 0)) {
      nextTick(() => this.emit('error', error));
    }
    const connection = this.#connection;
    if (connection === null) {
      nextTick(close);
    } else {
      const { bytesRead, bytesWritten, messagesRead, messagesWritten } = connection;
      this.#counted = { bytesRead, bytesWritten, messagesRead, messagesWritten };
      connection.abandon(error ?? codedError(Error, 'ERR_SOCKET_CLOSED', 'Socket is closed'));
      connection.close(close);
      this.#connection = null;
      this.#outbox.connection = null;
      this.#last = connection;
    }
    this.#gone?.();
    return this;
  }

  /** Destroys the socket; done on 'close'. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.destroy();
    if (this.closed) return;
    await new Promise<void>((resolve) => {
      this.once('close', () => resolve());
    });
  }

  /**
   * Gives up the connection's descriptor, and what was received and not told. The socket is destroyed; the peer notices nothing. Errors:
   * ERR_SOCKET_CLOSED without a connection, ERR_AFUNIX_PENDING_WRITES, and what the connection has failed with.
   */
  detach(): Detached {
    const detached = release({
      connection: this.connecting ? null : this.#connection,
      inbox: this.#inbox,
      ancillary: this.#ancillary,
      sendsNoMore: this.writableEnded || this.#outbox.failure !== null,
    });
    this.destroy();
    return detached;
  }

  /**
   * A socket of a connected SOCK_SEQPACKET socket: a number, a `Descriptor`, or what `detach()` gave. The descriptor is the socket's from
   * here on. Errors: EBADF, EPROTOTYPE if it is something else.
   */
  static from(
    given: number | Descriptor | Detached,
    options: Omit<SocketOptions, 'fd'> = {},
  ): Socket {
    return openGiven(given, (fd, head) => {
      const socket = new Socket({ ...options, fd });
      for (const batch of head) batch.moveTo(socket.#ancillary);
      socket.#inbox.beginWith(head);
      return socket;
    });
  }

  // Time

  setTimeout(milliseconds: number, callback?: () => void): this {
    if (this.destroyed) return this;
    this.timeout = milliseconds;
    this.#idle ??= new IdleTimer(() => this.#onTimeout());
    const duration = this.#idle.set(milliseconds, callback);
    if (callback !== undefined) {
      if (duration === 0) this.removeListener('timeout', callback);
      else this.once('timeout', callback);
    }
    return this;
  }

  #onTimeout(): void {
    // Sending that makes progress is activity.
    const pending = this.#connection?.pendingBytes() ?? 0;
    const before = this.#pendingSeen;
    this.#pendingSeen = pending;
    if (pending > 0 && pending !== before) this.#active();
    else this.emit('timeout');
  }

  #active(): void {
    this.#idle?.refresh();
  }

  // Whether it keeps the process running

  ref(): this {
    this.#referenced = true;
    this.#connection?.setReferenced(true);
    return this;
  }

  unref(): this {
    this.#referenced = false;
    this.#connection?.setReferenced(false);
    return this;
  }

  // Streams

  /** An object-mode Duplex: a message is a chunk, both ways. */
  toDuplex(): Duplex {
    this.#claimAsStream();
    return messageDuplex(this);
  }

  /** The same as web streams. */
  toWeb(): { readable: ReadableStream<Uint8Array>; writable: WritableStream<Message> } {
    this.#claimAsStream();
    return messageWebStreams(this);
  }

  #claimAsStream(): void {
    // One that connects yet can be a stream from the start.
    if (this.#connection !== null || this.#streamed) this.#claim('toDuplex()');
    this.#streamed = true;
  }

  // What it tells about itself

  /** The longest message that can be sent; 0 before there is a connection. */
  get maxMessageSize(): number {
    return this.#outbox.longest;
  }

  /**
   * Who is at the other end, as the kernel recorded it: of an accepted socket who connected, of a connected one who called listen(2).
   * Null before there is a connection; after its end only if the socket was accepted, or somebody asked before.
   */
  get peerCredentials(): PeerCredentials | null {
    if (this.connecting) return null;
    return (this.#connection ?? this.#last)?.peerCredentials ?? null;
  }

  get pending(): boolean {
    return this.#connection === null || this.connecting;
  }

  get readyState(): 'opening' | 'open' | 'readOnly' | 'writeOnly' | 'closed' {
    if (this.connecting) return 'opening';
    if (this.#connection === null) return 'closed';
    if (this.readableEnded) return this.writableEnded ? 'closed' : 'writeOnly';
    return this.writableEnded ? 'readOnly' : 'open';
  }

  /** Bytes that were sent and that the kernel has not taken yet. */
  get writableLength(): number {
    return this.#connection?.queued ?? 0;
  }

  get writableNeedDrain(): boolean {
    return this.#connection?.needsDrain ?? false;
  }

  get bytesRead(): number {
    return (this.#connection ?? this.#counted).bytesRead;
  }

  get bytesWritten(): number {
    return (this.#connection ?? this.#counted).bytesWritten;
  }

  get messagesRead(): number {
    return (this.#connection ?? this.#counted).messagesRead;
  }

  get messagesWritten(): number {
    return (this.#connection ?? this.#counted).messagesWritten;
  }
}

tellWhenListened(Socket.prototype, 'message', (socket: Socket) => socket[kListen]());
Object.defineProperty(Socket.prototype, kKeepsMessages, { value: true });

function lookAgain(socket: Socket): void {
  socket[kLookAgain]();
}
