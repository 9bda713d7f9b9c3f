/** `import … from 'afunix/http'`: the same module, as ES modules see it. */
import afunixHttp from './http.js';

export const { Agent, connector, serve } = afunixHttp;

export type * from './http.js';
export type Agent = import('./http.js').Agent;
