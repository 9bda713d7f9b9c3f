/**
 * What the addon has for raw sockets and descriptors. Every function returns a number: a descriptor, a count, 0, or
 * −errno; every transfer is non-blocking. New descriptors are owned, as if by `own`.
 */

/** Typed arrays only: other views and bare buffers are wrapped by `memory.ts`. */
export type View = Exclude<NodeJS.ArrayBufferView, DataView>;

export interface RawBinding {
  /** `fd` is closed with this thread, unless it is closed or disowned before. 1, or 0: owned already. EBADF. */
  own(fd: number): number;
  /** EBADF: it was not owned. */
  disown(fd: number): number;
  /**
   * An owned one goes to a handle of libuv's, which is closed with this thread, too: until `own` or `disown` it is closed only if no handle has
   * closed it by then. EBADF.
   */
  lend(fd: number): number;
  closeOwned(fd: number): number;

  /**
   * An owned descriptor is on its way to another thread from here on: a ticket, with which `arrive` has it, once. It is closed with this
   * thread until it is `posted`. EBADF.
   */
  depart(fd: number): number;
  /** The same with the ticket that it had before, which somebody else may know if it was `posted`. */
  departAgain(ticket: number, fd: number, posted: boolean): number;
  /** Somebody else may know the ticket now. */
  posted(ticket: number): number;
  /** The descriptor, owned. EBADF: it has arrived elsewhere, or was closed. */
  arrive(ticket: number): number;
  /** Closes it. EBADF, as `arrive`. */
  recall(ticket: number): number;
  /** The same, unless somebody else may know the ticket. */
  recallUnposted(ticket: number): number;
  newRecipient(): number;
  /** What stands for this thread in 32 bits of shared memory; never 0. */
  environmentKey(): number;
  /** 1, or 0 once that thread has ended. */
  environmentLives(key: number): number;
  /** It is closed when `recipientEnded`, and with this thread. EBADF, as `arrive`. */
  departTo(ticket: number, recipient: number): number;
  /** Closes what was on its way there. */
  recipientEnded(recipient: number): number;

  rawSocket(type: number): number;
  /** Puts two descriptors into `descriptors`. */
  rawSocketPair(type: number, descriptors: Int32Array): number;
  /** Makes `fd` non-blocking and close-on-exec. */
  rawMakeOurs(fd: number): number;
  /** No bytes are the unnamed address, for which the kernel makes a name up. */
  rawBind(fd: number, address: Uint8Array, padded: boolean): number;
  rawConnect(fd: number, address: Uint8Array, padded: boolean): number;
  rawListen(fd: number, backlog: number): number;
  rawAccept(fd: number): number;
  rawShutdown(fd: number, how: number): number;
  /** How many bytes of `into` the name takes, an abstract one with its leading NUL. */
  rawName(fd: number, ofPeer: boolean, into: Uint8Array): number;

  /** EFAULT: there is no such part of `memory`. */
  rawSend(fd: number, memory: View, offset: number, length: number, flags: number): number;
  rawReceive(fd: number, memory: View, offset: number, length: number, flags: number): number;
  /** `credentials`: pid, uid and gid, or nothing. */
  rawSendMessage(
    fd: number,
    parts: readonly View[],
    descriptors: Int32Array,
    credentials: Int32Array,
    flags: number,
  ): number;
  /** `outcome` has the layout of `OUTCOME`. A maximum of −1 takes no control message in at all. */
  rawReceiveMessage(
    fd: number,
    parts: readonly View[],
    outcome: Int32Array,
    maximumDescriptors: number,
    flags: number,
  ): number;
  /** ERANGE: a row is outside of `memory`. */
  rawSendBatch(fd: number, memory: View, table: Int32Array, count: number, flags: number): number;
  /** How many messages came; 0 at end of input. */
  rawReceiveBatch(
    fd: number,
    memory: View,
    table: Int32Array,
    slotSize: number,
    flags: number,
  ): number;

  rawGetOption(fd: number, level: number, name: number, into: View): number;
  /** Bytes of an option that is longer than there was room for (ERANGE). */
  rawOptionSize(fd: number, level: number, option: number): number;
  rawSetOption(fd: number, level: number, name: number, value: View): number;
  /** SIOCINQ, or SIOCOUTQ if `outgoing`. */
  rawQueued(fd: number, outgoing: boolean): number;

  /** Those of `events` that happen now, with POLLERR, POLLHUP and POLLNVAL; 0 for none. */
  rawPollNow(fd: number, events: number): number;
  /** Starts this thread's set; `table` gets rows of a tag and events. */
  rawPollStart(table: Int32Array, dispatch: (rows: number) => void): number;
  /** Tells of `events` once. `known`: this descriptor was armed before. */
  rawPollArm(fd: number, events: number, tag: number, known: boolean): number;
  rawPollDisarm(fd: number): number;
  /** Whether a wait holds the process. */
  rawPollReference(referenced: boolean): number;
}

/** Fields of `rawReceiveMessage`'s outcome, and where its descriptors begin. */
export const OUTCOME = {
  flags: 0,
  descriptors: 1,
  hasCredentials: 2,
  pid: 3,
  uid: 4,
  gid: 5,
  end: 6,
  firstDescriptor: 7,
} as const;

/** The kernel's UIO_MAXIOV: parts of a message, messages of a batch. */
export const MAXIMUM_PARTS = 1024;
