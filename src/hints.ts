/** What a person would want to be told beside an error code. */
import fs from 'node:fs';
import path from 'node:path';
import { byteLength, isAbstract, LONGEST_NAME, looksLikeAddress } from './address';

function describe(address: string): string {
  return isAbstract(address) ? `the abstract name '@${address.slice(1)}'` : `'${address}'`;
}

/** Why a pathname could not be reached. Looks. */
function missing(address: string): string {
  if (looksLikeAddress(address)) {
    return `${describe(address)} was taken for a pathname, as in node:net; parseAddress() reads it as an address`;
  }
  const directory = path.dirname(address);
  return fs.existsSync(directory)
    ? `there is no ${describe(address)}: the server is not running, or listens elsewhere`
    : `the directory '${directory}' does not exist`;
}

function refused(address: string): string {
  if (isAbstract(address)) return `nobody listens on ${describe(address)}`;
  try {
    if (!fs.lstatSync(address).isSocket()) return `${describe(address)} is not a socket`;
  } catch {
    return missing(address);
  }
  return `nobody listens on ${describe(address)}; the file was left behind`;
}

/** What has to be looked up is looked up when somebody wants to know. */
type Hint = string | (() => string) | undefined;

function forConnect(code: string, address: string, type: string): Hint {
  switch (code) {
    case 'ENOENT':
      return () => missing(address);
    case 'ECONNREFUSED':
      return () => refused(address);
    case 'EACCES':
      return `connecting to ${describe(address)} takes write permission on it and search permission on every directory above it`;
    case 'EPROTOTYPE':
      return `${describe(address)} is a socket of another type than ${type}`;
    case 'EAGAIN':
      return `the backlog of ${describe(address)} stayed full: its server does not accept fast enough, or its backlog is too short`;
    case 'ENOTDIR':
      return `something above ${describe(address)} is not a directory`;
    default:
      return undefined;
  }
}

function forListen(code: string, address: string): Hint {
  switch (code) {
    case 'EADDRINUSE':
      return isAbstract(address)
        ? `somebody is bound to ${describe(address)} already`
        : `${describe(address)} exists: somebody listens on it, or it was left behind and can be removed`;
    case 'EACCES': {
      // `net` says EACCES for a missing directory as well.
      const directory = path.dirname(address);
      return () =>
        fs.existsSync(directory)
          ? `creating ${describe(address)} takes write permission on '${directory}'`
          : `the directory '${directory}' does not exist`;
    }
    case 'ENOENT':
      return `the directory '${path.dirname(address)}' does not exist`;
    case 'EROFS':
      return `${describe(address)} is on a read-only file system`;
    case 'ENOTDIR':
      return `something above ${describe(address)} is not a directory`;
    default:
      return undefined;
  }
}

/** One sentence, or nothing where the code says it all. */
export function hintFor(
  code: string,
  syscall: string,
  address?: string,
  type = 'SOCK_STREAM',
): Hint {
  if (code === 'EMFILE') return 'this process has no descriptor left (see `ulimit -n`)';
  if (code === 'ENFILE') return 'the system has no descriptor left';
  if (code === 'EPIPE') return 'the peer has closed its end and will read nothing more';
  if (code === 'ECONNRESET')
    return 'the peer closed with bytes of ours unread, or its listener closed before accepting';
  if (address === undefined) return undefined;
  if (code === 'ENAMETOOLONG' || (code === 'EINVAL' && byteLength(address) > LONGEST_NAME)) {
    return `${describe(address)} is ${byteLength(address)} bytes long and the limit is ${LONGEST_NAME}`;
  }
  if (code === 'EINVAL' && !isAbstract(address) && address.includes('\0')) {
    return 'a pathname cannot hold a NUL; an abstract name starts with one';
  }
  if (syscall === 'connect') return forConnect(code, address, type);
  if (syscall === 'listen' || syscall === 'bind') return forListen(code, address);
  return undefined;
}
