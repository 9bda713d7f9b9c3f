// What a program written with `import` sees of afunix/activation. Compiled, never run.
import net from 'afunix';
import seqpacket from 'afunix/seqpacket';
import { Descriptor } from 'afunix/raw';
import activation, {
  descriptors,
  listeners,
  notify,
  watchdog,
  type DescriptorType,
  type InheritedDescriptor,
  type InheritedListener,
  type Notification,
  type Watchdog,
} from 'afunix/activation';

for (const listener of listeners({ unset: false })) {
  const typed: InheritedListener = listener;
  const kind: 'stream' | 'seqpacket' = typed.type;
  if (kind === 'stream') net.createServer().listen(typed);
  else seqpacket.createServer().listen(typed);
}
const rest: InheritedDescriptor[] = descriptors();
const type: DescriptorType | undefined = rest[0]?.type;

const notification: Notification = { ready: true, status: 'x', fdStore: [1, new Descriptor(2)] };
const told: boolean = notify(notification) && notify('X_OURS=1') && activation.notify({});
// @ts-expect-error no such variable
notify({ redy: true });

using dog: Watchdog | null = watchdog({ healthy: () => Promise.resolve(true) });
const interval: number | undefined = dog?.interval;

net
  .createServer()
  .listen({ path: '/x', mode: 0o660, uid: 1, gid: 'adm', stale: 'probe', checkDirectory: true });
seqpacket.createServer().listen({ path: '/x', mode: 0o660, stale: 'replace' });
// @ts-expect-error a mode is a number
seqpacket.createServer().listen({ path: '/x', mode: '0660' });
// @ts-expect-error there is no such way
seqpacket.createServer().listen({ path: '/x', stale: 'remove' });

export { told, type, interval };
