/** Tells the sockets of `afunix/seqpacket` from others without loading them. */
export const kKeepsMessages = Symbol('keeps messages');
