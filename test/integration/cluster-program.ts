/** A cluster of two workers on one path: `cluster-program.js <implementation> <path>`; tells whose each worker's server is, and its sockets. */
import cluster from 'node:cluster';
import nodeNet from 'node:net';

const [implementation = '', path = ''] = process.argv.slice(2);
// eslint-disable-next-line @typescript-eslint/no-require-imports
const net = require(implementation) as typeof nodeNet;
const WORKERS = 2;

if (cluster.isPrimary) {
  let listening = 0;
  for (let i = 0; i < WORKERS; i += 1) {
    const worker = cluster.fork();
    worker.on('message', (whose: unknown) => process.send?.({ whose }));
    worker.on('listening', () => {
      listening += 1;
      if (listening === WORKERS) greet();
    });
  }
} else {
  const server = net.createServer((socket) => {
    process.send?.('detach' in socket ? 'socket of ours' : "socket of net's");
    socket.end('hello');
  });
  server.listen(path, () => {
    process.send?.(Object.getPrototypeOf(server) === nodeNet.Server.prototype ? 'net' : 'own');
  });
}

/** The primary is a client as well: its own sockets are those of the implementation. */
function greet(): void {
  let text = '';
  const socket = net.connect(path);
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  socket.on('close', () => {
    process.send?.({ text });
    cluster.disconnect(() => process.disconnect());
  });
}
