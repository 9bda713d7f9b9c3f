// Abstract names: addresses without a file. They exist on Linux only, vanish with their server, and have no
// permissions: every process in the same network namespace can connect, and can take the name first.
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import nodeNet from 'node:net';
import net, { features } from 'afunix';

const name = `\0afunix-example-${process.pid}`;

const server = net.createServer((socket) => socket.end('hello'));
server.listen(name);
await once(server, 'listening');
console.log(`listening on @${server.address().slice(1)}`);
console.log(`a file of that name: ${existsSync(name.slice(1)) ? 'yes' : 'no'}`);

async function greeting(socket) {
  let text = '';
  for await (const chunk of socket) text += chunk;
  return text;
}

console.log(`afunix hears: ${await greeting(net.connect(name))}`);
console.log(`node:net hears: ${await greeting(nodeNet.connect(name))}`);

// Node 20 pads abstract names with NULs to the full length, newer versions and most other programs
// do not. afunix does what the running Node does, unless it is told.
console.log(`this Node's names are ${features().abstractLength}`);
server.close();
await once(server, 'close');

server.listen({ path: name, abstractLength: 'exact' });
await once(server, 'listening');
const client = net.connect({ path: name, abstractLength: 'exact' });
console.log(`by its exact name: ${await greeting(client)}`);
server.close();
