import { FramedConnection, type MessageConnection } from '../contenders/messages.js';
import type { JavaScriptContender } from '../contenders/contender.js';
import { checkPattern, patternAt } from '../pattern.js';
import { takeSample } from '../sample.js';
import { formatSize, slug } from '../units.js';
import { measureSteady, steadyCommands } from './steady.js';
import { endpointOf, type Role, type RoleContext, type Workload } from './workload.js';

/** Messages compared before anything is timed. */
const VERIFIED = 4_096;
/** Messages handed over at a time, by all contenders; who can sends them with one call. */
const BATCH = 64;
/** Batches after which the writer lets its event loop turn, told to wait or not. */
const BURST = 16;

function listen(
  contender: JavaScriptContender,
  path: string,
  onConnection: (connection: MessageConnection) => void,
): ReturnType<JavaScriptContender['listen']> {
  if (contender.messages) return contender.messages.listen(path, onConnection);
  return contender.listen(path, (stream) => onConnection(new FramedConnection(stream)));
}

function connect(contender: JavaScriptContender, context: RoleContext): MessageConnection {
  const endpoint = endpointOf(context);
  if (contender.messages) return contender.messages.connect(endpoint);
  return new FramedConnection(contender.connect(endpoint));
}

async function verify(connection: MessageConnection, size: number): Promise<void> {
  let drained: (() => void) | undefined;
  connection.on('drain', () => drained?.());
  for (let first = 0; first < VERIFIED; first += BATCH) {
    const batch = Array.from({ length: BATCH }, (_, i) => patternAt((first + i) * size, size));
    if (!connection.send(batch)) await new Promise<void>((resolve) => (drained = resolve));
  }
}

async function writer(context: RoleContext, size: number): Promise<Role> {
  let accepted: (connection: MessageConnection) => void;
  const whenConnected = new Promise<MessageConnection>((resolve) => (accepted = resolve));
  const endpoint = await listen(context.contender, context.socketPath, (connection) => {
    connection.on('error', context.fail);
    accepted(connection);
  });
  const batch = Array.from({ length: BATCH }, () => patternAt(0, size));
  let running = false;
  let written = 0;
  function pump(connection: MessageConnection): void {
    for (let i = 0; running && i < BURST; i++) {
      written += BATCH;
      if (!connection.send(batch)) return;
    }
    if (running) setImmediate(pump, connection);
  }
  return {
    endpoint,
    commands: steadyCommands({
      verify: async () => verify(await whenConnected, size),
      start: () =>
        void whenConnected.then((connection) => {
          running = true;
          connection.on('drain', () => pump(connection));
          pump(connection);
        }),
      sample: takeSample,
      stop: async () => {
        running = false;
        await (await whenConnected).end();
        return written;
      },
    }),
  };
}

async function reader(context: RoleContext, size: number): Promise<Role> {
  const connection = connect(context.contender, context);
  let received = 0;
  let bytes = 0;
  let verified = 0;
  let isVerified: () => void;
  let hasEnded: () => void;
  const whenVerified = new Promise<void>((resolve) => (isVerified = resolve));
  const whenEnded = new Promise<void>((resolve) => (hasEnded = resolve));
  connection.on('error', context.fail);
  const reading = {
    each: ((message) => {
      if (message.length !== size) throw new Error(`a message of ${message.length} bytes`);
      checkPattern(message, verified++ * size);
      if (verified < VERIFIED) return;
      reading.each = null;
      isVerified();
    }) as ((message: Buffer) => void) | null,
    count: (messages: number, length: number) => {
      received += messages;
      bytes += length;
    },
    end: () => hasEnded(),
  };
  await new Promise<void>((resolve) => connection.on('connect', () => resolve()));
  connection.read(reading);
  return {
    commands: steadyCommands({
      verify: () => whenVerified,
      sample: () => takeSample(received, bytes),
      stop: async (written) => {
        await whenEnded;
        if (received === written && bytes === received * size) return;
        throw new Error(`${String(written)} messages were sent, ${received} received`);
      },
    }),
  };
}

/** Messages with boundaries, in one direction: the accepted side sends. */
export function messages(size: number): Workload {
  const label = formatSize(size);
  const id = `messages-${slug(label)}`;
  return {
    id,
    description: `messages of ${label}, one way, each received as a message; on streams behind its length`,
    family: 'messages',
    point: { messageSize: size },
    rows: [
      {
        id,
        title: `messages ${label}, one way`,
        headline: { metric: 'rate', unit: 'messages/s', better: 'higher' },
        compared: true,
      },
    ],
    contenders: [
      'net-unix',
      'afunix',
      'afunix-seqpacket',
      'afunix-seqpacket-batched',
      'node-unix-socket',
      'cpp-seqpacket',
    ],
    connections: 1,
    load: { pattern: 'messages', messageSize: size },
    secondsNeeded: ({ seconds }) => seconds,
    server: (context) => writer(context, size),
    client: (context) => reader(context, size),
    measure: measureSteady,
  };
}
