/** What programs do with a socket. */
import { finished, Writable } from 'node:stream';
import { content, RunningHash } from './content';
import { describeValue } from './describe';
import { otherEnd, type Actor, type Performance } from './perform';
import type { Action, Form, Moment } from './program';

/** Does it and notes what came of it. */
export function act(stage: Performance, actor: Actor, action: Action): void {
  if (action.do === 'throw') {
    stage.note(actor, 'action', 'throws');
    throw new Error(`thrown by a listener of ${actor.lane}`);
  }
  let outcome: string;
  try {
    outcome = `-> ${result(actor, perform(stage, actor, action), stage)}`;
  } catch (error) {
    outcome = `throws ${describeValue(error, stage.names)}`;
  }
  stage.note(actor, 'action', `${action.do} ${outcome}`);
}

function result(actor: Actor, value: unknown, stage: Performance): string {
  if (value === actor.socket) return 'the socket';
  if (value === stage.server) return 'the server';
  return describeValue(value, stage.names);
}

function perform(stage: Performance, actor: Actor, action: Action): unknown {
  const { socket } = actor;
  switch (action.do) {
    case 'write':
      return write(stage, actor, action);
    case 'writeMany': {
      let value: unknown;
      for (let count = 0; count < action.count; count += 1) value = write(stage, actor, action);
      return value;
    }
    case 'end':
      return end(stage, actor, action);
    case 'read':
      return read(actor, action.size);
    case 'setEncoding':
      return socket.setEncoding(action.encoding);
    case 'unshift':
      return socket.unshift(Buffer.alloc(action.size, 'u'));
    case 'destroy':
      return action.error ? socket.destroy(new Error('given to destroy()')) : socket.destroy();
    case 'setTimeout': {
      if (action.milliseconds > 0) stage.loop.expect(action.milliseconds + 3);
      const onTimeout = (): void => stage.note(actor, 'event', 'time-out callback');
      return action.callback
        ? socket.setTimeout(action.milliseconds, onTimeout)
        : socket.setTimeout(action.milliseconds);
    }
    case 'onData':
      return socket.on('data', stage.dataListener(actor));
    case 'onceData':
      return socket.once('data', stage.dataListener(actor));
    case 'offData':
      return socket.off('data', stage.dataListener(actor));
    case 'onReadable':
      return socket.on('readable', readableListener(stage, actor));
    case 'offReadable':
      return socket.off('readable', readableListener(stage, actor));
    case 'iterate':
      void iterate(stage, actor, action.chunks);
      return undefined;
    case 'pipe':
      return pipe(stage, actor, action);
    case 'mark':
      at(stage, action.at, () => stage.note(actor, 'event', `mark ${action.at}`));
      return undefined;
    case 'later':
      at(stage, action.at, () => {
        for (const inner of action.actions) act(stage, actor, inner);
      });
      return undefined;
    case 'connectAgain':
      return socket.connect(stage.address);
    case 'finished':
      finished(socket, (error) =>
        stage.note(actor, 'event', `finished ${describeValue(error, stage.names)}`),
      );
      return undefined;
    case 'removeErrorListeners':
      return socket.removeAllListeners('error');
    case 'closeServer':
      return stage.server.close();
    case 'getConnections':
      return stage.server.getConnections((error, count) =>
        stage.note(actor, 'event', `connections ${String(error)} ${count}`),
      );
    case 'throw':
      return undefined;
    case 'cork':
    case 'uncork':
    case 'pause':
    case 'resume':
    case 'unpipe':
    case 'ref':
    case 'unref':
    case 'destroySoon':
    case 'resetAndDestroy':
      return socket[action.do]();
  }
}

function at(stage: Performance, moment: Moment, run: () => void): void {
  if (moment === 'tick') process.nextTick(run);
  else if (moment === 'immediate') setImmediate(() => stage.recorder.inImmediate(run));
  else void Promise.resolve().then(run);
}

function write(
  stage: Performance,
  actor: Actor,
  { size, form, callback }: { size: number; form: Form; callback: boolean },
): boolean {
  const { socket } = actor;
  const data = content(form, size, actor.written);
  stage.writes(actor, size);
  const done = (error?: Error | null): void => {
    stage.note(actor, 'event', `written ${describeValue(error, stage.names)}`);
    stage.trigger(actor, 'written');
  };
  if (typeof data !== 'string') return callback ? socket.write(data, done) : socket.write(data);
  const encoding = form as BufferEncoding;
  if (form === 'utf8') return callback ? socket.write(data, done) : socket.write(data);
  return callback ? socket.write(data, encoding, done) : socket.write(data, encoding);
}

function end(
  stage: Performance,
  actor: Actor,
  { size, form, callback }: { size?: number; form: Form; callback: boolean },
): unknown {
  const { socket } = actor;
  const done = (...values: unknown[]): void => {
    const texts = values.map((value) => describeValue(value, stage.names));
    stage.note(actor, 'event', ['end callback', ...texts].join(' '));
    stage.trigger(actor, 'ended');
  };
  if (size === undefined) return callback ? socket.end(done) : socket.end();
  const data = content(form, size, actor.written);
  stage.writes(actor, size);
  if (typeof data !== 'string') return callback ? socket.end(data, done) : socket.end(data);
  const encoding = form as BufferEncoding;
  return callback ? socket.end(data, encoding, done) : socket.end(data, encoding);
}

function read(actor: Actor, size: number | undefined): unknown {
  const value: unknown = size === undefined ? actor.socket.read() : actor.socket.read(size);
  return value;
}

const readableListeners = new WeakMap<Actor, () => void>();

/** Reads all that is there. */
function readableListener(stage: Performance, actor: Actor): () => void {
  const known = readableListeners.get(actor);
  if (known !== undefined) return known;
  const listener = (): void => {
    if (stage.program.watch === 'listeners') stage.note(actor, 'event', 'readable');
    for (;;) {
      const chunk = actor.socket.read() as Buffer | string | null;
      if (chunk === null) break;
      if (stage.program.watch === 'listeners')
        stage.note(actor, 'event', `read ${stage.receives(actor, chunk)}`);
    }
  };
  readableListeners.set(actor, listener);
  return listener;
}

async function iterate(stage: Performance, actor: Actor, chunks: number): Promise<void> {
  let left = chunks;
  try {
    for await (const chunk of actor.socket as AsyncIterable<Buffer | string>) {
      stage.note(actor, 'event', `iterated ${stage.receives(actor, chunk)}`);
      left -= 1;
      if (left === 0) break;
    }
    stage.note(actor, 'event', 'iterated to the end');
  } catch (error) {
    stage.note(actor, 'event', `iterated, ${describeValue(error, stage.names)}`);
  }
}

function pipe(
  stage: Performance,
  actor: Actor,
  { to, end }: { to: 'itself' | 'fast' | 'slow' | 'other'; end: boolean },
): string {
  const { socket } = actor;
  // What a slow one does, it does because of an immediate.
  const note = (text: string): void => {
    const say = (): void => stage.note(actor, 'event', text);
    if (to === 'slow') stage.recorder.inImmediate(say);
    else say();
  };
  if (to === 'itself') {
    // An echo; two that face each other would never end.
    if (actor.lane.startsWith('c')) return 'nobody';
    socket.pipe(socket, { end });
    return 'itself';
  }
  if (to === 'other') {
    // To a socket of another connection, as a proxy does; never to its own other end, which would go round for ever.
    const number = Number(actor.lane.slice(1)) + 1;
    const target = stage.actors.get(`${otherEnd(actor.lane)[0]}${number}`);
    if (target === undefined) return 'nobody';
    socket.pipe(target.socket, { end });
    return target.lane;
  }
  const seen = new RunningHash();
  const sink = new Writable({
    highWaterMark: 8_192,
    write: (chunk: Buffer, _encoding, callback) => {
      seen.add(chunk);
      note(`piped ${chunk.length} ${seen.toString()}`);
      if (to === 'fast') callback();
      else setImmediate(callback);
    },
  });
  const over = (text: string) => (): void => note(`destination ${text}`);
  sink.on('finish', over('finished')).on('close', over('closed')).on('unpipe', over('unpiped'));
  socket.pipe(sink, { end });
  return to;
}
