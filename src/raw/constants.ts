/**
 * Numbers of the kernel's, as the headers of x64 and arm64 have them (asm-generic/socket.h, bits/socket.h, poll.h).
 */

/** What `getsockopt` and `setsockopt` know by name; all of them are at level SOL_SOCKET. unix(7), socket(7). */
export const SOCKET_OPTIONS = {
  SO_TYPE: 3,
  SO_ERROR: 4,
  SO_SNDBUF: 7,
  SO_RCVBUF: 8,
  SO_LINGER: 13,
  SO_PASSCRED: 16,
  SO_PEERCRED: 17,
  SO_RCVLOWAT: 18,
  SO_RCVTIMEO: 20,
  SO_SNDTIMEO: 21,
  SO_TIMESTAMP: 29,
  SO_ACCEPTCONN: 30,
  SO_PEERSEC: 31,
  SO_SNDBUFFORCE: 32,
  SO_PASSSEC: 34,
  SO_PROTOCOL: 38,
  SO_DOMAIN: 39,
  SO_PEEK_OFF: 42,
  SO_PEERGROUPS: 59,
  SO_PASSPIDFD: 76,
  SO_PEERPIDFD: 77,
  SO_PASSRIGHTS: 83,
} as const;

export type SocketOptionName = keyof typeof SOCKET_OPTIONS;

/** Flags of `send`, `recv` and their relatives; events of `poll`; numbers of options. */
export const constants = Object.freeze({
  MSG_OOB: 0x1,
  MSG_PEEK: 0x2,
  MSG_CTRUNC: 0x8,
  MSG_TRUNC: 0x20,
  MSG_DONTWAIT: 0x40,
  MSG_EOR: 0x80,
  MSG_NOSIGNAL: 0x4000,
  MSG_MORE: 0x8000,
  POLLIN: 0x1,
  POLLPRI: 0x2,
  POLLOUT: 0x4,
  POLLERR: 0x8,
  POLLHUP: 0x10,
  POLLNVAL: 0x20,
  POLLRDHUP: 0x2000,
  SOL_SOCKET: 1,
  ...SOCKET_OPTIONS,
});
