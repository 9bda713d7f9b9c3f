/** Values and sockets as short texts that are the same over every implementation. */
import type { Socket } from 'node:net';
import { inspect } from 'node:util';

const fields = ['code', 'errno', 'syscall', 'address', 'path', 'port', 'dest'] as const;

/** Addresses of this program and what they are called. */
export type Names = ReadonlyMap<string, string>;

export function describeError(error: unknown, names: Names): string {
  if (!(error instanceof Error)) return inspect(error);
  const parts = [error.name];
  for (const field of fields) {
    const value: unknown = Reflect.get(error, field);
    if (value !== undefined) parts.push(`${field}=${withoutAddresses(String(value), names)}`);
  }
  return `${parts.join(' ')} '${withoutAddresses(error.message, names)}'`;
}

export function withoutAddresses(text: string, names: Names): string {
  let result = text;
  for (const [address, name] of names) result = result.replaceAll(address, name);
  return result;
}

/** What events come with and methods return, except for chunks. */
export function describeValue(value: unknown, names: Names): string {
  if (value instanceof Error) return describeError(value, names);
  if (typeof value === 'string') return JSON.stringify(withoutAddresses(value, names));
  if (typeof value === 'function') return 'a function';
  if (typeof value !== 'object' || value === null) return String(value);
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  return `a ${value.constructor?.name ?? 'bare object'}`;
}

type Flag = readonly [mark: string, holds: (socket: Socket) => unknown];

const flags: readonly Flag[] = [
  ['connecting', (socket) => socket.connecting],
  ['pending', (socket) => socket.pending],
  ['readable', (socket) => socket.readable],
  ['writable', (socket) => socket.writable],
  ['paused', (socket) => socket.isPaused()],
  ['needDrain', (socket) => socket.writableNeedDrain],
  ['readableEnded', (socket) => socket.readableEnded],
  ['writableEnded', (socket) => socket.writableEnded],
  ['finished', (socket) => socket.writableFinished],
  ['aborted', (socket) => socket.readableAborted],
  ['didRead', (socket) => socket.readableDidRead],
  ['errored', (socket) => socket.errored],
  ['destroyed', (socket) => socket.destroyed],
  ['closed', (socket) => socket.closed],
];

/** All that a socket tells about itself. */
export function describeSocket(socket: Socket): string {
  let text = `${socket.readyState} flowing=${String(socket.readableFlowing)}`;
  for (const [mark, holds] of flags) {
    const value = holds(socket);
    if (value !== false && value !== null && value !== undefined) text += ` ${mark}`;
  }
  return (
    `${text} corked=${socket.writableCorked} held=${socket.readableLength}/${socket.writableLength}` +
    ` size=${socket.bufferSize} bytes=${socket.bytesRead}/${socket.bytesWritten} timeout=${socket.timeout}`
  );
}
