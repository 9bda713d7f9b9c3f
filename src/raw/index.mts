/** `import … from 'afunix/raw'`: the same module, as ES modules see it. */
import raw from './index.js';

export const { BATCH_COLUMNS, constants, Descriptor, RawSocket } = raw;

export type * from './index.js';
// The names that are a value and a type.
export type Descriptor = import('./index.js').Descriptor;
export type RawSocket = import('./index.js').RawSocket;
