/** What is written: bytes that depend on who writes and on their place, so that nothing can be lost, told twice or exchanged unseen. */
import type { Form } from './program';

const PERIOD = 65_521;
const MOST = 2 * 1024 * 1024;

const bytes = Buffer.alloc(PERIOD + MOST);
for (let place = 0; place < PERIOD; place += 1)
  bytes[place] = (Math.imul(place, 2_654_435_761) >>> 11) & 0xff;
for (let place = PERIOD; place < bytes.length; place *= 2) bytes.copyWithin(place, 0, place);

/** Characters of one, two, three and four bytes in UTF-8; the last are two units of UTF-16. */
const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789 \r\n\u00e4\u00df\u20ac\u4e2d\ud83d\ude00';

/** `size` bytes, or for strings of text about as many, from the place `from` on. */
export function content(form: Form, size: number, from: number): Buffer | Uint8Array | string {
  const start = from % PERIOD;
  const piece = bytes.subarray(start, start + size);
  switch (form) {
    case 'buffer':
      return Buffer.from(piece);
    case 'bytes':
      return new Uint8Array(piece);
    case 'latin1':
    case 'hex':
    case 'base64':
      return piece.toString(form);
    case 'utf8':
    case 'utf16le':
      return text(form === 'utf8' ? size : size >> 1, start);
  }
}

const long = alphabet.repeat(2_000);

function text(length: number, from: number): string {
  const start = from % alphabet.length;
  return long
    .slice(start)
    .repeat(1 + Math.floor(length / (long.length - alphabet.length)))
    .slice(0, length);
}

/** A number for what was received so far; the same however it was cut. */
export class RunningHash {
  private value = 0x811c9dc5;
  length = 0;

  add(chunk: Uint8Array | string): void {
    let value = this.value;
    if (typeof chunk === 'string') {
      for (let index = 0; index < chunk.length; index += 1)
        value = Math.imul(value ^ chunk.charCodeAt(index), 0x01000193);
    } else {
      for (const byte of chunk) value = Math.imul(value ^ byte, 0x01000193);
    }
    this.value = value;
    this.length += chunk.length;
  }

  toString(): string {
    return `${this.length}:${(this.value >>> 0).toString(36)}`;
  }
}
