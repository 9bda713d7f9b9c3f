/**
 * RawSocket: the system calls themselves, synchronous and never waiting. What would have to wait says so by its result: −1
 * instead of a count, null instead of an object, false instead of true. Everything else that goes wrong is thrown.
 */
import { Descriptor, descriptorOf, MAXIMUM_DESCRIPTORS } from '../descriptor';
import {
  decodeRawAddress,
  encodeRawAddress,
  type RawAddress,
  type RawAddressLike,
  type RawAddressOptions,
} from './address';
import { badRow, rowsOf } from './batch';
import { checkDescriptor, checkFlags, checkInteger, LARGEST_INT, requireAddon } from '../checks';
import { outOfRange, wrongType, wrongValue } from '../checks';
import { constants, type SocketOptionName } from './constants';
import { failure, MESSAGE_OVERHEAD, messageTooLong, optionTooLong } from './failure';
import { checkPart, type Memory, viewOf } from './memory';
import {
  encodeCredentials,
  NO_INTEGERS,
  outcome,
  receivedCredentials,
  receivedDescriptors,
  type ReceivedMessage,
  type ReceiveMessageOptions,
  type SendMessageOptions,
  viewsOf,
} from './message';
import { MAXIMUM_PARTS, OUTCOME, type View } from './native';
import { Readiness, type PollOptions } from './poller';
import { optionCall } from './socket-option';

export type RawSocketType = 'stream' | 'seqpacket';

const TYPES = { stream: 1, seqpacket: 5 } as const;
const HOWS = { read: 0, write: 1, both: 2 } as const;
const LISTENING = 0x100;
const EAGAIN = -11;
const ERANGE = -34;
const EMSGSIZE = -90;
const EPROTOTYPE = -91;
const POLLABLE = constants.POLLIN | constants.POLLPRI | constants.POLLOUT | constants.POLLRDHUP;

// Filled by one call and read before the next.
const integer = new Int32Array(1);
const name = new Uint8Array(108);
const unnamed = new Uint8Array(0);

/** Proves that a constructor was called by this file. */
const kOurs = Symbol('ours');

export class RawSocket {
  readonly type: RawSocketType;
  readonly #addon = requireAddon('RawSocket');
  readonly #descriptor: Descriptor;
  readonly #readiness: Readiness;
  readonly #receiveFlags: number;

  private constructor(ours: typeof kOurs, descriptor: Descriptor, type: RawSocketType) {
    if (ours !== kOurs) {
      throw wrongValue(
        'type',
        ours,
        'is for RawSocket.socket(type), socketpair(type) or fromFd(fd)',
      );
    }
    this.type = type;
    this.#descriptor = descriptor;
    this.#readiness = new Readiness(descriptor);
    // The full length of a message is told only if it is asked for; a stream has no messages.
    this.#receiveFlags = type === 'seqpacket' ? constants.MSG_TRUNC : 0;
  }

  /** socket(2): AF_UNIX, non-blocking, close-on-exec. EMFILE, ENFILE. */
  static socket(type: RawSocketType): RawSocket {
    const addon = requireAddon('RawSocket');
    const fd = addon.rawSocket(numberOfType(type));
    if (fd < 0) throw failure(fd, 'socket');
    return new RawSocket(kOurs, new Descriptor(fd), type);
  }

  /** socketpair(2): two sockets connected to each other. EMFILE, ENFILE. */
  static socketpair(type: RawSocketType): [RawSocket, RawSocket] {
    const addon = requireAddon('RawSocket');
    const descriptors = new Int32Array(2);
    const status = addon.rawSocketPair(numberOfType(type), descriptors);
    if (status < 0) throw failure(status, 'socketpair');
    const [first = -1, second = -1] = descriptors;
    return [
      new RawSocket(kOurs, new Descriptor(first), type),
      new RawSocket(kOurs, new Descriptor(second), type),
    ];
  }

  /**
   * Takes ownership of an AF_UNIX socket (a `Descriptor` is closed to others then), and makes it non-blocking and close-on-exec. If it throws, ownership stays with the
   * caller: EBADF, ENOTSOCK, EAFNOSUPPORT (another family), EPROTOTYPE (SOCK_DGRAM).
   */
  static fromFd(from: number | Descriptor): RawSocket {
    const addon = requireAddon('RawSocket');
    const fd = from instanceof Descriptor ? from.fd : checkDescriptor('fd', from);
    const kind = addon.describe(fd);
    if (kind < 0) throw failure(kind, 'getsockopt');
    const type = typeOfNumber(kind & ~LISTENING);
    if (type === undefined) throw failure(EPROTOTYPE, 'getsockopt');
    const status = addon.rawMakeOurs(fd);
    if (status < 0) throw failure(status, 'fcntl');
    const owned = from instanceof Descriptor ? from.move() : new Descriptor(fd);
    return new RawSocket(kOurs, owned, type);
  }

  /** The number, still owned by this socket; −1 once it is closed or detached. */
  get fd(): number {
    return this.#descriptor.fd;
  }

  get closed(): boolean {
    return this.#descriptor.closed;
  }

  /** bind(2). Without arguments the kernel makes an abstract name up (autobind); an undefined address is none. */
  bind(): void;
  bind(address: RawAddressLike, options?: RawAddressOptions): void;
  bind(...given: [address?: RawAddressLike, options?: RawAddressOptions]): void {
    const [address, options = {}] = given;
    if (given.length === 0) {
      this.#check(this.#addon.rawBind(this.fd, unnamed, false), 'bind');
      return;
    }
    const { bytes, padded, text } = encodeRawAddress('bind', address, options);
    const status = this.#addon.rawBind(this.fd, bytes, padded);
    if (status < 0) throw failure(status, 'bind', text);
  }

  /** listen(2); the kernel cuts `backlog` to net.core.somaxconn. */
  listen(backlog = 511): void {
    checkInteger('backlog', backlog, 0, LARGEST_INT);
    this.#check(this.#addon.rawListen(this.fd, backlog), 'listen');
  }

  /** accept4(2): null if nobody is waiting. */
  accept(): RawSocket | null {
    const fd = this.#addon.rawAccept(this.fd);
    if (fd === EAGAIN) return null;
    if (fd < 0) throw failure(fd, 'accept');
    return new RawSocket(kOurs, new Descriptor(fd), this.type);
  }

  /** connect(2): false if the backlog is full, and then the connection is not under way. */
  connect(address: RawAddressLike, options: RawAddressOptions = {}): boolean {
    const { bytes, padded, text } = encodeRawAddress('connect', address, options);
    const status = this.#addon.rawConnect(this.fd, bytes, padded);
    if (status === EAGAIN) return false;
    if (status < 0) throw failure(status, 'connect', text);
    return true;
  }

  shutdown(how: 'read' | 'write' | 'both'): void {
    if (!Object.hasOwn(HOWS, how))
      throw wrongValue('how', how, "must be 'read', 'write' or 'both'");
    this.#check(this.#addon.rawShutdown(this.fd, HOWS[how]), 'shutdown');
  }

  /** send(2): how many bytes the kernel took, or −1 if it has no room. `offset` and `length` are bytes. */
  send(memory: Memory, offset = 0, length?: number, flags = 0): number {
    const view = viewOf('memory', memory);
    const size = checkPart(view, offset, length);
    const sent = this.#addon.rawSend(this.fd, view, offset, size, checkFlags(flags));
    if (sent >= 0) return sent;
    if (sent === EAGAIN) return -1;
    throw this.#sendFailure(sent, 'send', size);
  }

  /**
   * recv(2): how many bytes came, 0 at end of input, or −1 if there is nothing yet. Of a SEQPACKET message the full length, which
   * is more than there was room for if its rest is lost; an empty one gives 0 too, and `recvmsg` tells it apart.
   */
  recv(memory: Memory, offset = 0, length?: number, flags = 0): number {
    const view = viewOf('memory', memory);
    const size = checkPart(view, offset, length);
    if (size === 0 && (flags & this.#receiveFlags) === 0) {
      throw wrongValue('memory', memory, 'has no room, and 0 would look like the end of input');
    }
    const received = this.#addon.rawReceive(
      this.fd,
      view,
      offset,
      size,
      checkFlags(flags) | this.#receiveFlags,
    );
    if (received >= 0) return received;
    if (received === EAGAIN) return -1;
    throw failure(received, 'recv');
  }

  /** `recv` that leaves the bytes where they are. */
  peek(memory: Memory, offset = 0, length?: number, flags = 0): number {
    return this.recv(memory, offset, length, flags | constants.MSG_PEEK);
  }

  /**
   * sendmsg(2): the parts, at most 1,024, leave as one message, with descriptors and credentials if given. How many bytes
   * the kernel took, or −1. On a stream, descriptors leave with the first byte that it took.
   */
  sendmsg(parts: Memory | readonly Memory[], options: SendMessageOptions = {}): number {
    const [views, size] = viewsOf(parts);
    const { descriptors = [], credentials, flags = 0 } = options;
    if (descriptors.length > MAXIMUM_DESCRIPTORS) {
      throw outOfRange(
        'options.descriptors.length',
        `<= ${MAXIMUM_DESCRIPTORS}`,
        descriptors.length,
      );
    }
    if (size === 0 && descriptors.length > 0 && this.type === 'stream') {
      throw wrongValue(
        'parts',
        parts,
        'must have a byte: on a stream, descriptors travel with one',
      );
    }
    const sent = this.#addon.rawSendMessage(
      this.fd,
      views,
      Int32Array.from(descriptors, (value) => descriptorOf('options.descriptors', value)),
      credentials === undefined ? NO_INTEGERS : encodeCredentials(credentials),
      checkFlags(flags),
    );
    if (sent >= 0) return sent;
    if (sent === EAGAIN) return -1;
    throw this.#sendFailure(sent, 'sendmsg', size);
  }

  /** recvmsg(2) into the parts, one after the other; null if there is nothing yet. */
  recvmsg(
    parts: Memory | readonly Memory[],
    options: ReceiveMessageOptions = {},
  ): ReceivedMessage | null {
    const [views, room] = viewsOf(parts);
    const { descriptors, credentials = false, flags = 0 } = options;
    if (descriptors !== undefined) {
      checkInteger('options.descriptors', descriptors, 0, MAXIMUM_DESCRIPTORS);
    }
    const fullLength = this.#addon.rawReceiveMessage(
      this.fd,
      views,
      outcome,
      descriptors ?? (credentials ? 0 : -1),
      checkFlags(flags) | this.#receiveFlags,
    );
    if (fullLength === EAGAIN) return null;
    if (fullLength < 0) throw failure(fullLength, 'recvmsg');
    // A stream gives nothing where there is room, and only at its end.
    const end = this.type === 'stream' ? fullLength === 0 && room > 0 : outcome[OUTCOME.end] === 1;
    const told = outcome[OUTCOME.flags];
    return {
      bytes: Math.min(fullLength, room),
      fullLength,
      truncated: (told & constants.MSG_TRUNC) !== 0,
      controlTruncated: (told & constants.MSG_CTRUNC) !== 0,
      end,
      descriptors: receivedDescriptors(),
      credentials: credentials ? receivedCredentials() : null,
    };
  }

  /**
   * sendmmsg(2): one message per row of `table` (offset, length, –, –), at most 1,024, `count` of them or all. How many left, or −1;
   * the third column of their rows is how many bytes the kernel took. An error is thrown only for the first.
   */
  sendBatch(memory: Memory, table: Int32Array, count?: number, flags = 0): number {
    const view = viewOf('memory', memory);
    const rows = rowsOf(table);
    const wanted = count ?? rows;
    checkInteger('count', wanted, 1, Math.min(rows, MAXIMUM_PARTS));
    const sent = this.#addon.rawSendBatch(this.fd, view, table, wanted, checkFlags(flags));
    if (sent >= 0) return sent;
    if (sent === EAGAIN) return -1;
    if (sent === ERANGE) throw badRow(table, wanted, view.byteLength);
    throw this.#sendFailure(sent, 'sendmmsg', table[1]);
  }

  /**
   * recvmmsg(2): `memory` is cut into slots of `slotSize` bytes, one for each row of `table`, at most 1,024. How many messages came,
   * each described by a row (offset, length, full length, flags); 0 at end of input; −1 if there is nothing yet.
   */
  recvBatch(memory: Memory, table: Int32Array, slotSize: number, flags = 0): number {
    const view = viewOf('memory', memory);
    rowsOf(table);
    checkInteger('slotSize', slotSize, 1, Math.min(view.byteLength, LARGEST_INT));
    const received = this.#addon.rawReceiveBatch(
      this.fd,
      view,
      table,
      slotSize,
      checkFlags(flags) | this.#receiveFlags,
    );
    if (received >= 0) return received;
    if (received === EAGAIN) return -1;
    throw failure(received, 'recvmmsg');
  }

  /** The longest message that a SEQPACKET socket sends as it is set now: SO_SNDBUF less what the kernel needs. */
  get maxMessageSize(): number {
    return this.getsockopt('SO_SNDBUF') - MESSAGE_OVERHEAD;
  }

  /** getsockopt(2): an integer, or with `into` how many of its bytes were filled. */
  getsockopt(option: SocketOptionName, into?: Memory): number;
  getsockopt(level: number, option: number, into?: Memory): number;
  getsockopt(first: SocketOptionName | number, second?: unknown, third?: Memory): number {
    const { level, option, rest } = optionCall(first, second, third);
    integer[0] = 0;
    const view = rest === undefined ? integer : viewOf('into', rest as Memory);
    const length = this.#addon.rawGetOption(this.fd, level, option, view);
    if (length === ERANGE) {
      throw optionTooLong(this.#addon.rawOptionSize(this.fd, level, option), view.byteLength);
    }
    if (length < 0) throw failure(length, 'getsockopt');
    return rest === undefined ? integer[0] : length;
  }

  /** setsockopt(2). */
  setsockopt(option: SocketOptionName, value: number | Memory): void;
  setsockopt(level: number, option: number, value: number | Memory): void;
  setsockopt(first: SocketOptionName | number, second: unknown, third?: number | Memory): void {
    const { level, option, rest } = optionCall(first, second, third);
    let view: View = integer;
    if (typeof rest === 'number') {
      integer[0] = checkInteger('value', rest, -LARGEST_INT - 1, LARGEST_INT);
    } else view = viewOf('value', rest as Memory);
    this.#check(this.#addon.rawSetOption(this.fd, level, option, view), 'setsockopt');
  }

  getsockname(): RawAddress {
    return this.#name(false, 'getsockname');
  }

  getpeername(): RawAddress {
    return this.#name(true, 'getpeername');
  }

  /** SIOCINQ: bytes that wait to be read; of SEQPACKET the sum over all messages. */
  inq(): number {
    return this.#check(this.#addon.rawQueued(this.fd, false), 'ioctl');
  }

  /** SIOCOUTQ: memory of what the peer has not read yet, in bytes, with the kernel's overhead. */
  outq(): number {
    return this.#check(this.#addon.rawQueued(this.fd, true), 'ioctl');
  }

  /**
   * Waits on the event loop until one of `events` (POLLIN, POLLOUT, POLLPRI, POLLRDHUP), POLLERR or POLLHUP happens, and resolves
   * with those that did. POLLNVAL: the socket was closed or detached meanwhile. 0: `timeout` milliseconds went by. Errors: ABORT_ERR when
   * `signal` is aborted.
   */
  async poll(events: number, options: PollOptions = {}): Promise<number> {
    checkInteger('events', events, 0, LARGEST_INT);
    if ((events & ~POLLABLE) !== 0) {
      throw outOfRange('events', 'of POLLIN, POLLPRI, POLLOUT and POLLRDHUP', events);
    }
    const { signal, timeout } = options;
    if (timeout !== undefined) checkInteger('options.timeout', timeout, 0, LARGEST_INT);
    if (signal !== undefined && !(signal instanceof AbortSignal)) {
      throw wrongType('options.signal', 'an instance of AbortSignal', signal);
    }
    if (this.closed) return constants.POLLNVAL;
    return this.#readiness.wait(events, options);
  }

  /** Waits of this socket hold the process (the default). */
  ref(): this {
    this.#readiness.setReferenced(true);
    return this;
  }

  /** Waits of this socket do not hold the process. */
  unref(): this {
    this.#readiness.setReferenced(false);
    return this;
  }

  /** Gives the descriptor up, as an object that owns it; this socket is closed then. EBADF if it was already. */
  detach(): Descriptor {
    this.#readiness.forget();
    return this.#descriptor.move();
  }

  /** Closes it; whoever polls is told POLLNVAL. Closed already: nothing happens. */
  close(): void {
    if (this.closed) return;
    this.#readiness.forget();
    this.#descriptor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #check(status: number, syscall: string): number {
    if (status < 0) throw failure(status, syscall);
    return status;
  }

  #sendFailure(status: number, syscall: string, size: number): Error {
    if (status !== EMSGSIZE || this.type === 'stream') return failure(status, syscall);
    return messageTooLong(status, syscall, size, this.maxMessageSize);
  }

  #name(ofPeer: boolean, syscall: string): RawAddress {
    const length = this.#check(this.#addon.rawName(this.fd, ofPeer, name), syscall);
    return decodeRawAddress(name.subarray(0, length));
  }
}

function numberOfType(type: unknown): number {
  if (type === 'stream' || type === 'seqpacket') return TYPES[type];
  throw wrongValue('type', type, "must be 'stream' or 'seqpacket'");
}

function typeOfNumber(number: number): RawSocketType | undefined {
  return number === TYPES.stream ? 'stream' : number === TYPES.seqpacket ? 'seqpacket' : undefined;
}
