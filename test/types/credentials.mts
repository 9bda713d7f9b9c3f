// What a program written with `import` sees of afunix/credentials. Compiled, never run.
import net, { type Server, type Socket } from 'afunix';
import credentials, {
  allOf,
  anyOf,
  executable,
  gid,
  group,
  groupId,
  groupName,
  label,
  not,
  type Authorize,
  type AuthorizeFunction,
  type Exited,
  type PeerCredentials,
  peerCredentials,
  type Policy,
  type Refusal,
  type RefusalCode,
  sameUser,
  uid,
  userId,
  userName,
} from 'afunix/credentials';
import type { Descriptor } from 'afunix/raw';
import seqpacket from 'afunix/seqpacket';

const ask: AuthorizeFunction = async (peer, { signal }) => {
  signal.throwIfAborted();
  const pid: number | null = peer.pid;
  const groups: readonly number[] | null = peer.groups;
  const text: string | null = peer.label;
  const pidfd: Descriptor | null = peer.pidfd;
  const exited: Exited = peer.exited;
  await exited;
  if (exited.signal.aborted || pid === null) return 'gone';
  return groups?.includes(4) === true && text === null && pidfd !== null && !peer.unmappedUid;
};
const policy: Policy = anyOf(
  sameUser(),
  allOf(uid(0, 'www-data'), gid('adm'), not(group(27))),
  label('unconfined', new Uint8Array(1)),
  executable('/usr/bin/node'),
  ask,
  ({ uid }) => uid > 1000,
);
const rules: Authorize[] = [policy, ask];

const server: Server = net.createServer({ authorize: policy, maxConnectionsPerUid: 3 });
server.listen({ path: '/run/x.sock', authorize: ask, maxUnauthorized: 1, authorizeTimeout: 1 });
server.on('refused', (peer: PeerCredentials, refusal: Refusal) => {
  const code: RefusalCode = refusal.code;
  return `${code} ${refusal.message} ${peer.uid}`;
});
seqpacket.createServer({ authorize: policy }).on('refused', (peer, refusal) => {
  const text: string = `${refusal.code} ${peer.gid}`;
  return text;
});
seqpacket.createServer().listen({ path: '/run/x.sock', authorize: policy });
const client: Socket = net.connect({ path: '/run/x.sock', authorize: uid(0), authorizeTimeout: 1 });
const message = seqpacket.connect({ path: '/run/x.sock', authorize: uid(0) });

const names: Promise<string | null>[] = [userName(0), groupName(0)];
const ids: Promise<number | null>[] = [userId('root'), groupId('root')];
const all: (PeerCredentials | null)[] = [
  client.peerCredentials,
  message.peerCredentials,
  peerCredentials(0),
  peerCredentials(client),
  credentials.peerCredentials({ fd: 3 }),
];

// @ts-expect-error a policy is made of policies
not('root');
// @ts-expect-error no user is a boolean
uid(true);
// @ts-expect-error what the kernel said is read, not written
client.peerCredentials = null;
// @ts-expect-error an answer is true, false or a reason
net.createServer({ authorize: () => 1 });

export { all, ids, names, rules };
