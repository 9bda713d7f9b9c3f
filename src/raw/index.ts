/** `require('afunix/raw')`: the system calls themselves. Public names only. */
// Settings from the environment, for what descriptors are cast to.
import '../index';

export { Descriptor } from '../descriptor';
export { BATCH_COLUMNS } from './batch';
export { constants } from './constants';
export { RawSocket } from './raw-socket';

export type { AbstractLength } from '../address';
export type { SystemError } from '../errors';
export type { RawAddress, RawAddressLike, RawAddressOptions } from './address';
export type { SocketOptionName } from './constants';
export type { MessageSizeError } from './failure';
export type { Memory } from './memory';
export type {
  Credentials,
  ReceivedMessage,
  ReceiveMessageOptions,
  SendMessageOptions,
} from './message';
export type { RawSocketType } from './raw-socket';
