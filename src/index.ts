/** `require('afunix')`: public names only. */
import nodeNet from 'node:net';
import { formatAddress, parseAddress } from './address-string';
import { configure, configureOnce } from './configure';
import './descriptor-casts';
import { features, stats } from './features';
import { connect, createConnection, createServer, Server, Socket } from './net';
import { socketpair } from './socketpair';
import { receive, transfer } from './transfer';

configureOnce();

export {
  configure,
  connect,
  createConnection,
  createServer,
  features,
  formatAddress,
  parseAddress,
  receive,
  Server,
  Socket,
  socketpair,
  stats,
  transfer,
};
export const Stream = Socket;

export type { AbstractLength } from './address';
export type { Address, ListeningAddress } from './address-string';
export type { Configuration, EngineName } from './configure';
export type { SystemError } from './errors';
export type { DiagnosticsMessages } from './diagnostics';
export type { DescriptorLimits } from './descriptor-quota';
export type { DescriptorLike } from './descriptor-sending';
export type { Feature, Features, Stats } from './features';
export type { ServerListenOptions, ServerOptions } from './server/options';
export type { ConnectionListener } from './server/server';
export type { Detached } from './socket/detaching';
export type { SocketConnectOptions, SocketOptions } from './socket/options';
export type { DescriptorsInfo } from './socket/passing';
export type {
  Departing,
  TransferredMessageServer,
  TransferredMessageSocket,
  TransferredServer,
  TransferredSocket,
} from './transfer';

/** What concerns TCP and IP is `node:net`'s own. */
export const {
  BlockList,
  SocketAddress,
  isIP,
  isIPv4,
  isIPv6,
  getDefaultAutoSelectFamily,
  setDefaultAutoSelectFamily,
  getDefaultAutoSelectFamilyAttemptTimeout,
  setDefaultAutoSelectFamilyAttemptTimeout,
} = nodeNet;

/** What is ours where `node:net` has a name too, and beside it. */
export interface Own {
  configure: typeof configure;
  connect: typeof connect;
  createConnection: typeof createConnection;
  createServer: typeof createServer;
  features: typeof features;
  formatAddress: typeof formatAddress;
  parseAddress: typeof parseAddress;
  Server: typeof Server;
  Socket: typeof Socket;
  receive: typeof receive;
  socketpair: typeof socketpair;
  stats: typeof stats;
  transfer: typeof transfer;
  Stream: typeof Stream;
}

export type Afunix = Omit<typeof nodeNet, keyof Own> & Own;

// Whatever else the `net` of this Node has, under `require` as well.
for (const [name, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(nodeNet))) {
  if (!Object.hasOwn(exports as object, name)) {
    Object.defineProperty(exports as object, name, descriptor);
  }
}

/** `import net from 'afunix'`: every name that `net` has, and ours. */
const net = exports as Afunix;

/** The types that go by `net.Socket` and so on. */
// eslint-disable-next-line @typescript-eslint/no-namespace
declare namespace net {
  type Socket = import('./net').Socket;
  type Server = import('./net').Server;
  type AddressInfo = nodeNet.AddressInfo;
  type BlockList = nodeNet.BlockList;
  type ListenOptions = import('./server/options').ServerListenOptions;
  type NetConnectOpts = nodeNet.NetConnectOpts;
  type ServerOpts = import('./server/options').ServerOptions;
  type SocketAddress = nodeNet.SocketAddress;
  type SocketConstructorOpts = import('./socket/options').SocketOptions;
}

export default net;
