// An echo server and one client, in one process.
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import net from 'afunix';

const path = join(tmpdir(), `afunix-echo-${process.pid}.sock`);

const server = net.createServer((socket) => socket.pipe(socket));
server.listen(path);
await once(server, 'listening');

const client = net.connect(path);
client.setEncoding('utf8');
client.end('Hello over a Unix socket');

let answer = '';
for await (const text of client) answer += text;
console.log(answer);
server.close(); // and the socket file is gone
