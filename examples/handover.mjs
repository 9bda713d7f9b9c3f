// A deploy that loses no connection. The primary opens the listener and never accepts; each generation of the service gets the
// listener's descriptor, and the one before is told to finish once the next is ready. Meanwhile clients connect without a pause.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import net from 'afunix';
import { RawSocket } from 'afunix/raw';

const GENERATIONS = 4;
const CLIENTS = 20;
const REQUESTS = 500; // before each deploy

/** One generation: descriptor 3 is the listener. */
function serve(generation) {
  const server = net.createServer((socket) => {
    socket.once('data', (text) => socket.end(`${generation} answers ${text}`));
  });
  // The descriptor is a copy, and so are those of the others: the kernel gives each connection to one of them.
  server.listen({ fd: 3 }, () => process.send('ready'));
  process.once('message', () => {
    // Whoever was accepted, or waits, is served; whoever connects from now on is for the next generation.
    server.close(() => process.disconnect());
  });
}

async function start(generation, listener) {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), generation], {
    stdio: ['ignore', 'inherit', 'inherit', listener, 'ipc'],
  });
  await once(child, 'message');
  return child;
}

/** Connects, asks and hangs up, again and again. */
class Client {
  static answers = new Map();
  static lost = [];
  static asked = 0;
  running = true;

  constructor(path) {
    this.ended = this.run(path);
  }

  async run(path) {
    while (this.running) {
      const question = `question ${(Client.asked += 1)}`;
      try {
        const socket = net.connect(path).setEncoding('utf8');
        socket.write(question);
        let answer = '';
        for await (const text of socket) answer += text;
        const [generation, ...rest] = answer.split(' ');
        if (rest.join(' ') !== `answers ${question}`) throw new Error(`answer: '${answer}'`);
        Client.answers.set(generation, (Client.answers.get(generation) ?? 0) + 1);
      } catch (error) {
        Client.lost.push(error.message);
      }
    }
  }
}

async function deploy() {
  const directory = mkdtempSync(join(tmpdir(), 'afunix-handover-'));
  const path = join(directory, 'service.sock');
  const listener = RawSocket.socket('stream');
  listener.bind(path);
  listener.listen(511);

  let current = await start('1', listener.fd);
  const clients = Array.from({ length: CLIENTS }, () => new Client(path));
  for (let generation = 2; generation <= GENERATIONS; generation += 1) {
    const before = Client.asked;
    while (Client.asked < before + REQUESTS) await new Promise((resolve) => setTimeout(resolve, 5));
    const next = await start(String(generation), listener.fd);
    const gone = once(current, 'exit');
    current.send('finish');
    await gone;
    current = next;
  }
  for (const client of clients) client.running = false;
  await Promise.all(clients.map(({ ended }) => ended));
  current.send('finish');
  await once(current, 'exit');
  listener.close();
  rmSync(directory, { recursive: true });

  const served = [...Client.answers.values()].reduce((sum, count) => sum + count, 0);
  console.log(`${GENERATIONS - 1} deploys, generations that answered: ${Client.answers.size}`);
  console.log(`connections: ${served}, lost or refused: ${Client.lost.length}`);
  if (Client.lost.length > 0) throw new Error(Client.lost[0]);
}

if (process.argv[2] === undefined) await deploy();
else serve(process.argv[2]);
