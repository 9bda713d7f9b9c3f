/** What may be sent: bytes or text, not empty, not too long. */
import { inspect, types } from 'node:util';
import { addHint, codedError, errnoException, type SystemError } from '../errors';

/** A string is sent as UTF-8. */
export type Message = string | NodeJS.ArrayBufferView;

const EMSGSIZE = -90;

/** EMSGSIZE as `send` reports it: what was tried, and what can be. */
export interface MessageSizeError extends SystemError {
  size: number;
  limit: number;
}

/** The message's bytes, without a copy; a string stays one. `index` is its place in a batch, −1 for none. */
export function bytesOf(message: unknown, index: number): Uint8Array | string {
  if (typeof message === 'string' || message instanceof Uint8Array) return message;
  if (ArrayBuffer.isView(message)) {
    return new Uint8Array(message.buffer, message.byteOffset, message.byteLength);
  }
  throw codedError(
    TypeError,
    'ERR_INVALID_ARG_TYPE',
    `The "${nameOf(index)}" argument must be of type string or an instance of Buffer, TypedArray, or DataView. Received ${describe(message)}`,
  );
}

function nameOf(index: number): string {
  return index < 0 ? 'message' : `messages[${index}]`;
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'object') return `an instance of ${value.constructor?.name ?? 'Object'}`;
  if (typeof value === 'function') return `function ${value.name}`;
  return `type ${typeof value} (${inspect(value)})`;
}

export function byteLengthOf(bytes: Uint8Array | string): number {
  return typeof bytes === 'string' ? Buffer.byteLength(bytes) : bytes.byteLength;
}

/** Why a message of this length is not sent; null if it can be. */
export function refusal(
  bytes: Uint8Array | string,
  size: number,
  limit: number,
  index: number,
): Error | null {
  if (size > 0 && size <= limit) return null;
  const error = size === 0 ? emptyMessage(bytes, index) : tooLong(size, limit);
  return index < 0 ? error : Object.assign(error, { index });
}

function emptyMessage(bytes: Uint8Array | string, index: number): Error {
  const detached =
    typeof bytes !== 'string' && types.isArrayBuffer(bytes.buffer) && bytes.buffer.byteLength === 0;
  const error = codedError(
    RangeError,
    'ERR_AFUNIX_EMPTY_MESSAGE',
    `The "${nameOf(index)}" argument has no bytes${detached ? ' (its memory is empty or was detached)' : ''}: a message needs at least 1`,
  );
  addHint(
    error,
    'a receiver of SOCK_SEQPACKET cannot always tell a message without bytes from the end of the connection',
  );
  return error;
}

function tooLong(size: number, limit: number): MessageSizeError {
  const error = errnoException(EMSGSIZE, 'send') as MessageSizeError;
  error.message = `send EMSGSIZE: a message of ${size} bytes is longer than the limit of ${limit} bytes`;
  error.size = size;
  error.limit = limit;
  addHint(
    error,
    'options `maxMessageSize` and `sendBufferSize` raise the limit, as far as net.core.wmem_max lets them',
  );
  return error;
}

export function checkCallback(callback: unknown): void {
  if (callback === undefined || typeof callback === 'function') return;
  throw codedError(
    TypeError,
    'ERR_INVALID_ARG_TYPE',
    `The "callback" argument must be of type function. Received ${describe(callback)}`,
  );
}
