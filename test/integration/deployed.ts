/** The files of examples/deploy as they are, but for the places that a test can have. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startSite } from './nginx';
import { needs, start, type Program } from './server-program';
import { happens, root } from './support';

export const deployed = path.join(root, 'examples/deploy');

/** Where the socket of the service is, by all of the files. */
export const SOCKET = '/run/example/http.sock';

/** The text of a file with other places in it; each of them has to be there. */
export function fileWith(file: string, places: Readonly<Record<string, string>>): string {
  let text = readFileSync(path.join(deployed, file), 'utf8');
  for (const [given, other] of Object.entries(places)) {
    assert.ok(text.includes(given), `${file} has no '${given}'`);
    text = text.replaceAll(given, other);
  }
  return text;
}

export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await happens(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await happens(server, 'close');
  return port;
}

/** A proxy that runs with one of the files. */
export interface Front {
  readonly port: number;
  readonly program: Program;
  /** What it answers while there is no service. */
  readonly whileAway: number;
}

interface Place {
  readonly folder: string;
  /** The socket of the service. */
  readonly back: string;
  readonly port: number;
}

type StartFront = (t: TestContext, place: Place) => Promise<Program | null>;

async function nginx(t: TestContext, { folder, back, port }: Place): Promise<Program | null> {
  const places = { [SOCKET]: back, 'listen 80;': `listen 127.0.0.1:${port};` };
  return startSite(t, folder, fileWith('nginx.conf', places));
}

const MODULES = '/usr/lib/apache2/modules';

async function apache(t: TestContext, { folder, back, port }: Place): Promise<Program | null> {
  const programs = needs(t, { apache2: 'apache2-bin' });
  if (programs === null) return null;
  const [program = ''] = programs;
  const site = fileWith('apache.conf', { [SOCKET]: back, '*:80': `127.0.0.1:${port}` });
  const modules = ['mpm_event', 'authz_core', 'proxy', 'proxy_http', 'headers'];
  const configuration = path.join(folder, 'apache.conf');
  const log = path.join(folder, 'errors');
  writeFileSync(
    configuration,
    [
      `ServerRoot ${folder}`,
      `PidFile ${folder}/pid`,
      `Listen 127.0.0.1:${port}`,
      // It writes its log to a file: /dev/stderr would have to be opened, and is a socket here.
      `ErrorLog ${log}`,
      'LogLevel info',
      'ServerName localhost',
      ...modules.map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`),
      site,
    ].join('\n'),
  );
  const args = ['-DFOREGROUND', '-d', folder, '-f', configuration];
  const front = start(t, program, args, { cwd: folder });
  for (let text = ''; !text.includes('resuming normal operations'); await delay(20)) {
    assert.equal(front.child.exitCode, null, text);
    if (existsSync(log)) text = readFileSync(log, 'utf8');
  }
  return front;
}

async function haproxy(t: TestContext, { folder, back, port }: Place): Promise<Program | null> {
  const programs = needs(t, { haproxy: 'haproxy' });
  if (programs === null) return null;
  const [program = ''] = programs;
  const configuration = path.join(folder, 'haproxy.cfg');
  const places = { [SOCKET]: back, 'bind :80': `bind 127.0.0.1:${port}` };
  writeFileSync(configuration, fileWith('haproxy.cfg', places));
  const front = start(t, program, ['-db', '-f', configuration], { cwd: folder });
  // It says nothing when it listens.
  while (!(await isListening(port))) {
    assert.equal(front.child.exitCode, null);
    await delay(20);
  }
  return front;
}

async function isListening(port: number): Promise<boolean> {
  const socket = net.connect(port, '127.0.0.1');
  const connected = await happens(socket, 'connect').then(
    () => true,
    () => false,
  );
  socket.destroy();
  return connected;
}

const fronts: Readonly<Record<string, { start: StartFront; whileAway: number }>> = {
  nginx: { start: nginx, whileAway: 502 },
  Apache: { start: apache, whileAway: 503 },
  HAProxy: { start: haproxy, whileAway: 503 },
};

export const frontNames = Object.keys(fronts);

/** Null if the program is not installed; CI fails then. */
export async function startFront(
  t: TestContext,
  name: string,
  folder: string,
  back: string,
): Promise<Front | null> {
  const front = fronts[name];
  assert.ok(front !== undefined);
  const port = await freePort();
  const program = await front.start(t, { folder, back, port });
  return program && { port, program, whileAway: front.whileAway };
}
