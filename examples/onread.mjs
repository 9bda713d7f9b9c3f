// Reading into one reused buffer: the kernel writes straight into it, and no Buffer is made per read.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import net from 'afunix';

const path = join(tmpdir(), `afunix-onread-${process.pid}.sock`);
const piece = randomBytes(1024 * 1024);
const pieces = 64;
const sent = createHash('sha256');

const server = net.createServer((socket) => {
  const source = Readable.from(
    (function* () {
      for (let i = 0; i < pieces; i += 1) {
        sent.update(piece);
        yield piece;
      }
    })(),
  );
  pipeline(source, socket).catch((error) => console.error(error));
});
server.listen(path);
await once(server, 'listening');

const buffer = Buffer.alloc(64 * 1024);
const received = createHash('sha256');
let bytes = 0;

const client = net.connect({
  path,
  onread: {
    buffer,
    callback(length, filled) {
      // What lies in `filled` is overwritten by the next read: use it now, or copy it.
      received.update(filled.subarray(0, length));
      bytes += length;
      return true; // false would pause
    },
  },
});
await once(client, 'close');
server.close();

const equal = sent.digest('hex') === received.digest('hex');
console.log(`${bytes / 1024 / 1024} MiB through a buffer of ${buffer.length / 1024} KiB`);
console.log(equal ? 'what arrived is what was sent' : 'what arrived is NOT what was sent');
process.exitCode = equal ? 0 : 1;
