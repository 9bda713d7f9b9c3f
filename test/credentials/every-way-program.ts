/**
 * Every option that protects, in every way into `net`, in this process: `every-way-program.js <folder>`, with `afunix/register` loaded or
 * not. A line of JSON for each: what became of it.
 */
import { spawn } from 'node:child_process';
import cluster from 'node:cluster';
import { EventEmitter, once } from 'node:events';
import { chmodSync, linkSync, mkdirSync, statSync, writeSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import tls from 'node:tls';
import util from 'node:util';

export interface Outcome {
  readonly side: 'server' | 'client';
  readonly way: string;
  readonly where: string;
  readonly given: string;
  readonly option: string;
  /** `followed`, `error CODE`, or `neither` with what happened instead. */
  readonly became: string;
}

type Options = Record<string, unknown>;
type Make = (options: Options) => net.Server;

const [folder = ''] = process.argv.slice(2);
const byRegister = process.env['WAYS'] === 'register';
const NOBODY = 65_534;
const ids = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
let places = 0;

function fresh(mode = 0o755): string {
  const directory = path.join(folder, String((places += 1)));
  mkdirSync(directory);
  chmodSync(directory, mode);
  return path.join(directory, 's');
}

function tell(outcome: Outcome): void {
  writeSync(1, `${JSON.stringify(outcome)}\n`);
}

/** Another user, if there can be one, who connects wherever it is told to, says a word and stays a while. */
const KNOCK = `
import socket, sys
kept = []
for line in sys.stdin:
    s = socket.socket(socket.AF_UNIX)
    name = line.rstrip('\\n')
    try:
        s.connect('\\0' + name[1:] if name.startswith('@') else name)
        s.send(b'x')
    except OSError:
        pass
    kept = (kept + [s])[-4:]
`;
const as =
  'uid' in ids ? ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'] : [];
const [program, ...rest] = [...as, '/usr/bin/python3', '-c', KNOCK];
const stranger = spawn(program, rest, { stdio: ['pipe', 'inherit', 'inherit'] });
const strangerUid = 'uid' in ids ? NOBODY : process.getuid?.();

function knock(at: string): void {
  stranger.stdin.write(`${at.replace('\0', '@')}\n`);
}

const leftBehind = path.join(folder, 'left-behind');

/** Makes a socket file that nobody is bound to. */
async function leaveBehind(): Promise<void> {
  const at = fresh();
  const server = net.createServer().listen(at);
  await once(server, 'listening');
  linkSync(at, leftBehind);
  server.close();
}

interface Option {
  readonly options: Options;
  /** What listening fails with, if it is followed. */
  readonly error?: string;
  readonly unsafe?: true;
  readonly leftBehind?: true;
  /** Of a server that listens on `at`: undefined if it is followed. */
  look?(server: net.Server, at: string): Promise<string | undefined> | string | undefined;
}

/** The next who comes is refused, for this reason. */
async function refuses(
  server: net.Server,
  at: string,
  code: string,
  times = 1,
): Promise<string | undefined> {
  const refused = new Promise<string | undefined>((resolve) => {
    server.on('refused', (peer: { uid: number }, refusal: { code: string }) => {
      const right = peer.uid === strangerUid && refusal.code === code;
      resolve(right ? undefined : `refused uid ${peer.uid}: ${refusal.code}`);
    });
    server.on('connection', () => resolve('admitted'));
  });
  for (let i = 0; i < times; i += 1) knock(at);
  return refused;
}

const never = (): Promise<boolean> => new Promise(() => undefined);
const statOf = (name: 'mode' | 'uid' | 'gid', wanted: number) => (_: net.Server, at: string) => {
  const is = statSync(at)[name] & (name === 'mode' ? 0o777 : -1);
  return is === wanted ? undefined : `${name} is ${is}`;
};
const open = { mode: 0o666 };

/** By the name of the option that it is about. With `open` a stranger can connect. */
const serverOptions = (abstract: boolean): Record<string, Option> => {
  const way = abstract ? {} : open;
  return {
    authorize: {
      options: { authorize: (peer: { uid: number }) => peer.uid === -1, ...way },
      look: (server, at) => refuses(server, at, 'policy'),
    },
    maxConnectionsPerUid: {
      options: { maxConnectionsPerUid: 0, ...way },
      look: (server, at) => refuses(server, at, 'maxConnectionsPerUid'),
    },
    maxUnauthorized: {
      options: { authorize: never, maxUnauthorized: 1, ...way },
      look: (server, at) => refuses(server, at, 'maxUnauthorized', 2),
    },
    authorizeTimeout: {
      options: { authorize: never, authorizeTimeout: 5, ...way },
      look: (server, at) => refuses(server, at, 'timeout'),
    },
    passCredentials: {
      options: { passCredentials: true },
      look: async (server, at) => {
        const [[socket]] = await Promise.all([
          once(server, 'connection') as Promise<[net.Socket]>,
          Promise.resolve().then(() => {
            if (!abstract) chmodSync(at, 0o666);
            knock(at);
          }),
        ]);
        const told = once(socket, 'credentials') as Promise<[{ uid: number }]>;
        const silent = once(socket, 'data').then(() => [{ uid: -1 }]);
        const [{ uid }] = await Promise.race([told, silent]);
        return uid === strangerUid ? undefined : `credentials of ${uid}`;
      },
    },
    mode: { options: { mode: 0o640 }, look: statOf('mode', 0o640) },
    uid: {
      options: { uid: ids.uid ?? process.getuid?.() },
      look: statOf('uid', strangerUid ?? -1),
    },
    gid: {
      options: { gid: ids.gid ?? process.getgid?.() },
      look: statOf('gid', ids.gid ?? process.getgid?.() ?? -1),
    },
    stale: { options: { stale: 'probe' }, leftBehind: true },
    checkDirectory: {
      options: { checkDirectory: true },
      unsafe: true,
      error: 'ERR_AFUNIX_UNSAFE_DIRECTORY',
    },
  };
};

class NetServer extends net.Server {}
class HttpServer extends http.Server {}
function OldServer(this: net.Server, options: Options): void {
  Reflect.apply(net.Server as unknown as (options: Options) => void, this, [options]);
}
util.inherits(OldServer, net.Server);

const listen = (server: net.Server, options: Options): void => void server.listen(options);

/** How servers are made, and told to listen. */
function serverWays(): Record<string, { make: Make; listen?: typeof listen; madeCounts?: false }> {
  const theirs: Record<string, { make: Make }> = {
    'net.createServer': { make: (options) => net.createServer(options) },
    'new net.Server': { make: (options) => new net.Server(options) },
    'net.Server': {
      make: (options) => (net.Server as unknown as Make)(options),
    },
    'a subclass of net.Server': { make: (options) => new NetServer(options) },
    'an old-style subclass of net.Server': {
      make: (options) =>
        new (OldServer as unknown as new (options: Options) => net.Server)(options),
    },
    'http.createServer': { make: (options) => http.createServer(options) },
    'new http.Server': { make: (options) => new http.Server(options) },
    'a subclass of http.Server': { make: (options) => new HttpServer(options) },
    'https.createServer': { make: (options) => https.createServer(options) },
    'tls.createServer': { make: (options) => tls.createServer(options) },
    'http2.createServer': { make: (options) => http2.createServer(options) },
    'http2.createSecureServer': { make: (options) => http2.createSecureServer(options) },
  };
  if (process.env['WAYS'] === 'net') return theirs;
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const afunix = (require('afunix') as typeof import('afunix')).default;
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const { serve } = require('afunix/http') as typeof import('afunix/http');
  class OurServer extends afunix.Server {}
  const by = (server: net.Server, options: Options): void => void serve(server, options);
  // Without register nobody sees what those of Node's own were made with.
  const known = byRegister ? {} : ({ madeCounts: false } as const);
  return {
    ...(byRegister ? theirs : {}),
    'afunix.createServer': { make: (options) => afunix.createServer(options) },
    'new afunix.Server': { make: (options) => new afunix.Server(options) },
    'a subclass of afunix.Server': { make: (options) => new OurServer(options) },
    'serve() of http.createServer': { make: (o) => http.createServer(o), listen: by, ...known },
    'serve() of http2.createServer': { make: (o) => http2.createServer(o), listen: by, ...known },
    'serve() of https.createServer': { make: (o) => https.createServer(o), listen: by, ...known },
  };
}

const codeOf = (error: unknown): string => `error ${String((error as { code?: unknown }).code)}`;

async function tryServer(
  make: Make,
  begin: typeof listen,
  given: string,
  where: string,
  option: Option,
): Promise<string> {
  const at =
    where === 'an abstract name'
      ? `\0afunix-ways-${process.pid}-${(places += 1)}`
      : fresh(option.unsafe ? 0o777 : 0o755);
  if (option.leftBehind === true && where.startsWith('a path')) linkSync(leftBehind, at);
  const to: Options = where === 'a port' ? { port: 0 } : { path: at };
  if (where === 'a path, exclusively') to['exclusive'] = true;
  if (where === 'an abstract name') to['abstractLength'] = 'exact';
  let server: net.Server | undefined;
  try {
    server = make(given === 'when made' ? option.options : {});
    const failed = once(server, 'error').then(([error]) => Promise.reject(error as Error));
    const listens = once(server, 'listening');
    // One of the two stays undecided.
    listens.catch(() => undefined);
    failed.catch(() => undefined);
    begin(server, given === 'when made' ? to : { ...to, ...option.options });
    await Promise.race([listens, failed]);
  } catch (error) {
    const became = codeOf(error);
    return option.error !== undefined && became === `error ${option.error}` ? 'followed' : became;
  }
  try {
    if (option.error !== undefined) return 'neither: listens';
    const late = new Promise<string>((resolve) => setTimeout(resolve, 5_000, 'nothing').unref());
    server.on('clientError', (_, socket: net.Socket) => socket.destroy());
    const seen = await Promise.race([option.look?.(server, at), late]);
    return seen === undefined ? 'followed' : `neither: ${seen}`;
  } finally {
    server.on('connection', (socket: net.Socket) => socket.destroy());
    server.close();
  }
}

async function servers(): Promise<void> {
  const wheres = ['a path', 'an abstract name', 'a port'];
  if (cluster.isWorker) wheres.push('a path, exclusively');
  for (const [way, { make, listen: begin = listen, madeCounts = true }] of Object.entries(
    serverWays(),
  )) {
    for (const given of madeCounts ? ['when made', 'when it listens'] : ['when it listens']) {
      for (const where of wheres) {
        for (const [name, option] of Object.entries(serverOptions(where === 'an abstract name'))) {
          const became = await tryServer(make, begin, given, where, option);
          tell({ side: 'server', way, where, given, option: name, became });
        }
      }
    }
  }
}

type Client = (to: Options, options: Options) => EventEmitter;

class NetSocket extends net.Socket {}

function clientWays(): Record<string, Client> {
  const socketWays = (
    module: typeof net,
    Sub: new (options?: Options) => net.Socket,
    name: string,
  ): Record<string, Client> => ({
    [`${name}.connect`]: (to, options) => module.connect({ ...to, ...options } as never),
    [`new ${name}.Socket(options)`]: (to, options) =>
      new module.Socket(options).connect(to as never),
    [`socket.connect(options) of ${name}`]: (to, options) =>
      new module.Socket().connect({ ...to, ...options } as never),
    [`a subclass of ${name}.Socket`]: (to, options) =>
      new Sub().connect({ ...to, ...options } as never),
    [`a subclass of ${name}.Socket, when made`]: (to, options) =>
      new Sub(options).connect(to as never),
  });
  const requestTo = ({ path: socketPath, ...to }: Options): Options => ({ ...to, socketPath });
  const theirs: Record<string, Client> = {
    ...socketWays(net, NetSocket, 'net'),
    'http.request': (to, options) => http.request({ ...requestTo(to), ...options }).end(),
    'http.request without a pool': (to, options) =>
      http.request({ ...requestTo(to), ...options, agent: false }).end(),
    'http.Agent': (to, options) =>
      http.request({ ...requestTo(to), agent: new http.Agent(options) }).end(),
    'https.request': (to, options) => https.request({ ...requestTo(to), ...options }).end(),
    'tls.connect': (to, options) => tls.connect({ ...to, ...options }),
    'tls.connect, inherited': (to, options) =>
      tls.connect(Object.assign(Object.create(options) as Options, to)),
    'tls.connect with a socket': (_, options) =>
      tls.connect({ socket: new net.Socket(), ...options }),
    'net.Socket of a descriptor': (_, options) => new net.Socket({ fd: 2, ...options }),
    'http2.connect': (to, options) =>
      http2.connect('http://localhost', { ...to, ...options } as never),
    'http2.connect, secure': (to, options) =>
      http2.connect('https://localhost', { ...to, ...options } as never),
  };
  if (process.env['WAYS'] === 'net') return theirs;
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const afunix = (require('afunix') as typeof import('afunix')).default;
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const { Agent, connector } = require('afunix/http') as typeof import('afunix/http');
  class OurSocket extends afunix.Socket {}
  return {
    ...(byRegister ? theirs : {}),
    ...socketWays(afunix as unknown as typeof net, OurSocket, 'afunix'),
    'afunix/http Agent, of a request': (to, options) =>
      http.request({ ...requestTo(to), ...options, agent: new Agent() }).end(),
    'afunix/http Agent': (to, options) =>
      http.request({ ...requestTo(to), agent: new Agent(options) }).end(),
    'afunix/http connector': (to, options) => {
      const client = new EventEmitter();
      const request = { protocol: 'http:', hostname: 'localhost', port: '' };
      connector({ ...to, ...options } as never)(request, (error, socket) => {
        if (error === null) socket.write('GET / HTTP/1.1\r\n\r\n');
        else client.emit('error', error);
      });
      return client;
    },
    'tls over afunix': (to, options) =>
      tls.connect({ socket: afunix.connect({ ...to, ...options } as never) }),
    'http2 over afunix': (to, options) =>
      http2.connect('http://localhost', {
        createConnection: () => afunix.connect({ ...to, ...options } as never),
      }),
  };
}

const clientOptions: Record<string, Options> = {
  authorize: { authorize: () => false },
  authorizeTimeout: { authorize: never, authorizeTimeout: 5 },
};

async function tryClient(
  way: Client,
  to: Options,
  options: Options,
  server: net.Server,
): Promise<string> {
  const sockets: net.Socket[] = [];
  const got = new Promise<string>((resolve) => {
    const accept = (socket: net.Socket): void => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      socket.once('data', (bytes) =>
        resolve(`neither: it sent ${JSON.stringify(bytes.toString('latin1', 0, 20))}`),
      );
    };
    server.removeAllListeners('connection').on('connection', accept);
  });
  try {
    const client = way(to, options);
    const failed = new Promise<string>((resolve) => {
      client.on('error', (error) => resolve(codeOf(error)));
      if (client instanceof net.Socket) client.write('a secret');
    });
    const connected = once(client, 'connect').then(() => 'neither: connected');
    connected.catch(() => undefined);
    const late = new Promise<string>((resolve) =>
      setTimeout(resolve, 5_000, 'neither: nothing').unref(),
    );
    const became = await Promise.race([failed, got, connected, late]);
    if ('destroy' in client) (client as net.Socket).destroy();
    return became === 'error ERR_AFUNIX_REFUSED' ? 'followed' : became;
  } catch (error) {
    return codeOf(error);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

async function clients(): Promise<void> {
  const at = fresh();
  const onPath = net.createServer().listen(at);
  const onPort = net.createServer().listen(0, '127.0.0.1');
  await Promise.all([once(onPath, 'listening'), once(onPort, 'listening')]);
  const { port } = onPort.address() as net.AddressInfo;
  const wheres: [string, Options, net.Server][] = [
    ['a path', { path: at }, onPath],
    ['a port', { port, host: '127.0.0.1' }, onPort],
  ];
  for (const [way, make] of Object.entries(clientWays())) {
    for (const [where, to, server] of wheres) {
      for (const [name, options] of Object.entries(clientOptions)) {
        const became = await tryClient(make, to, options, server);
        tell({ side: 'client', way, where, given: '', option: name, became });
      }
    }
  }
  onPath.close();
  onPort.close();
}

async function main(): Promise<void> {
  // As a library does that wants to see what sockets do.
  if (process.env['REPLACED'] !== undefined) {
    const { end } = net.Socket.prototype;
    net.Socket.prototype.end = function (this: net.Socket, ...args: unknown[]) {
      return Reflect.apply(end as (...args: unknown[]) => net.Socket, this, args);
    };
  }
  await leaveBehind();
  await servers();
  if (!cluster.isWorker) await clients();
  stranger.stdin.end();
  // Pools and time-outs of http have timers of their own.
  process.exit();
}

if (process.env['IN_A_WORKER'] !== undefined && cluster.isPrimary) {
  stranger.stdin.end();
  cluster.fork();
} else {
  createInterface(process.stdin).close();
  void main();
}
