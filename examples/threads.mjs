// One path, served by two threads: the main thread listens, and hands a copy of its listener to a worker.
// The kernel gives each connection to one of them.
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import net from 'afunix';

function serve(socket) {
  socket.on('data', (chunk) => socket.write(chunk));
  socket.on('error', () => {});
}

if (isMainThread) {
  const path = join(tmpdir(), `afunix-threads-${process.pid}.sock`);
  const server = net.createServer(serve).listen(path);
  await once(server, 'listening');

  const copy = net.transfer(server);
  const worker = new Worker(new URL(import.meta.url), { workerData: copy });
  // Should the worker end before it listens, the copy is closed.
  copy.to(worker);
  await once(worker, 'message');

  // A connection can move, too: this one is accepted here, or there, and ends here.
  const clients = Array.from({ length: 50 }, () => net.connect(path));
  await Promise.all(clients.map((client) => once(client, 'connect')));
  for (const client of clients) client.write('hello');
  await Promise.all(clients.map((client) => once(client, 'data')));

  const accepted = net.stats().accepted;
  worker.postMessage('finish');
  const [there] = await once(worker, 'message');
  console.log(`connections: ${accepted + there}`);
  for (const client of clients) client.destroy();
  server.close();
} else {
  const { parentPort } = await import('node:worker_threads');
  const server = net.receive(workerData, {}, serve);
  parentPort.postMessage('ready');
  parentPort.once('message', () => {
    parentPort.postMessage(net.stats().accepted);
    server.close();
    parentPort.close();
  });
}
