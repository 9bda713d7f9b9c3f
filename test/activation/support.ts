/** A service manager: systemd-socket-activate and the notify socket, played faithfully by Python. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';

const load = createRequire(__filename);

export interface SocketSpec {
  readonly kind: 'stream' | 'seqpacket' | 'dgram' | 'tcp' | 'file';
  readonly path: string;
  /** Default true; of stream and SEQPACKET sockets. */
  readonly listen?: boolean;
  readonly name?: string;
}

/**
 * Opens the sockets, waits for the first connection if it is told to, and becomes the program with them at 3 and up, as systemd-socket-activate
 * does: LISTEN_PID is its own pid, which exec keeps.
 */
const activate = `
import json, os, select, socket, sys
spec = json.loads(sys.argv[1])
kinds = {'stream': socket.SOCK_STREAM, 'seqpacket': socket.SOCK_SEQPACKET, 'dgram': socket.SOCK_DGRAM}
opened = []
for one in spec['sockets']:
    if one['kind'] == 'file':
        opened.append(os.open(one['path'], os.O_RDONLY)); continue
    if one['kind'] == 'tcp':
        s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(5)
    else:
        s = socket.socket(socket.AF_UNIX, kinds[one['kind']])
        s.bind(one['path'].replace('@', '\\0', 1) if one['path'].startswith('@') else one['path'])
        if one.get('listen', True) and one['kind'] != 'dgram': s.listen(5)
    opened.append(s.detach())
if spec.get('wait'):
    print('waiting', flush=True)
    select.select(opened, [], [])
# Out of the way of the numbers that they get.
high = [os.dup2(fd, 100 + i) for i, fd in enumerate(opened)]
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i, inheritable=True)
os.closerange(3 + len(high), 256)
env = dict(os.environ, LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(high)))
names = [one.get('name') for one in spec['sockets']]
if any(names): env['LISTEN_FDNAMES'] = ':'.join(name or 'unknown' for name in names)
env.update(spec.get('env', {}))
for key in [key for key, value in env.items() if value is None]: del env[key]
if spec.get('user'):
    os.setgroups([]); os.setgid(spec['user']); os.setuid(spec['user'])
os.execvpe(spec['command'][0], spec['command'], env)
`;

export interface Service {
  readonly child: ChildProcess;
  /** The next line that it says. */
  line(): Promise<string>;
  /** How it ended, with what it had still to say. */
  readonly ended: Promise<{ code: number | null; lines: readonly string[]; stderr: string }>;
}

function watch(t: TestContext, child: ChildProcess): Service {
  assert.ok(child.stdout !== null && child.stderr !== null);
  const lines: string[] = [];
  const waiting: ((line: string) => void)[] = [];
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  createInterface(child.stdout).on('line', (line) => {
    const next = waiting.shift();
    if (next === undefined) lines.push(line);
    else next(line);
  });
  const ended = new Promise<{ code: number | null; lines: readonly string[]; stderr: string }>(
    (resolve) => {
      child.once('close', (code) => {
        for (const next of waiting) next(`ended: ${stderr}`);
        resolve({ code, lines, stderr });
      });
    },
  );
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return {
    child,
    ended,
    line: () =>
      new Promise((resolve) => {
        const line = lines.shift();
        if (line === undefined) waiting.push(resolve);
        else resolve(line);
      }),
  };
}

export interface ActivationSpec {
  readonly sockets: readonly SocketSpec[];
  /** Wait for a connection before the program starts. */
  readonly wait?: boolean;
  readonly env?: Readonly<Record<string, string | null>>;
  /** The uid and gid that the program gets. */
  readonly user?: number;
}

export interface ServiceContext {
  readonly net: typeof import('afunix').default;
  readonly activation: typeof import('afunix/activation');
  readonly require: NodeJS.Require;
  say(line: unknown): void;
}

/** The program of a service: node, with a function that uses nothing of its file. */
export function programOf(body: (context: ServiceContext) => unknown): string[] {
  const source =
    `const net = require(${JSON.stringify(load.resolve('afunix'))});\n` +
    `const activation = require(${JSON.stringify(load.resolve('afunix/activation'))});\n` +
    `const say = (line) => { require('node:fs').writeSync(1, line + '\\n'); };\n` +
    `const required = require('node:module').createRequire(${JSON.stringify(path.dirname(load.resolve('afunix/package.json')) + '/x.js')});\n` +
    `(${body.toString()})({ net, activation, require: required, say });\n`;
  return [process.execPath, '--expose-gc', '-e', source];
}

/** By the stand-in, or by the real one with `command`. */
export function startService(
  t: TestContext,
  spec: ActivationSpec,
  body: (context: ServiceContext) => unknown,
): Service {
  const command = programOf(body);
  const child = spawn('python3', ['-c', activate, JSON.stringify({ ...spec, command })], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '', NODE_V8_COVERAGE: '' },
  });
  return watch(t, child);
}

export function startProgram(
  t: TestContext,
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Service {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '', NODE_V8_COVERAGE: '', ...env },
  });
  return watch(t, child);
}

/** Receives as a service manager does: the text, who sent it, and what the descriptors are that came along. */
const manager = `
import array, json, os, socket, struct, sys
name, count = sys.argv[1], int(sys.argv[2])
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
s.bind('\\0' + name[1:] if name.startswith('@') else name)
print('bound', flush=True)
if count == 0: sys.stdin.read()
for _ in range(count):
    data, ancillary, flags, _ = s.recvmsg(65536, socket.CMSG_SPACE(253 * 4) + socket.CMSG_SPACE(12))
    pid, files = None, []
    for level, kind, value in ancillary:
        if kind == socket.SCM_CREDENTIALS: pid = struct.unpack('iii', value)[0]
        if kind == socket.SCM_RIGHTS:
            fds = array.array('i'); fds.frombytes(value)
            for fd in fds: files.append(os.readlink('/proc/self/fd/%d' % fd)); os.close(fd)
    print(json.dumps({'text': data.decode(), 'pid': pid, 'files': files}), flush=True)
`;

export interface Received {
  readonly text: string;
  readonly pid: number;
  readonly files: readonly string[];
}

/** A manager that prints `count` messages and ends; with 0 one that reads none. Resolves when it is bound. */
export async function startManager(
  t: TestContext,
  address: string,
  count: number,
): Promise<Service & { received(): Promise<Received> }> {
  const child = spawn('python3', ['-c', manager, address, String(count)], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const service = watch(t, child);
  assert.equal(await service.line(), 'bound');
  return { ...service, received: async () => JSON.parse(await service.line()) as Received };
}
