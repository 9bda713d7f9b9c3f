// What the engine did for a conversation: 100 connections, 100 round trips on each.
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import net, { features, stats } from 'afunix';

const connections = 100;
const roundTrips = 100;
const message = Buffer.alloc(128, 'x');

const { addon, engine } = features();
console.log(addon.available ? `engine: ${engine}` : `no addon: ${addon.reason}`);

const path = join(tmpdir(), `afunix-stats-${process.pid}.sock`);
const server = net.createServer((socket) => socket.pipe(socket));
server.listen(path);
await once(server, 'listening');

async function talk() {
  const socket = net.connect(path);
  let left = roundTrips;
  let pending = message.length;
  socket.on('connect', () => socket.write(message));
  socket.on('data', (chunk) => {
    pending -= chunk.length;
    if (pending > 0) return;
    pending = message.length;
    left -= 1;
    if (left > 0) socket.write(message);
    else socket.end();
  });
  await once(socket, 'close');
}

const before = stats();
await Promise.all(Array.from({ length: connections }, talk));
const after = stats();
server.close();

// Both ends are in this process: each round trip is two writes and two reads.
const counters = Object.keys(after).filter((name) => typeof after[name] === 'number');
for (const name of counters) console.log(`${name}: ${after[name] - before[name]}`);
const each = (after.syscalls - before.syscalls) / (connections * roundTrips);
console.log(`system calls per round trip, both ends together: ${each.toFixed(2)}`);
