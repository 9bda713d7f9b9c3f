/**
 * Where the `net` of one Node differs from that of another, afunix does what the running one does. Everything that asks for a
 * version is here, or the tests would have to look for it.
 */

type Version = readonly [major: number, minor: number];

function parse(version: string): Version {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return [major, minor];
}

const node = parse(process.versions.node);
const libuv = parse(process.versions.uv);

function atLeast([major, minor]: Version, [wantedMajor, wantedMinor]: Version): boolean {
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

/** Abstract names have their own length; before, they were padded with NULs to 108 bytes. */
export const ABSTRACT_NAMES_ARE_EXACT = atLeast(libuv, [1, 51]);

/** `readableAll` and `writableAll` are the whole mode of the socket file; before, they were added to it. */
export const LISTEN_MODE_IS_WHOLE = atLeast(libuv, [1, 51]);

/** `maxConnections = 0` drops everybody; before, it was the same as none. */
export const ZERO_CONNECTIONS_IS_A_LIMIT = atLeast(node, [21, 0]);

/** `end()` on a socket that nobody connects finishes; before, it waited for a connection. */
export const UNCONNECTED_SOCKETS_FINISH = atLeast(node, [21, 0]);

/** A write that is under way when its socket is destroyed fails with ECANCELED; before, it was called done (nodejs/node#54032). */
export const DESTROYED_WRITES_FAIL = atLeast(node, [23, 0]) || (node[0] === 22 && node[1] >= 9);

/** `net.client.socket` tells of each `Socket.connect()`; before, only of `net.connect()`. */
export const SOCKET_CONNECT_IS_PUBLISHED =
  atLeast(node, [24, 2]) || (node[0] === 22 && node[1] >= 17);
