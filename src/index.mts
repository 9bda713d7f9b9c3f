/** `import … from 'afunix'`: the same module, as ES modules see it. */
import afunix, { type Afunix } from './index.js';

export const {
  configure,
  connect,
  createConnection,
  createServer,
  features,
  formatAddress,
  parseAddress,
  Server,
  Socket,
  receive,
  socketpair,
  stats,
  Stream,
  transfer,
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

// By its name: what `default` is, compilers that resolve as bundlers do see in another way.
const net: Afunix = afunix.default;

/** The types that go by `net.Socket` and so on. */
// eslint-disable-next-line @typescript-eslint/no-namespace
declare namespace net {
  type Socket = import('./index.js').default.Socket;
  type Server = import('./index.js').default.Server;
  type AddressInfo = import('./index.js').default.AddressInfo;
  type BlockList = import('./index.js').default.BlockList;
  type ListenOptions = import('./index.js').default.ListenOptions;
  type NetConnectOpts = import('./index.js').default.NetConnectOpts;
  type ServerOpts = import('./index.js').default.ServerOpts;
  type SocketAddress = import('./index.js').default.SocketAddress;
  type SocketConstructorOpts = import('./index.js').default.SocketConstructorOpts;
}

export default net;
