/** Descriptors on their way out: what may be sent, and copies of it, which are the engine's once they are attached. */
import { wrongType, wrongValue } from './checks';
import { Descriptor, descriptorOf, MAXIMUM_DESCRIPTORS } from './descriptor';
import { engine } from './engine/engine';
import { addHint, errnoException } from './errors';

/** Something to send: a number, or an object with one (`Descriptor`, `FileHandle`, ...). It stays the sender's. */
export type DescriptorLike = number | { readonly fd: number };

/**
 * Descriptors of one socket that wait for the kernel before its user is told to wait. Each is a place in the table of the process, of
 * which there are 1024 by default: bytes are no measure for them.
 */
export const MOST_WAITING = 16;

/** Throws for what is no list of descriptors that one message can carry. */
export function checkDescriptors(descriptors: readonly DescriptorLike[]): void {
  if (!Array.isArray(descriptors)) throw wrongType('descriptors', 'an Array', descriptors);
  const count = descriptors.length;
  if (count < 1 || count > MAXIMUM_DESCRIPTORS) {
    throw wrongValue('descriptors', count, `must have 1 to ${MAXIMUM_DESCRIPTORS} elements`);
  }
}

/**
 * Copies, so that the caller may close theirs at once, and ours stay open until the kernel has them. Errors: EBADF, EMFILE; the
 * hint says which.
 */
export function duplicateAll(descriptors: readonly DescriptorLike[]): Descriptor[] {
  const copies: Descriptor[] = [];
  try {
    for (const [index, given] of descriptors.entries()) {
      const name = `descriptors[${index}]`;
      const fd = descriptorOf(name, given);
      const copy = engine().duplicate(fd);
      if (copy < 0) {
        const error = errnoException(copy, 'fcntl');
        addHint(error, `${name} is ${fd}, which could not be duplicated`);
        throw error;
      }
      copies.push(new Descriptor(copy));
    }
  } catch (error) {
    closeAll(copies);
    throw error;
  }
  return copies;
}

/** The next payload of `handle` takes them along; they are the engine's in any case. 0 or −errno. */
export function attachAll(handle: number, copies: readonly Descriptor[]): number {
  const numbers = Int32Array.from(copies, (copy) => copy.surrender());
  return engine().attachDescriptors(handle, numbers);
}

export function closeAll(descriptors: Iterable<Descriptor>): void {
  for (const descriptor of descriptors) descriptor.close();
}
