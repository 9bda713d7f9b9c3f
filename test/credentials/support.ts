/** What the tests of credentials share: servers, clients that are somebody else, and what has to be there for them. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import net, {
  type Server,
  type ServerListenOptions,
  type ServerOptions,
  type Socket,
} from 'afunix';
import seqpacket from 'afunix/seqpacket';
import type { PeerCredentials, Refusal } from 'afunix/credentials';
import { freshDirectory } from '../helpers/socket-paths';
import { happens } from '../helpers/sockets';

/** The file that this process runs; with a sanitizer process.execPath is a script. */
export const OURS = readlinkSync('/proc/self/exe');

/** The second user of all these tests. */
export const NOBODY = 65_534;

export const kinds = ['stream', 'seqpacket'] as const;
export type Kind = (typeof kinds)[number];

/** Says why a test cannot run here; undefined if it can. */
export function withoutRoot(): string | undefined {
  return process.getuid?.() === 0 ? undefined : 'needs root: it starts processes of other users';
}

export function withoutNamespaces(...flags: string[]): string | undefined {
  const { status, stderr, error } = spawnSync('unshare', [...flags, 'true'], { encoding: 'utf8' });
  return status === 0
    ? undefined
    : `needs \`unshare ${flags.join(' ')}\`, which says: ${error?.message ?? stderr.trim()}`;
}

/** A test that runs where it can and otherwise says loudly why not. */
export function needs(...reasons: (string | undefined)[]): { skip: string | false } {
  return { skip: reasons.find((reason) => reason !== undefined) ?? false };
}

/** A path that every user may connect to once `open` was called. */
export function sharedPath(t: TestContext): string {
  const directory = freshDirectory(t);
  chmodSync(directory, 0o755);
  return join(directory, 's');
}

export interface Refused {
  readonly peer: PeerCredentials;
  readonly refusal: Refusal;
  readonly groups?: readonly number[] | null;
}

export interface Guarded {
  readonly path: string;
  readonly server: Server;
  readonly sockets: Socket[];
  readonly refused: Refused[];
  /** The next connection that is let in. */
  connection(): Promise<Socket>;
  refusal(): Promise<Refused>;
}

/** A server of either kind, whose file everybody may connect to; closed with its connections after the test. */
export async function serve(
  t: TestContext,
  kind: Kind,
  listenOptions: Partial<ServerListenOptions> = {},
  options: ServerOptions = {},
): Promise<Guarded> {
  const path = listenOptions.path ?? sharedPath(t);
  const server =
    kind === 'stream'
      ? net.createServer(options)
      : (seqpacket.createServer(options) as unknown as Server);
  const sockets: Socket[] = [];
  const refused: Refused[] = [];
  server.on('connection', (socket) => {
    sockets.push(socket as Socket);
    socket.on('error', () => undefined);
  });
  server.on('refused', (peer: PeerCredentials, refusal: Refusal) => {
    // Nobody can ask for its groups later.
    refused.push({ peer, refusal, groups: peer.groups });
  });
  // By its own length, as the other programs here know it.
  server.listen({ abstractLength: 'exact', ...listenOptions, path });
  await happens(server, 'listening');
  if (!path.startsWith('\0')) chmodSync(path, 0o666);
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    if (!server.listening) return;
    const closed = happens(server, 'close');
    server.close();
    await closed;
  });
  return {
    path,
    server,
    sockets,
    refused,
    connection: async () => (await happens(server, 'connection'))[0] as Socket,
    refusal: async () => {
      const [peer, refusal] = (await happens(server, 'refused')) as [PeerCredentials, Refusal];
      return { peer, refusal };
    },
  };
}

export function connect(t: TestContext, kind: Kind, path: string): Socket {
  const socket =
    kind === 'stream' ? net.connect(path) : (seqpacket.connect(path) as unknown as Socket);
  socket.on('error', () => undefined);
  t.after(() => socket.destroy());
  return socket;
}

/** Connects and is let in, one after the other; how many came in, and how many others of this user's were refused meanwhile. */
export async function visit(
  t: TestContext,
  guarded: Guarded,
  times: number,
): Promise<{ connections: number; refusals: number }> {
  const us = process.geteuid?.();
  let connections = 0;
  for (let i = 0; i < times; i += 1) {
    const came = new Promise<void>((resolve) => {
      const look = (socket: Socket): void => {
        if (socket.peerCredentials?.uid !== us) return;
        guarded.server.off('connection', look);
        connections += 1;
        socket.destroy();
        resolve();
      };
      guarded.server.on('connection', look);
    });
    const client = connect(t, 'stream', guarded.path);
    await Promise.all([came, gone(client)]);
  }
  return { connections, refusals: guarded.refused.filter(({ peer }) => peer.uid === us).length };
}

/** Resolves when it is closed, whatever with. */
export async function gone(socket: Socket): Promise<void> {
  if (socket.closed) return;
  socket.resume();
  await happens(socket, 'close');
}

export interface Identity {
  readonly uid?: number;
  readonly gid?: number;
  readonly groups?: readonly number[];
  /** Flags of unshare(1), in whose namespaces it runs. */
  readonly unshare?: readonly string[];
}

export interface Client {
  readonly child: ChildProcess;
  /** Ends the process and waits for it. */
  end(): Promise<void>;
  /** Resolves with the next line that it writes. */
  line(): Promise<string>;
}

const PYTHON = '/usr/bin/python3';

export function withoutPython(): string | undefined {
  return spawnSync(PYTHON, ['-c', '']).status === 0 ? undefined : `needs ${PYTHON}`;
}

/** Connects, says so, writes what comes back in hexadecimal, and waits until its stdin ends. */
const CONNECT = `
import socket, sys, os
kind = {'stream': socket.SOCK_STREAM, 'seqpacket': socket.SOCK_SEQPACKET}[sys.argv[1]]
path = sys.argv[2].replace('@', '\\0', 1) if sys.argv[2].startswith('@') else sys.argv[2]
s = socket.socket(socket.AF_UNIX, kind)
if len(sys.argv) > 3:
    s.bind(bytes.fromhex(sys.argv[3]))
try:
    s.connect(path)
    print('connected', os.getpid(), flush=True)
    sys.stdin.read()
except OSError as error:
    print('failed', error.errno, flush=True)
`;

/** A client in a process of its own, that may be another user's. */
export function startClient(
  t: TestContext,
  kind: Kind,
  path: string,
  identity: Identity = {},
  name?: Buffer,
): Client {
  const address = path.startsWith('\0') ? `@${path.slice(1)}` : path;
  const python = [PYTHON, '-c', CONNECT, kind, address];
  if (name !== undefined) python.push(name.toString('hex'));
  return start(t, python, identity);
}

/** A program as somebody else. */
export function start(t: TestContext, command: readonly string[], identity: Identity = {}): Client {
  const whole = [...command];
  const { uid, gid, groups, unshare } = identity;
  if (uid !== undefined || gid !== undefined) {
    const list = groups === undefined || groups.length === 0 ? ['--clear-groups'] : [];
    if (groups !== undefined && groups.length > 0) list.push(`--groups=${groups.join(',')}`);
    whole.unshift('setpriv', `--reuid=${uid ?? 0}`, `--regid=${gid ?? uid ?? 0}`, ...list, '--');
  }
  if (unshare !== undefined) whole.unshift('unshare', ...unshare, '--');
  const [program = '', ...rest] = whole;
  const child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines: string[] = [];
  let waiting: ((line: string) => void) | undefined;
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const all = (text + chunk).split('\n');
    text = all.pop() ?? '';
    for (const line of all) {
      if (waiting === undefined) lines.push(line);
      else waiting(line);
      waiting = undefined;
    }
  });
  child.stdin.on('error', () => undefined);
  const ended = happens(child, 'close');
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return {
    child,
    end: async () => {
      child.stdin.end();
      await ended;
    },
    line: () =>
      new Promise((resolve, reject) => {
        const ready = lines.shift();
        if (ready !== undefined) {
          resolve(ready);
          return;
        }
        waiting = resolve;
        void ended.then(() => reject(new Error(`${whole.join(' ')} ended without a word`)));
      }),
  };
}
