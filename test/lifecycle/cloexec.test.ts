/** No descriptor of the library's is seen by a program that this process starts. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import type { Server, Socket } from 'node:net';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import * as afunix from 'afunix';
import { afunixSpecifier } from '../helpers/lone-process';
import { freshDirectory } from '../helpers/socket-paths';
import { happens, receives } from '../helpers/sockets';

const folder = '/proc/self/fd';
const O_CLOEXEC = 0o2000000;

function open(): Set<string> {
  return new Set(readdirSync(folder));
}

/** Whether an exec closes it; undefined if it is gone already. */
function closesOnExec(descriptor: string): boolean | undefined {
  try {
    const text = readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1');
    return (parseInt(/^flags:\s*(\d+)$/m.exec(text)?.[1] ?? '0', 8) & O_CLOEXEC) !== 0;
  } catch {
    return undefined;
  }
}

const listing = ['-c', 'exec ls -l /proc/self/fd'];

/** What a program that listed its descriptors has beyond its standard streams and the folder itself. */
function beyondStandard(listed: string): string[] {
  const lines = listed.split('\n').map((line) => / (\d+ -> .*)$/.exec(line)?.[1] ?? '');
  return lines.filter((line) => line !== '' && !/^[012] -> |-> \/proc\/\d+\/fd$/.test(line));
}

/** What a program that is started now gets from us, with `more` pipes on purpose. */
function inherited(...more: 'pipe'[]): string[] {
  const { stdout } = spawnSync('sh', listing, { stdio: ['ignore', 'pipe', 'pipe', ...more] });
  assert.match(String(stdout), / 1 -> /);
  return beyondStandard(String(stdout));
}

/** Whoever started this process may have left it something that it passes on. */
const passedOn = inherited();

async function everyKind(directory: string): Promise<(Server | Socket)[]> {
  const kinds: (Server | Socket)[] = [];
  const names = [`${directory}/pathname`, `\0${directory}/abstract`];
  for (const name of names) {
    const server = afunix.createServer((peer) => {
      kinds.push(peer);
      peer.write('x');
    });
    kinds.push(server);
    server.listen(name);
    const client = afunix.connect(name);
    kinds.push(client);
    await receives(client, 1);
  }
  kinds.push(...afunix.socketpair());
  // It retries with a timer, and has a descriptor all that time.
  const narrow = afunix.createServer().listen(`${directory}/narrow`, 1);
  kinds.push(narrow);
  for (let count = 0; count < 4; count += 1) {
    kinds.push(afunix.connect(`${directory}/narrow`).on('error', () => undefined));
  }
  return kinds;
}

test('each descriptor of the library is closed on exec', async (t) => {
  const before = open();
  const kinds = await everyKind(freshDirectory(t));
  const ours = [...open()].filter((descriptor) => !before.has(descriptor));
  const flags = ours.map(closesOnExec).filter((flag) => flag !== undefined);
  const seen = inherited();
  const control = inherited('pipe');
  for (const one of kinds) {
    if ('destroy' in one) one.destroy();
    else one.close();
  }
  // The engine's three, four listeners' and connections' eight, at least.
  assert.ok(flags.length > 15, `${flags.length} descriptors`);
  assert.deepEqual(
    flags,
    flags.map(() => true),
  );
  assert.deepEqual(seen, passedOn);
  assert.equal(control.length, passedOn.length + 1, 'what is inherited would show');
});

test('none slips into a program started while a worker connects and accepts', async (t) => {
  const address = `${freshDirectory(t)}/s`;
  const churn = `
    const { parentPort, workerData } = require('node:worker_threads');
    const net = require(workerData.specifier);
    const server = net.createServer((peer) => peer.end('x')).listen(workerData.address);
    let closed = 0;
    const connect = () =>
      net.connect(workerData.address).resume().on('close', () => {
        closed += 1;
        if (closed === 100) parentPort.postMessage('churning');
        connect();
      });
    for (let count = 0; count < 20; count += 1) connect();
    parentPort.on('message', () => parentPort.postMessage(closed));
  `;
  const workerData = { specifier: afunixSpecifier, address };
  const worker = new Worker(churn, { eval: true, workerData });
  t.after(() => worker.terminate());
  await happens(worker, 'message');
  const spawns = 100;
  const seen: string[] = [];
  const listOnce = async (): Promise<void> => {
    const child = spawn('sh', listing, { stdio: ['ignore', 'pipe', 'ignore'] });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    assert.deepEqual(await happens(child, 'close'), [0, null]);
    assert.match(text, / 1 -> /);
    seen.push(...beyondStandard(text).filter((line) => !passedOn.includes(line)));
  };
  for (let count = 0; count < spawns; count += 2) await Promise.all([listOnce(), listOnce()]);
  worker.postMessage('how many?');
  const [closed] = (await happens(worker, 'message')) as [number];
  assert.ok(closed > 1000, `only ${closed} connections meanwhile`);
  assert.deepEqual(seen, []);
});
