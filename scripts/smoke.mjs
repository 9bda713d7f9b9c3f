// Whether the installed afunix works on this machine: its addon loads, and carries an echo.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import net, { stats } from 'afunix';

const addon = /\S+\/afunix[^/\s]*\.node$/m.exec(fs.readFileSync('/proc/self/maps', 'utf8'))?.[0];
assert.ok(addon, 'the addon is not loaded');
assert.notEqual(stats().engine, 'net');

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'afunix-'));
const server = net.createServer((socket) => socket.pipe(socket)).listen(path.join(folder, 's'));
try {
  await once(server, 'listening');
  const client = net.connect(path.join(folder, 's'));
  client.setEncoding('utf8').end('carried');
  let answer = '';
  for await (const chunk of client) answer += chunk;
  assert.equal(answer, 'carried');
} finally {
  server.close();
  fs.rmSync(folder, { recursive: true, force: true });
}
console.log(JSON.stringify({ addon, engine: stats().engine, node: process.version }));
