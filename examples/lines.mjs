// A text of 3 MB, sent line by line by 10 clients at once, echoed line by line, and compared.
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import net from 'afunix';

const clients = 10;
const path = join(tmpdir(), `afunix-lines-${process.pid}.sock`);

/** The same lines in every run: words in an order that a small generator gives. */
function* linesOf(size, seed) {
  const words = 'wind sea ship sail harbour captain whale storm compass bürger λόγος 船 ☂'.split(
    ' ',
  );
  let state = seed;
  const random = (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  for (let bytes = 0, number = 1; bytes < size; number += 1) {
    const text = Array.from({ length: random(16) }, () => words[random(words.length)]);
    const line = `${number} ${text.join(' ')}`;
    bytes += Buffer.byteLength(line) + 1;
    yield line;
  }
}

/** Calls `each` for every line that arrives; stops reading while what is written does not get away. */
async function readLines(socket, each) {
  socket.setEncoding('utf8');
  let rest = '';
  // A plain `for await (… of socket)` destroys the socket at the end of its input, in some versions of Node even
  // while what was written has not left yet.
  for await (const text of socket.iterator({ destroyOnReturn: false })) {
    const pieces = (rest + text).split('\n');
    rest = pieces.pop();
    for (const line of pieces) {
      if (each(line) === false) await once(socket, 'drain');
    }
  }
  if (rest !== '') throw new Error(`half a line at the end: ${rest}`);
}

const server = net.createServer({ allowHalfOpen: true }, async (socket) => {
  try {
    await readLines(socket, (line) => socket.write(`${line}\n`));
    socket.end();
  } catch (error) {
    socket.destroy(error);
  }
});

const lines = [...linesOf(3 * 1024 * 1024, 42)];

async function client() {
  const socket = net.connect(path);
  const sending = (async () => {
    for (const line of lines) {
      if (!socket.write(`${line}\n`)) await once(socket, 'drain');
    }
    socket.end();
  })();
  let next = 0;
  await readLines(socket, (line) => {
    if (line !== lines[next]) throw new Error(`line ${next + 1} came back as: ${line}`);
    next += 1;
  });
  await sending;
  if (next !== lines.length) throw new Error(`${next} lines of ${lines.length} came back`);
  return next;
}

server.listen(path);
await once(server, 'listening');
const counts = await Promise.all(Array.from({ length: clients }, client));
server.close();
console.log(`${clients} clients, ${counts[0]} lines each: all came back as they were sent`);
