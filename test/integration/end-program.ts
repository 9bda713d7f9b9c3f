/**
 * One end of a connection, for a process of its own: `end-program.js <role> <implementation> <address> [bytes]`.
 * It tells its parent what happens in messages.
 */
import type NodeNet from 'node:net';
import { createHash } from 'node:crypto';
import { bytes, readLines } from './support';

export type Role = 'lines' | 'echo' | 'send-and-compare' | 'hash' | 'hold';

export type Told =
  | { event: 'listening' }
  | { event: 'connected' }
  | { event: 'connection-closed'; hadError: boolean; error?: string }
  | { event: 'compared'; sent: string; received: string }
  | { event: 'hashed'; bytes: number; hash: string };

const [role, implementation = '', given = '', size = '0'] = process.argv.slice(2);
/** An abstract name comes with an @ for its NUL. */
const address = given.replace(/^@/, '\0');
// eslint-disable-next-line @typescript-eslint/no-require-imports
const net = require(implementation) as typeof NodeNet;

function tell(message: Told): void {
  process.send?.(message);
}

function serve(options: NodeNet.ServerOpts, onConnection: (socket: NodeNet.Socket) => void): void {
  const server = net.createServer(options, (socket) => {
    let error: string | undefined;
    socket.on('error', (why: NodeJS.ErrnoException) => (error = why.code));
    socket.on('close', (hadError) => tell({ event: 'connection-closed', hadError, error }));
    onConnection(socket);
  });
  server.listen(address, () => tell({ event: 'listening' }));
  // The parent's end is the end of the server, so that none is left behind.
  process.on('disconnect', () => process.exit());
}

function hashed(socket: NodeNet.Socket): void {
  const hash = createHash('sha256');
  let total = 0;
  socket.on('data', (chunk: Buffer) => {
    hash.update(chunk);
    total += chunk.length;
  });
  socket.on('end', () => tell({ event: 'hashed', bytes: total, hash: hash.digest('hex') }));
}

function sendAndCompare(): void {
  const data = bytes(Number(size), 7);
  const hash = createHash('sha256');
  const socket = net.connect(address, () => tell({ event: 'connected' }));
  socket.on('data', (chunk: Buffer) => hash.update(chunk));
  socket.on('close', () => {
    const sent = createHash('sha256').update(data).digest('hex');
    tell({ event: 'compared', sent, received: hash.digest('hex') });
    process.disconnect();
  });
  // Pieces of all sizes, in the two ways in which a write can go.
  let offset = 0;
  let length = 1;
  const write = (): void => {
    while (offset < data.length) {
      const piece = data.subarray(offset, offset + length);
      offset += piece.length;
      length = length > 100_000 ? 1 : length * 3;
      if (!socket.write(piece)) {
        socket.once('drain', write);
        return;
      }
    }
    socket.end();
  };
  write();
}

switch (role as Role) {
  case 'lines':
    serve({ allowHalfOpen: true }, (socket) => {
      readLines(socket, (line) => socket.write(`${line}\n`)).then(
        () => socket.end(),
        (error: unknown) => socket.destroy(error as Error),
      );
    });
    break;
  case 'echo':
    serve({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
    break;
  case 'hash':
    serve({}, hashed);
    break;
  case 'send-and-compare':
    sendAndCompare();
    break;
  case 'hold': {
    const socket = net.connect(address, () => tell({ event: 'connected' }));
    socket.pause();
    break;
  }
}
