/**
 * Every method of a socket in every awkward state: what it returns or throws, what follows in events
 * and callbacks, what reaches the other end, and in what state the socket is afterwards.
 */
import assert from 'node:assert/strict';
import type { Server, Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { scenario, type Stage } from './scenario';
import { discard, happens, listen, tolerate } from '../helpers/sockets';

interface Subject {
  readonly socket: Socket;
  readonly peer?: Socket;
  /** Where connect() finds a server. */
  readonly address: string;
}

interface Accepting {
  readonly server: Server;
  readonly address: string;
  readonly accepted: Promise<Socket>;
}

const watched = [
  'connect',
  'ready',
  'end',
  'finish',
  'drain',
  'timeout',
  'pause',
  'resume',
  'error',
  'close',
] as const;

/** A server whose accepted sockets stay half open, so that only the state under test ends anything. */
async function accepting(stage: Stage): Promise<Accepting> {
  const address = stage.path();
  let accept: (peer: Socket) => void = () => undefined;
  const accepted = new Promise<Socket>((resolve) => (accept = resolve));
  const server = await listen(
    stage,
    address,
    { allowHalfOpen: true, pauseOnConnect: true },
    (peer) => {
      tolerate(peer);
      accept(peer);
    },
  );
  return { server, address, accepted };
}

async function connectedWith(
  stage: Stage,
  prepare: (socket: Socket) => void,
  halfOpen = false,
): Promise<Required<Subject>> {
  const { address, accepted } = await accepting(stage);
  const socket = new stage.net.Socket({ allowHalfOpen: halfOpen });
  discard(stage, socket);
  prepare(socket);
  const connected = happens(socket, 'connect');
  socket.connect(address);
  const [peer] = await Promise.all([accepted, connected]);
  await stage.settled();
  return { socket, peer, address };
}

const nothing = (): void => undefined;

/** A socket that does not know yet that its peer has gone. */
const unnoticedReset = 'reset by the peer, not yet noticed';

const states: Record<string, (stage: Stage) => Promise<Subject>> = {
  async fresh(stage) {
    const { address } = await accepting(stage);
    const socket = new stage.net.Socket();
    discard(stage, socket);
    return { socket, address };
  },

  async connecting(stage) {
    const { address } = await accepting(stage);
    const socket = stage.net.connect(address);
    discard(stage, socket);
    return { socket, address };
  },

  connected: (stage) => connectedWith(stage, nothing),

  'paused, with data waiting': async (stage) => {
    const subject = await connectedWith(stage, (socket) => socket.pause());
    await new Promise<void>((resolve) => subject.peer.write('waiting', () => resolve()));
    await stage.settled();
    return subject;
  },

  'ended by us': async (stage) => {
    const subject = await connectedWith(stage, nothing);
    const finished = happens(subject.socket, 'finish');
    subject.socket.end();
    await finished;
    await stage.settled();
    return subject;
  },

  'ended by the peer, and half open': async (stage) => {
    const subject = await connectedWith(stage, (socket) => socket.resume(), true);
    const ended = happens(subject.socket, 'end');
    subject.peer.end();
    await ended;
    await stage.settled();
    return subject;
  },

  'ended by both, with data unread': async (stage) => {
    const subject = await connectedWith(stage, (socket) => socket.pause());
    const finished = Promise.all([
      happens(subject.socket, 'finish'),
      happens(subject.peer, 'finish'),
    ]);
    subject.peer.end('unread');
    subject.socket.end();
    await finished;
    await stage.settled();
    return subject;
  },

  'destroyed before connect': async (stage) => {
    const subject = await states['connecting']?.(stage);
    assert.ok(subject !== undefined);
    subject.socket.destroy();
    return subject;
  },

  async destroyed(stage) {
    const subject = await connectedWith(stage, nothing);
    subject.socket.destroy();
    return subject;
  },

  async closed(stage) {
    const subject = await connectedWith(stage, nothing);
    const closed = happens(subject.socket, 'close');
    subject.socket.destroy();
    await closed;
    await stage.settled();
    return subject;
  },

  [unnoticedReset]: async (stage) => {
    const subject = await connectedWith(stage, (socket) => socket.pause());
    await new Promise<void>((resolve) => subject.socket.write('never read', () => resolve()));
    const closed = happens(subject.peer, 'close');
    subject.peer.destroy();
    await closed;
    await stage.settled();
    return subject;
  },

  'refused at connect': async (stage) => {
    const { address } = await accepting(stage);
    const socket = stage.net.connect(stage.path());
    discard(stage, socket);
    socket.once('error', nothing);
    await happens(socket, 'close');
    await stage.settled();
    return { socket, address };
  },
};

type Action = (socket: Socket, stage: Stage, address: string) => unknown;

/** A callback that traces having been called, in the lane of the socket's events. */
const callback =
  (stage: Stage) =>
  (error?: Error | null): void =>
    stage.trace('socket', 'callback', error ?? 'no error');

const actions: Record<string, Action> = {
  'write(text)': (socket) => socket.write('text'),
  'write(text, callback)': (socket, stage) => socket.write('text', callback(stage)),
  'write(buffer)': (socket) => socket.write(Buffer.from('bytes')),
  'write(hex)': (socket) => socket.write('6865', 'hex'),
  'write(null)': (socket) =>
    Reflect.apply(socket.write as (value: unknown) => boolean, socket, [null]),
  'write(1337)': (socket) =>
    Reflect.apply(socket.write as (value: unknown) => boolean, socket, [1337]),
  'write(empty)': (socket, stage) => socket.write('', callback(stage)),
  'two writes and end()': (socket, stage) => {
    socket.write('one ', callback(stage));
    socket.write('two', callback(stage));
    return socket.end();
  },
  'corked writes': (socket, stage) => {
    socket.cork();
    socket.write('corked ', callback(stage));
    socket.write('together', callback(stage));
    return socket.uncork();
  },
  'end()': (socket) => socket.end(),
  'end(text)': (socket) => socket.end('text'),
  'end(callback)': (socket, stage) => socket.end(callback(stage)),
  'end(text, callback)': (socket, stage) => socket.end('text', callback(stage)),
  'end() twice': (socket) => socket.end().end(),
  'destroy()': (socket) => socket.destroy(),
  'destroy(error)': (socket) => socket.destroy(new Error('on purpose')),
  'destroySoon()': (socket) => socket.destroySoon(),
  'resetAndDestroy()': (socket) => socket.resetAndDestroy(),
  'pause()': (socket) => socket.pause(),
  'resume()': (socket) => socket.resume(),
  'pause() and resume()': (socket) => socket.pause().resume(),
  'resume() and pause()': (socket) => socket.resume().pause(),
  'isPaused()': (socket) => socket.isPaused(),
  'read()': (socket) => socket.read() as unknown,
  'read(0)': (socket) => socket.read(0) as unknown,
  'read(3)': (socket) => socket.read(3) as unknown,
  'unshift(bytes)': (socket) => socket.unshift(Buffer.from('back')),
  'setEncoding(utf8)': (socket) => socket.setEncoding('utf8'),
  'setDefaultEncoding(hex)': (socket) =>
    Reflect.apply(socket.setDefaultEncoding as (name: string) => unknown, socket, ['hex']),
  "on('data')": (socket, stage) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    socket.on('end', () => stage.trace('socket', 'data', text));
  },
  "on('readable')": (socket, stage) =>
    void socket.on('readable', () => stage.trace('socket', 'readable', socket.read())),
  'pipe(stream)': (socket, stage) => {
    const sink = new PassThrough();
    sink.on('data', (chunk: Buffer) => stage.trace('sink', 'data', chunk));
    sink.on('end', () => stage.trace('sink', 'end'));
    socket.pipe(sink);
  },
  'unpipe()': (socket) => socket.unpipe(),
  'for await': (socket, stage) =>
    void (async () => {
      for await (const chunk of socket) stage.trace('iteration', chunk);
    })().then(
      () => stage.trace('iteration', 'done'),
      (error: unknown) => stage.trace('iteration', error),
    ),
  asyncDispose: (socket, stage) =>
    void socket[Symbol.asyncDispose]().then(
      () => stage.trace('disposal', 'done'),
      (error: unknown) => stage.trace('disposal', error),
    ),
  'cork() and uncork()': (socket) => {
    socket.cork();
    return socket.uncork();
  },
  'setTimeout(0)': (socket) => socket.setTimeout(0),
  'setTimeout(1)': (socket) => socket.setTimeout(1),
  'setNoDelay()': (socket) => socket.setNoDelay(),
  'setKeepAlive(true)': (socket) => socket.setKeepAlive(true, 1000),
  'ref()': (socket) => socket.ref(),
  'unref()': (socket) => socket.unref(),
  'address()': (socket) => socket.address(),
  'connect(path)': (socket, _stage, address) => socket.connect(address),
  'connect(missing path)': (socket, stage) => socket.connect(stage.path()),
  'connect()': (socket) => Reflect.apply(socket.connect as () => Socket, socket, []),
  'removeAllListeners()': (socket, stage) => {
    socket.removeAllListeners();
    stage.watch(socket, 'socket', watched);
  },
};

/**
 * net happens to ask the kernel inside write(), and so happens to know of a peer's reset before
 * write() returns. Whoever asks later learns it later: what is compared there is what follows.
 */
function outcomeOf(socket: Socket, state: string, action: () => unknown): unknown[] {
  try {
    const returned = action();
    if (state === unnoticedReset && typeof returned === 'boolean')
      return ['returned', 'true or false'];
    return ['returned', returned === socket ? 'the socket' : returned];
  } catch (error) {
    return ['threw', error];
  }
}

function stateOf(socket: Socket, state: string): Record<string, unknown> {
  return {
    readyState: socket.readyState,
    connecting: socket.connecting,
    pending: socket.pending,
    destroyed: socket.destroyed,
    closed: socket.closed,
    readable: socket.readable,
    writable: socket.writable,
    readableFlowing: socket.readableFlowing,
    readableEnded: socket.readableEnded,
    readableLength: socket.readableLength,
    writableEnded: state === unnoticedReset ? 'true or false' : socket.writableEnded,
    writableFinished: socket.writableFinished,
    writableLength: socket.writableLength,
    errored: socket.errored === null ? null : socket.errored.message,
  };
}

/** Traces all that the other end was sent. */
async function traceArrivals(stage: Stage, peer: Socket): Promise<void> {
  let text = '';
  let ended = false;
  peer.on('data', (chunk: Buffer) => (text += chunk.toString()));
  peer.on('end', () => (ended = true));
  peer.resume();
  await stage.settled();
  stage.trace('peer', { text, ended, destroyed: peer.destroyed });
}

/**
 * States in which net itself cannot bear another connect(): while connecting it loses the first
 * request and holds the process for ever, between destroy() and 'close' it trips over an assertion.
 */
const cannotConnectYet = new Set(['connecting', 'destroyed before connect', 'destroyed']);

for (const [state, arrange] of Object.entries(states)) {
  for (const [name, action] of Object.entries(actions)) {
    if (name.startsWith('connect(') && cannotConnectYet.has(state)) continue;
    scenario(`${name} on a socket that is ${state}`, async (stage) => {
      const { socket, peer, address } = await arrange(stage);
      stage.watch(socket, 'socket', watched);
      stage.trace('socket', ...outcomeOf(socket, state, () => action(socket, stage, address)));
      await stage.settled();
      stage.trace('state', stateOf(socket, state));
      if (peer !== undefined) await traceArrivals(stage, peer);
      stage.trace('state', stateOf(socket, state));
      assert.ok(stage.lane('socket').length > 0);
    });
  }
}
