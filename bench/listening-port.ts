import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import * as net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_EVERY_MS = 10;
const PATIENCE_MS = 5_000;
const LISTENING = '0A';

/** A port of 127.0.0.1 that nobody has, for a program that cannot choose one itself. */
export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Waits until somebody listens; without connecting, which the program would take for a client. */
export async function untilListening(
  port: number,
  exited: () => string | undefined,
): Promise<void> {
  const address = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (let waited = 0; waited < PATIENCE_MS; waited += LOOK_EVERY_MS) {
    const lines = readFileSync('/proc/net/tcp', 'latin1').split('\n');
    const fields = lines.map((line) => line.trim().split(/\s+/));
    if (fields.some((field) => field[1] === address && field[3] === LISTENING)) return;
    const end = exited();
    if (end !== undefined) throw new Error(end);
    await sleep(LOOK_EVERY_MS);
  }
  throw new Error(`nobody listens on port ${port} after ${PATIENCE_MS / 1e3} s`);
}
