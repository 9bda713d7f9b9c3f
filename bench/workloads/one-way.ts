import { once } from 'node:events';

import type { Connection, Endpoint, JavaScriptContender } from '../contenders/contender.js';
import { checkPattern, patternAt } from '../pattern.js';
import { takeSample } from '../sample.js';
import { formatSize, slug } from '../units.js';
import { measureSteady, steadyCommands } from './steady.js';
import { endpointOf, type Role, type RoleContext, type Workload } from './workload.js';

const KIB = 1024;

/** Below this, reading into one reused buffer is not what decides. */
const ONREAD_FROM = 64 * KIB;

/** At least this many bytes, and this many messages, are compared before anything is timed. */
const VERIFIED_BYTES = 1024 * KIB;
const VERIFIED_MESSAGES = 16;

function verifiedBytes(size: number): number {
  return size * Math.max(Math.ceil(VERIFIED_BYTES / size), VERIFIED_MESSAGES);
}

/**
 * Messages after which the writer lets its event loop turn, told to wait or not: `net` completes
 * a write to TCP at once while the reader keeps up, and then never says no.
 */
const BURST = 1_024;

/** Writes until told to wait, waits for 'drain', and so on. */
export function writeSteadily(
  connection: Connection,
  size: number,
): { start(): void; stop(): Promise<number> } {
  const message = patternAt(0, size);
  let running = false;
  let written = 0;
  function pump(): void {
    for (let i = 0; running && i < BURST; i++) {
      written += size;
      if (!connection.write(message)) return;
    }
    if (running) setImmediate(pump);
  }
  connection.on('drain', pump);
  return {
    start: () => {
      running = true;
      pump();
    },
    stop: async () => {
      running = false;
      connection.end();
      if (!connection.writableFinished) await once(connection, 'finish');
      return written;
    },
  };
}

/** Writes a known sequence in messages of `size`, minding backpressure. */
async function writePattern(connection: Connection, size: number): Promise<void> {
  for (let offset = 0; offset < verifiedBytes(size); offset += size) {
    if (!connection.write(patternAt(offset, size))) await once(connection, 'drain');
  }
}

async function writer(context: RoleContext, size: number): Promise<Role> {
  let accepted: (connection: Connection) => void;
  const connection = new Promise<Connection>((resolve) => (accepted = resolve));
  const endpoint = await context.contender.listen(context.socketPath, (socket) => {
    socket.on('error', context.fail);
    accepted(socket);
  });
  const load = connection.then((socket) => writeSteadily(socket, size));
  return {
    endpoint,
    commands: steadyCommands({
      verify: async () => writePattern(await connection, size),
      start: () => void load.then(({ start }) => start()),
      sample: takeSample,
      stop: async () => (await load).stop(),
    }),
  };
}

/**
 * Connects a reader of the contender's kind, which reuses a buffer of one message if it reuses
 * any; the bytes are only lent to `consume`.
 */
function connectReader(
  contender: JavaScriptContender,
  endpoint: Endpoint,
  size: number,
  consume: (bytes: Buffer) => void,
): Connection {
  if (contender.reads === 'data') return contender.connect(endpoint).on('data', consume);
  function callback(bytesRead: number, buffer: Buffer): boolean {
    consume(bytesRead === buffer.length ? buffer : buffer.subarray(0, bytesRead));
    return true;
  }
  return contender.connect(endpoint, { onread: { buffer: Buffer.alloc(size), callback } });
}

/** Of every so many pieces that arrive under load, some bytes are compared: the rest is counted. */
const COMPARED_EVERY = 32;
const COMPARED_BYTES = 4 * KIB;

/** Compares what came at an offset of the load, one message after the other, with what was sent there. */
export function spotChecks(size: number): (bytes: Buffer, offset: number) => void {
  const message = patternAt(0, size);
  let pieces = 0;
  return (bytes, offset) => {
    if (pieces++ % COMPARED_EVERY !== 0) return;
    const position = offset % size;
    const length = Math.min(bytes.length, size - position, COMPARED_BYTES);
    if (bytes.subarray(0, length).equals(message.subarray(position, position + length))) return;
    throw new Error(`wrong bytes: those at offset ${offset} of the load are not what was sent`);
  };
}

async function reader(context: RoleContext, size: number): Promise<Role> {
  let verified: (() => void) | undefined;
  let offset = 0;
  let received = 0;
  let consume = (bytes: Buffer): void => {
    checkPattern(bytes, offset);
    offset += bytes.length;
    if (offset !== verifiedBytes(size)) return;
    const check = spotChecks(size);
    consume = (timed) => {
      check(timed, received);
      received += timed.length;
    };
    verified?.();
  };
  const whenVerified = new Promise<void>((resolve) => (verified = resolve));
  const connection = connectReader(context.contender, endpointOf(context), size, (bytes) =>
    consume(bytes),
  );
  connection.on('error', context.fail);
  await once(connection, 'connect');
  const ended = once(connection, 'end');

  return {
    commands: steadyCommands({
      verify: () => whenVerified,
      sample: () => takeSample(received / size, received),
      stop: async (written) => {
        await ended;
        if (received !== written)
          throw new Error(`${String(written)} bytes were written, ${received} received`);
      },
    }),
  };
}

/** A stream in one direction: the accepted side writes, the connecting side reads. */
export function oneWay(size: number): Workload {
  const label = formatSize(size);
  const id = `one-way-${slug(label)}`;
  return {
    id,
    description: `one-way stream of ${label} messages over one connection`,
    family: 'one-way',
    point: { messageSize: size },
    rows: [
      {
        id,
        title: `one way, ${label}`,
        headline:
          size < KIB
            ? { metric: 'rate', unit: 'messages/s', better: 'higher' }
            : { metric: 'bytesPerSecond', unit: 'bytes/s', better: 'higher' },
        compared: true,
      },
    ],
    contenders: [
      'net-tcp',
      'net-unix',
      ...(size < ONREAD_FROM ? [] : ['net-unix-onread']),
      'afunix',
      'afunix-epoll',
      ...(size < ONREAD_FROM ? [] : ['afunix-onread']),
      'bun',
      'deno',
      'go',
      'cpp-epoll',
    ],
    connections: 1,
    load: { pattern: 'one-way', messageSize: size },
    secondsNeeded: ({ seconds }) => seconds,
    server: (context) => writer(context, size),
    client: (context) => reader(context, size),
    measure: measureSteady,
  };
}
