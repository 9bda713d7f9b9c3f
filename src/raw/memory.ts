/** Memory that a caller hands over for one call: any view or buffer, shared or not. */
import { outOfRange, wrongType, wrongValue } from '../checks';
import type { View } from './native';

export type Memory = ArrayBuffer | SharedArrayBuffer | NodeJS.ArrayBufferView;

/** A bare buffer has one view for as long as it lives, so that using it again allocates nothing. */
const wrapped = new WeakMap<ArrayBufferLike, Uint8Array>();

function wrap(name: string, memory: unknown): Uint8Array {
  if (memory instanceof ArrayBuffer || memory instanceof SharedArrayBuffer) {
    let view = wrapped.get(memory);
    // The view of a detached buffer stays empty, and so does that of another buffer with its memory.
    if (view === undefined) wrapped.set(memory, (view = wholeOf(name, memory)));
    return view;
  }
  if (ArrayBuffer.isView(memory)) {
    try {
      return new Uint8Array(memory.buffer, memory.byteOffset, memory.byteLength);
    } catch {
      throw detached(name, memory);
    }
  }
  throw wrongType(
    name,
    'an instance of ArrayBuffer, SharedArrayBuffer, TypedArray, or DataView',
    memory,
  );
}

/** It follows the length of a resizable buffer. */
function wholeOf(name: string, memory: ArrayBufferLike): Uint8Array {
  try {
    return new Uint8Array(memory);
  } catch {
    throw detached(name, memory);
  }
}

function detached(name: string, memory: unknown): Error {
  return wrongValue(name, memory, 'is detached, or was cut shorter than the view');
}

/** Views that the addon cannot look through, or not in every Node. */
const OPAQUE: readonly unknown[] = ['DataView', 'Float16Array'];

function isTransparent(memory: unknown): memory is View {
  if (memory instanceof Uint8Array) return true;
  return ArrayBuffer.isView(memory) && !OPAQUE.includes(Reflect.get(memory, Symbol.toStringTag));
}

/** The view that the addon reads or writes through. */
export function viewOf(name: string, memory: Memory): View {
  const view = isTransparent(memory) ? memory : wrap(name, memory);
  if (view.byteLength === 0) checkEmpty(name, view);
  return view;
}

/** An empty view is one by choice, or by the loss of its memory: methods of the latter throw. */
function checkEmpty(name: string, view: View): void {
  try {
    view.at(0);
  } catch {
    throw detached(name, view);
  }
}

/** A part of `view`, in bytes; `length` is what is left if it is not given. */
export function checkPart(view: View, offset: number, length: number | undefined): number {
  const size = view.byteLength;
  if (typeof offset !== 'number') throw wrongType('offset', 'of type number', offset);
  if (!Number.isInteger(offset) || offset < 0 || offset > size) {
    throw outOfRange('offset', `an integer >= 0 && <= ${size}`, offset);
  }
  const left = size - offset;
  if (length === undefined) return left;
  if (typeof length !== 'number') throw wrongType('length', 'of type number', length);
  if (!Number.isInteger(length) || length < 0 || length > left) {
    throw outOfRange('length', `an integer >= 0 && <= ${left}`, length);
  }
  return length;
}
