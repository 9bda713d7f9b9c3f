// How much a second thread on the same path gives: every request is a connection of its own and costs the server some
// computing. Clients are in another process, and need a core, too.
import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import net from 'afunix';

const SECONDS = Number(process.env.SECONDS ?? 0.5);
const KILOBYTES = Number(process.env.KILOBYTES ?? 512);
const CLIENTS = 8;

const work = Buffer.alloc(KILOBYTES * 1024);

function serve(socket) {
  socket.once('data', () => socket.end(createHash('sha256').update(work).digest('hex')));
  socket.on('error', () => {});
}

if (process.argv[2] === 'clients') {
  let answered = 0;
  const request = () => {
    const client = net.connect(process.argv[3]).on('error', () => {});
    client.write('?');
    client.once('data', () => (answered += 1)).once('close', request);
  };
  for (let i = 0; i < CLIENTS; i += 1) request();
  setTimeout(() => {
    const before = answered;
    setTimeout(() => {
      console.log((answered - before) / SECONDS);
      process.exit();
    }, SECONDS * 1000);
  }, 200);
} else if (isMainThread) {
  const measure = async (path) => {
    const clients = fork(new URL(import.meta.url), ['clients', path], { silent: true });
    const [text] = await once(clients.stdout, 'data');
    return Number(text);
  };
  const path = join(tmpdir(), `afunix-scaling-${process.pid}.sock`);
  const server = net.createServer(serve).listen(path);
  await once(server, 'listening');
  const one = await measure(path);

  const worker = new Worker(new URL(import.meta.url), { workerData: net.transfer(server) });
  await once(worker, 'message');
  const two = await measure(path);

  console.log(`1 thread: ${Math.round(one)} requests per second`);
  console.log(`2 threads: ${Math.round(two)} requests per second, ${(two / one).toFixed(2)} times`);
  worker.postMessage('finish');
  server.close();
} else {
  const server = net.receive(workerData, {}, serve);
  parentPort.postMessage('ready');
  parentPort.once('message', () => {
    server.close();
    parentPort.close();
  });
}
