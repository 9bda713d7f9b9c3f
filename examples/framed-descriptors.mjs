// A framing in which descriptors belong to frames, as in Wayland and D-Bus: a stream merges and splits what is written, so that a chunk
// says little about which frame its descriptors came with. `info.end` does: they were sent with the byte in front of it.
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { socketpair } from 'afunix';

const HEADER = 4;

/** A frame is its length and its text; descriptors leave with it. */
function sendFrame(socket, text, descriptors = []) {
  const frame = Buffer.alloc(HEADER + Buffer.byteLength(text));
  frame.writeUInt32LE(frame.length);
  frame.write(text, HEADER);
  if (descriptors.length === 0) socket.write(frame);
  else socket.sendDescriptors(descriptors, frame);
}

/** Calls `onFrame(text, descriptors)` for each. */
function receiveFrames(socket, onFrame) {
  let bytes = Buffer.alloc(0);
  let position = 0; // Where `bytes` begins in the stream.
  const came = []; // With where in the stream they belong.
  socket.on('descriptors', (descriptors, { end }) => {
    for (const descriptor of descriptors) came.push({ descriptor, end });
  });
  socket.on('data', (chunk) => {
    bytes = Buffer.concat([bytes, chunk]);
    while (bytes.length >= HEADER && bytes.length >= bytes.readUInt32LE(0)) {
      const frame = bytes.subarray(0, bytes.readUInt32LE(0));
      bytes = bytes.subarray(frame.length);
      position += frame.length;
      const next = came.findIndex(({ end }) => end > position);
      const mine = came.splice(0, next < 0 ? came.length : next);
      onFrame(
        frame.toString('utf8', HEADER),
        mine.map(({ descriptor }) => descriptor),
      );
    }
  });
}

const folder = mkdtempSync(path.join(tmpdir(), 'afunix-'));
function open(name) {
  const file = path.join(folder, name);
  writeFileSync(file, `the file ${name}`);
  return openSync(file, 'r');
}

const [one, other] = socketpair({ maxDescriptors: 8, maxOpenDescriptors: 100 });
receiveFrames(other, (text, descriptors) => {
  const files = descriptors.map((descriptor) => readFileSync(descriptor.fd, 'utf8'));
  for (const descriptor of descriptors) descriptor.close();
  console.log([text, ...files].join(': '));
});
other.on('close', () => rmSync(folder, { recursive: true }));

const files = ['a', 'b', 'c'].map(open);
sendFrame(one, 'nothing with this');
sendFrame(one, 'one with this', files.slice(0, 1));
sendFrame(one, 'and nothing');
sendFrame(one, 'two with this', files.slice(1));
files.forEach((fd) => closeSync(fd));
// The reader may be late: they wait for their bytes.
other.pause();
setTimeout(() => other.resume(), 10);
one.end();
