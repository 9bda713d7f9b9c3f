/** The program that is the client of the http workload: it counts right answers, and nothing else passes for one. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { folder, moduleOf } from './bench';

const { launchHttpClient } = moduleOf('contenders/cpp.js') as {
  launchHttpClient(): { command: string[] };
};

const BODY = 'Hello over a socket.\n';
const HEAD = `HTTP/1.1 200 OK\r\ndate: now\r\nContent-Length: ${BODY.length}\r\nserver: test\r\n\r\n`;
const RIGHT = HEAD + BODY;
const REQUEST_LENGTH = 'GET / HTTP/1.1\r\nhost: bench\r\n\r\n'.length;

type Answer = (socket: Socket, request: number) => void;

let listeners = 0;

/** What the program says about a server that answers like this, asked through two connections, up to `commands`. */
async function told(answer: Answer, commands: string[], overTcp = false): Promise<string[]> {
  const server = createServer((socket) => {
    let bytes = 0;
    let requests = 0;
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      bytes += chunk.length;
      while (bytes >= REQUEST_LENGTH * (requests + 1)) answer(socket, ++requests);
    });
  });
  const socketPath = path.join(folder, `http-${++listeners}.sock`);
  if (overTcp) server.listen(0, '127.0.0.1');
  else server.listen(socketPath);
  await once(server, 'listening');
  const bound = server.address();
  const place =
    typeof bound === 'object' && bound !== null ? `${bound.address}:${bound.port}` : socketPath;
  const [file, ...args] = launchHttpClient().command;
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines: string[] = [];
  const requests = [`open client http ${BODY.length} 2 ${place}`, ...commands];
  let next = 0;
  const ask = (): void => {
    if (next < requests.length) child.stdin.write(`${next + 1} ${requests[next++]}\n`);
    else child.kill();
  };
  createInterface(child.stdout).on('line', (line) => {
    lines.push(line);
    if (line.startsWith('{"id"')) ask();
  });
  child.stdin.on('error', () => undefined);
  ask();
  await once(child, 'close');
  server.close();
  return lines;
}

const last = (lines: string[]): string => lines[lines.length - 1] ?? '';

for (const overTcp of [false, true]) {
  test(`right answers are counted, ${overTcp ? 'over TCP' : 'on a Unix socket'}`, async () => {
    let answered = 0;
    const lines = await told(
      (socket) => {
        answered++;
        socket.write(RIGHT);
      },
      ['verify', 'start', 'stop', 'closeWindow'],
      overTcp,
    );
    const { value } = JSON.parse(last(lines)) as {
      value: { sample: { operations: number; bytes: number } };
    };
    // Those of the verification are not operations.
    assert.ok(answered > 40, `${answered} answers`);
    assert.equal(value.sample.operations, answered - 40);
    assert.equal(value.sample.bytes, answered * RIGHT.length);
  });
}

test('an answer may come in pieces of any length', async () => {
  const lines = await told(
    (socket, request) => {
      const cut = (request * 7) % RIGHT.length;
      socket.write(RIGHT.slice(0, cut));
      setImmediate(() => socket.write(RIGHT.slice(cut)));
    },
    ['verify'],
  );
  assert.equal(last(lines), '{"id":2,"value":null}');
});

const wrong: [what: string, answer: string, complaint: RegExp][] = [
  ['another status', RIGHT.replace('200 OK', '500 NO'), /not a response with status 200/],
  ['another body', RIGHT.replace('over', 'Over'), /wrong body/],
  ['another length', RIGHT.replace(': 21', ': 20'), /wrong length/],
  ['no length', RIGHT.replace('Content-Length', 'Content-Lengt'), /without content-length/],
  ['a length that is no number', RIGHT.replace(': 21', ': 21x'), /wrong length/],
  ['two answers at once', RIGHT + RIGHT, /nobody asked for/],
];
for (const [what, answer, complaint] of wrong) {
  test(`${what} fails the cell`, async () => {
    const lines = await told((socket) => socket.write(answer), ['verify']);
    assert.match(last(lines), /^\{"fatal":/);
    assert.match(last(lines), complaint);
  });
}

test('a connection that the server closes fails the cell', async () => {
  const lines = await told(
    (socket, request) => {
      if (request === 3) socket.destroy();
      else socket.write(RIGHT);
    },
    ['verify'],
  );
  assert.match(last(lines), /the server closed a connection/);
});
