/**
 * What Node's documentation shows, as programs of our own: each is run in processes of its own, first over `node:net`, then over afunix by
 * import and by `afunix/register`, and has to say the same, end the same, and print nothing else.
 *
 *   documented('net.Server: a server says goodbye', async ({ net, path, say }) => { ... });
 *
 * A test file is both: run by `node:test` it starts the programs, and in the processes that it starts it is the program. A program can fork
 * itself, start workers of itself and be a cluster, as the documentation does.
 *
 * What is said belongs to a lane, the first argument: the order within a lane is compared, and the order between lanes is the kernel's.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import tls from 'node:tls';
import { isMainThread, threadId } from 'node:worker_threads';
import { inspect } from 'node:util';
import { type Certificate, certificate } from '../integration/certificate';
import { folder } from '../integration/support';

type Net = typeof import('node:net');
type Way = 'net' | 'import' | 'register';

export interface Stage {
  readonly net: Net;
  /** A path in the program's own folder; the same one for the same name, also in its workers and children. */
  path(name?: string): string;
  say(lane: string, ...values: unknown[]): void;
  /** Resolves when something has called `done()`. */
  readonly done: () => void;
  readonly finished: Promise<void>;
  /** `server.listen(path)` of an `http.Server` or another one that is not `net.createServer()`'s. */
  listen<Server extends import('node:net').Server>(
    server: Server,
    path: string,
    callback?: () => void,
  ): Server;
  agent(options?: http.AgentOptions): http.Agent;
  request(
    options: http.RequestOptions,
    callback?: (answer: http.IncomingMessage) => void,
  ): http.ClientRequest;
  connectTls(
    options: tls.ConnectionOptions & { path: string },
    callback?: () => void,
  ): tls.TLSSocket;
  readonly certificate: Certificate;
}

interface Run {
  readonly name: string;
  readonly way: Way;
  readonly folder: string;
  readonly certificate?: Certificate;
}

const RUN = 'AFUNIX_DOCUMENTED';
const load = createRequire(__filename);

export interface Options {
  readonly certificate?: boolean;
  /** By register it runs over sockets of net's. */
  readonly leftToNet?: boolean;
}

/** Declares the program, or is it. Has to be called while the test file is loaded. */
export function documented(
  name: string,
  program: (stage: Stage) => unknown,
  options: Options = {},
): void {
  const asked = process.env[RUN];
  if (asked === undefined) {
    test(name, { timeout: 120_000 }, async (t) => {
      const above = folder(t);
      const made = options.certificate === true ? { certificate: certificate(t) } : {};
      const tell = async (way: Way): Promise<Told> => {
        const place = path.join(above, way);
        mkdirSync(place);
        return perform({ name, way, folder: place, ...made });
      };
      const expected = await tell('net');
      assert.equal(expected.code, 0, inspect(expected));
      assert.notDeepEqual(expected.lanes, {}, 'the program says something');
      for (const way of ['import', 'register'] as const) {
        const { connections, ...told } = await tell(way);
        assert.deepEqual({ ...told, connections: 0 }, expected, `by ${way}`);
        const meant = way === 'import' || options.leftToNet !== true;
        assert.equal(connections > 0, meant, `by ${way} there were ${connections} sockets of ours`);
      }
    });
    return;
  }
  const run = JSON.parse(asked) as Run;
  if (run.name === name) void program(stageFor(run));
}

interface Told {
  readonly code: number | null;
  readonly stderr: string;
  /** What was said in each lane. */
  readonly lanes: Readonly<Record<string, readonly string[]>>;
  /** Of ours, made and accepted, in all processes. */
  readonly connections: number;
}

function testFile(): string {
  const file = process.argv[1];
  assert.ok(file !== undefined);
  return file;
}

async function perform(run: Run): Promise<Told> {
  const before = run.way === 'register' ? ['--require', load.resolve('afunix/register')] : [];
  const environment = { ...process.env };
  // The runner's.
  delete environment['NODE_TEST_CONTEXT'];
  const child = spawn(process.execPath, [...before, testFile()], {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: run.folder,
    env: { ...environment, [RUN]: JSON.stringify(run), NODE_NO_WARNINGS: '1' },
  });
  const limit = setTimeout(() => child.kill('SIGKILL'), 30_000);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  clearTimeout(limit);
  const lanes: Record<string, string[]> = {};
  for (const line of stdout.split('\n')) {
    if (line === '') continue;
    const [lane = '', ...values] = line.replaceAll(run.folder, '<folder>').split('\t');
    (lanes[lane] ??= []).push(values.join(' '));
  }
  let connections = 0;
  for (const file of readdirSync(run.folder)) {
    if (!file.startsWith('connections-')) continue;
    connections += Number(readFileSync(path.join(run.folder, file), 'utf8'));
  }
  return { code, stderr: stderr.replaceAll(run.folder, '<folder>'), lanes, connections };
}

function stageFor(run: Run): Stage {
  const byImport = run.way === 'import';
  if (run.way !== 'net') countConnections(run);
  const net = load(byImport ? 'afunix' : 'node:net') as Net;
  const ours = byImport ? (load('afunix/http') as typeof import('afunix/http')) : null;
  // As http.globalAgent is.
  const shared =
    ours === null
      ? undefined
      : new ours.Agent({ keepAlive: true, scheduling: 'lifo', timeout: 5000 });
  let done: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => (done = resolve));
  const made = run.certificate;
  return {
    net,
    path: (name = 's') => path.join(run.folder, name),
    say: (lane, ...values) => {
      const words = values.map((value) =>
        typeof value === 'string' ? JSON.stringify(value) : inspect(value, { depth: 4 }),
      );
      writeSync(1, `${[lane, ...words].join('\t').replaceAll('\n', ' ')}\n`);
    },
    done,
    finished,
    listen: (server, to, callback) => {
      if (ours === null) return server.listen(to, callback);
      // As docs/http.md says: what carries TLS ends when the TLS does, at either end.
      ours.serve(server, { path: to, allowHalfOpen: server instanceof tls.Server }, callback);
      return server;
    },
    agent: (options) => (ours === null ? new http.Agent(options) : new ours.Agent(options)),
    request: (options, callback) => {
      const agent = options.agent ?? shared;
      return http.request({ ...options, ...(agent === undefined ? {} : { agent }) }, callback);
    },
    connectTls: ({ path: to, ...options }, callback) => {
      const where = byImport
        ? { socket: net.connect({ path: to, allowHalfOpen: true }) }
        : { path: to };
      return tls.connect({ ...options, ...where }, callback);
    },
    get certificate() {
      assert.ok(made !== undefined, 'the program asks for no certificate');
      return made;
    },
  };
}

/** For whoever compares: how many sockets of ours this process, or thread, has had. */
function countConnections(run: Run): void {
  const { stats } = load('afunix') as typeof import('afunix');
  process.on('exit', () => {
    const { accepted, connected } = stats();
    const name = `connections-${process.pid}-${isMainThread ? 'main' : threadId}`;
    writeFileSync(path.join(run.folder, name), String(accepted + connected));
  });
}
