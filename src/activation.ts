/** `require('afunix/activation')`: sockets that a service manager opened, and what it wants to be told. Public names only. */
// Settings from the environment, for what listens on the descriptors.
import './index';
import { descriptors, listeners } from './activation/inherited';
import { notify } from './activation/notify';
import { watchdog } from './activation/watchdog';

const activation = { descriptors, listeners, notify, watchdog };

export { descriptors, listeners, notify, watchdog };
export default activation;
export type {
  DescriptorType,
  InheritedDescriptor,
  InheritedListener,
  TakeOptions,
} from './activation/inherited';
export type { Notification } from './activation/notify';
export type { Watchdog, WatchdogOptions } from './activation/watchdog';
