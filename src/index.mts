/** `import … from 'afunix'`: the same module, as ES modules see it. */
import afunix from './index.js';

export const {
  configure,
  connect,
  createConnection,
  createServer,
  features,
  Server,
  Socket,
  socketpair,
  stats,
  Stream,
  BlockList,
  SocketAddress,
  isIP,
  isIPv4,
  isIPv6,
  getDefaultAutoSelectFamily,
  setDefaultAutoSelectFamily,
  getDefaultAutoSelectFamilyAttemptTimeout,
  setDefaultAutoSelectFamilyAttemptTimeout,
} = afunix;

export type * from './index.js';
// The names that are a value and a type.
export type Socket = import('./index.js').Socket;
export type Server = import('./index.js').Server;
export default afunix.default;
