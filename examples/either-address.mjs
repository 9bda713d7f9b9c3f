// One program for a neighbour on this host and for one on another: where it listens, or whom it asks, is a setting.
//
//   ADDRESS=unix:/run/example/api.sock node service.mjs
//   ADDRESS=tcp://192.0.2.7:8080 node service.mjs
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import net from 'afunix';

async function serve(address) {
  const server = net.createServer((socket) => socket.end(`hello over ${address.split(':')[0]}\n`));
  server.listen(address);
  await once(server, 'listening');
  return server;
}

async function ask(address) {
  const socket = net.connect(address);
  for await (const text of socket.setEncoding('utf8')) process.stdout.write(text);
}

const settings = process.env.ADDRESS?.split(',') ?? [
  `unix:${join(tmpdir(), `afunix-either-${process.pid}.sock`)}`,
  'tcp://127.0.0.1:0',
];
for (const address of settings) {
  const server = await serve(address);
  // What its clients are told: with the port, if the kernel chose one.
  await ask(net.formatAddress(server.address()));
  server.close();
}
