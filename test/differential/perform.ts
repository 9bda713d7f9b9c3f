/** Performs a program over sockets: once over `net`, once over what is compared with it. */
import { readdirSync } from 'node:fs';
import type * as Net from 'node:net';
import type { Server, Socket } from 'node:net';
import { act } from './actions';
import { RunningHash } from './content';
import { describeSocket, describeValue, type Names } from './describe';
import { Loop } from './loop';
import type { Action, End, OnRead, Reaction, SocketProgram, Trigger } from './program';
import { Recorder, type Recording } from './recorder';

export interface World {
  readonly net: typeof Net;
  /** A fresh pathname, or a fresh abstract name. */
  address(pathname: boolean): string;
}

/** A socket of the program that is performed. */
export interface Actor {
  readonly lane: string;
  readonly plan: End;
  readonly socket: Socket;
  readonly received: RunningHash;
  /** Bytes made up for it so far. */
  written: number;
  readonly reactions: { readonly reaction: Reaction; skip: number; times: number }[];
}

/** What a queue of the kernel holds for certain, in bytes and in pieces. */
const QUEUE = { bytes: 100_000, pieces: 150 };

export class Performance {
  readonly recorder = new Recorder();
  readonly loop = new Loop(this.recorder, this.program.loop);
  readonly actors = new Map<string, Actor>();
  readonly names: Names;
  readonly server: Server;
  readonly address: string;
  private accepted = 0;
  /** Pieces that were written since the other end last read, by lane of who writes. */
  private readonly underWay = new Map<string, { pieces: number; read: number }>();

  constructor(
    readonly world: World,
    readonly program: SocketProgram,
  ) {
    this.address = world.address(program.pathname);
    this.names = new Map([[this.address, '<address>']]);
    const { allowHalfOpen, pauseOnConnect, highWaterMark } = program.server;
    const options = { allowHalfOpen, pauseOnConnect, highWaterMark };
    this.server = world.net.createServer(options as Net.ServerOpts, (socket) =>
      this.accept(socket),
    );
  }

  async run(): Promise<Recording> {
    const { program, recorder, loop } = this;
    const before = descriptors();
    const onException = (error: unknown): void =>
      recorder.note('process', 'event', `uncaught ${describeValue(error, this.names)}`);
    process.on('uncaughtException', onException);
    process.on('unhandledRejection', onException);
    try {
      await this.listen();
      program.connections.forEach((_, index) => this.connect(index));
      if (!program.atOnce) await loop.quiet();
      let immediate = false;
      for (const step of program.steps) {
        const all = (): void => {
          for (const { end, action } of step.actions) this.perform(end, action);
        };
        if (immediate) recorder.inImmediate(all);
        else all();
        immediate = step.then === 'turn';
        if (immediate) await loop.turn();
        else if (step.then === 'quiet') await loop.quiet();
      }
      await loop.quiet();
      for (const actor of this.actors.values()) this.noteFinal(actor);
      recorder.note('server', 'event', `listening=${this.server.listening}`);
      await this.leave(before);
    } finally {
      process.off('uncaughtException', onException);
      process.off('unhandledRejection', onException);
    }
    return recorder.recording();
  }

  note(actor: Actor, kind: 'event' | 'action', text: string): void {
    this.recorder.note(actor.lane, kind, text, () => describeSocket(actor.socket));
  }

  /** Does what the program says, whose exceptions are part of what is seen. */
  perform(end: string, action: Action): void {
    const actor = this.actors.get(end);
    if (actor === undefined) this.recorder.note(end, 'action', 'is not there yet');
    else act(this, actor, action);
  }

  /** `size` bytes are handed to the socket. */
  writes(actor: Actor, size: number): void {
    actor.written += size;
    const way = this.underWay.get(actor.lane) ?? { pieces: 0, read: 0 };
    this.underWay.set(actor.lane, way);
    const read = this.actors.get(otherEnd(actor.lane))?.socket.bytesRead ?? 0;
    way.pieces = way.read === read ? way.pieces + 1 : 1;
    way.read = read;
    if (actor.written - read > QUEUE.bytes || way.pieces > QUEUE.pieces) this.recorder.bulk = true;
  }

  receives(actor: Actor, chunk: Uint8Array | string): string {
    actor.received.add(chunk);
    return `${typeof chunk === 'string' ? 'text' : 'bytes'} ${chunk.length} ${actor.received.toString()}`;
  }

  /** Something that reactions wait for has happened to the actor's socket. */
  trigger(actor: Actor, on: Trigger): void {
    for (const state of actor.reactions) {
      if (state.reaction.on !== on) continue;
      if (state.skip > 0) state.skip -= 1;
      else if (state.times > 0) {
        state.times -= 1;
        for (const action of state.reaction.actions) act(this, actor, action);
      }
    }
  }

  private async listen(): Promise<void> {
    const { server, recorder } = this;
    for (const event of ['listening', 'close', 'error', 'drop'])
      server.on(event, (...values: unknown[]) =>
        recorder.note(
          'server',
          'event',
          `${event} ${values.map((value) => describeValue(value, this.names)).join(' ')}`,
        ),
      );
    if (this.program.server.absent === true) return;
    server.listen(this.address);
    await this.loop.turn();
    await this.loop.turn();
  }

  private connect(index: number): void {
    const connection = this.program.connections[index];
    if (connection === undefined) return;
    const { net } = this.world;
    const { client: plan, by } = connection;
    const lane = `c${index}`;
    let socket: Socket | undefined;
    const actor = (): Actor => this.actors.get(lane) as Actor;
    const options = {
      allowHalfOpen: plan.allowHalfOpen,
      highWaterMark: plan.highWaterMark,
      onread: plan.onread && this.onRead(plan.onread, actor),
    };
    if (by === 'new') {
      socket = new net.Socket(options);
      this.enter(lane, plan, socket);
      socket.connect(this.address, () => this.note(actor(), 'event', 'connect callback'));
    } else {
      socket =
        by === 'connect' && Object.values(options).every((value) => value === undefined)
          ? net.connect(this.address)
          : net.connect({ ...options, path: this.address } as Net.IpcNetConnectOpts);
      this.enter(lane, plan, socket);
    }
    for (const action of plan.start) act(this, actor(), action);
  }

  private accept(socket: Socket): void {
    const index = this.accepted;
    this.accepted += 1;
    const plan = this.program.connections[index]?.peer ?? bystander;
    const actor = this.enter(`s${index}`, plan, socket);
    this.note(actor, 'event', 'accepted');
    for (const action of plan.start) act(this, actor, action);
  }

  private enter(lane: string, plan: End, socket: Socket): Actor {
    const actor: Actor = {
      lane,
      plan,
      socket,
      received: new RunningHash(),
      written: 0,
      reactions: plan.reactions.map((reaction) => ({
        reaction,
        skip: reaction.skip,
        times: reaction.times,
      })),
    };
    this.actors.set(lane, actor);
    if (this.program.watch === 'emit') this.watchEmit(actor);
    else this.watchListeners(actor);
    if (plan.handlesErrors) socket.on('error', handleError);
    return actor;
  }

  private noteEvent(actor: Actor, event: string, values: readonly unknown[]): void {
    const texts = values.map((value) =>
      event === 'data' ? this.receives(actor, value as Buffer) : describeValue(value, this.names),
    );
    this.note(actor, 'event', [event, ...texts].join(' '));
  }

  private watchEmit(actor: Actor): void {
    const { socket } = actor;
    const { emit } = socket;
    socket.emit = (event: string | symbol, ...values: unknown[]): boolean => {
      if (typeof event === 'string') this.noteEvent(actor, event, values);
      return Reflect.apply(emit, socket, [event, ...values]) as boolean;
    };
    // With a listener for what somebody reacts to, and for nothing else.
    for (const on of new Set(actor.reactions.map(({ reaction }) => reaction.on)))
      if (on !== 'written' && on !== 'ended' && on !== 'data')
        socket.on(on, () => this.trigger(actor, on));
  }

  private watchListeners(actor: Actor): void {
    for (const event of watched) {
      if (event === 'error' && !actor.plan.handlesErrors) continue;
      actor.socket.on(event, (...values: unknown[]) => {
        this.noteEvent(actor, event, values);
        this.trigger(actor, event);
      });
    }
  }

  /** The listener for 'data' that a program attaches. */
  readonly onData = new Map<Actor, (chunk: Buffer | string) => void>();

  dataListener(actor: Actor): (chunk: Buffer | string) => void {
    const known = this.onData.get(actor);
    if (known !== undefined) return known;
    const listener = (chunk: Buffer | string): void => {
      if (this.program.watch === 'listeners') this.noteEvent(actor, 'data', [chunk]);
      this.trigger(actor, 'data');
    };
    this.onData.set(actor, listener);
    return listener;
  }

  private onRead({ size, generated, returns }: OnRead, actor: () => Actor): Net.OnReadOpts {
    const buffer = Buffer.alloc(size);
    const values = { nothing: undefined, true: true, false: false, zero: 0 } as const;
    return {
      buffer: generated ? () => Buffer.alloc(size) : buffer,
      callback: (length, filled) => {
        const chunk = this.receives(actor(), filled.subarray(0, length));
        this.note(actor(), 'event', `onread ${chunk}`);
        this.trigger(actor(), 'data');
        return values[returns] as boolean;
      },
    };
  }

  private noteFinal(actor: Actor): void {
    const { socket } = actor;
    const listeners = socket
      .eventNames()
      .map((name) => `${String(name)}=${socket.listenerCount(name)}`)
      .sort();
    this.note(actor, 'event', `in the end ${listeners.join(' ')}`);
  }

  /** Closes everything, and looks whether a descriptor is left. */
  private async leave(before: number): Promise<void> {
    const late = this.loop.gaveUp;
    const entries = this.recorder.entries;
    this.recorder.stop();
    for (const { socket } of this.actors.values()) {
      socket.on('error', handleError);
      socket.destroy();
    }
    if (this.server.listening) this.server.close();
    let left = 0;
    for (let turns = 0; turns < 200; turns += 1) {
      await this.loop.turn();
      left = descriptors() - before;
      if (left <= 0 && turns > 1) break;
    }
    if (late) entries.push(remark('does not come to rest'));
    if (left > 0) entries.push(remark(`descriptors left: ${left}`));
  }
}

function remark(text: string): Recording['entries'][number] {
  return { lane: 'process', kind: 'event', text, state: '', sameTick: false, immediate: false };
}

/** For connections that the program knows nothing of. */
const bystander: End = { handlesErrors: true, start: [], reactions: [] };

const watched = [
  'connect',
  'ready',
  'end',
  'finish',
  'drain',
  'timeout',
  'error',
  'close',
  'pause',
  'resume',
] as const;

function handleError(): void {
  // Whoever watches sees it.
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

export function otherEnd(lane: string): string {
  return `${lane.startsWith('c') ? 's' : 'c'}${lane.slice(1)}`;
}
