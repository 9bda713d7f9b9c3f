/** `import … from 'afunix/seqpacket'`: the same module, as ES modules see it. */
import seqpacket from './seqpacket.js';

export const { connect, createConnection, createServer, MessageRing, Server, Socket, socketpair } =
  seqpacket;

export type * from './seqpacket.js';
// The names that are a value and a type.
export type MessageRing = import('./seqpacket.js').MessageRing;
export type Server = import('./seqpacket.js').Server;
export type Socket = import('./seqpacket.js').Socket;

export default seqpacket.default;
