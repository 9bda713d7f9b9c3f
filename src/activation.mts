/** `import … from 'afunix/activation'`: the same module, as ES modules see it. */
import activation from './activation.js';

export const { descriptors, listeners, notify, watchdog } = activation;

export type * from './activation.js';

export default activation.default;
