/** Makes programs up. The same seed and number make the same program. */
import { Random } from './random';
import type {
  Action,
  Encoding,
  End,
  Form,
  Moment,
  OnRead,
  Reaction,
  SocketProgram,
  Step,
  Trigger,
} from './program';

const sizes = [
  1, 2, 5, 11, 100, 1_000, 4_095, 4_096, 4_097, 8_191, 8_192, 8_193, 16_383, 16_384, 16_385, 20_000,
  65_535, 65_536,
];
const longSizes = [65_537, 100_000, 150_000, 250_000, 600_000];
const marks = [1, 16, 100, 1_024, 8_192, 16_384, 100_000];
const forms: readonly Form[] = ['buffer', 'bytes', 'utf8', 'latin1', 'hex', 'base64', 'utf16le'];
const encodings: readonly Encoding[] = ['utf8', 'latin1', 'hex', 'base64', 'utf16le', 'ascii'];
const moments: readonly Moment[] = ['tick', 'promise', 'immediate'];

const triggers: Readonly<Record<Trigger, number>> = {
  connect: 2,
  ready: 1,
  data: 8,
  end: 5,
  finish: 4,
  drain: 2,
  timeout: 1,
  error: 2,
  close: 3,
  pause: 1,
  resume: 1,
  written: 6,
  ended: 2,
};

/** How often what is done; readers are for the start. */
const actions = {
  write: 40,
  writeMany: 5,
  end: 18,
  cork: 4,
  uncork: 4,
  pause: 5,
  resume: 6,
  read: 3,
  setEncoding: 2,
  unshift: 1,
  destroy: 8,
  destroySoon: 4,
  resetAndDestroy: 1,
  setTimeout: 1,
  ref: 1,
  unref: 1,
  onData: 4,
  onceData: 2,
  offData: 2,
  onReadable: 2,
  offReadable: 1,
  iterate: 1,
  pipe: 2,
  unpipe: 1,
  mark: 8,
  later: 6,
  finished: 1,
  removeErrorListeners: 1,
  closeServer: 1,
  getConnections: 1,
} as const;

const readers = {
  onData: 10,
  resume: 3,
  onReadable: 3,
  iterate: 2,
  pipe: 4,
  onceData: 2,
  nothing: 4,
} as const;

export function generate(seed: number, number: number): SocketProgram {
  return new Generator(new Random(seed, number)).program();
}

class Generator {
  /** Whether long writes are among what is done. */
  private readonly long = this.random.chance(0.06);
  private readonly timers = this.random.chance(0.03);

  constructor(private readonly random: Random) {}

  program(): SocketProgram {
    const { random } = this;
    const count = Number(random.weighted({ 1: 12, 2: 3, 3: 1 }));
    const connections = Array.from({ length: count }, () => ({
      by: random.weighted({ connect: 3, options: 2, new: 2 }),
      client: this.end('client'),
      peer: this.end('peer'),
    }));
    const lanes = connections.flatMap((_, index) => [`c${index}`, `s${index}`]);
    return {
      kind: 'sockets',
      server: {
        ...this.maybe(0.35, 'allowHalfOpen', true),
        ...this.maybe(0.06, 'pauseOnConnect', true),
        ...this.maybe(0.08, 'highWaterMark', random.pick(marks)),
        ...this.maybe(0.02, 'absent', true),
      },
      pathname: random.chance(0.7),
      watch: random.chance(0.5) ? 'listeners' : 'emit',
      loop: random.chance(0.08) ? 'sleeps' : 'turns',
      atOnce: random.chance(0.15),
      connections,
      steps: Array.from({ length: random.between(1, 5) }, () => this.step(lanes)),
    };
  }

  private maybe<K extends string, V>(probability: number, key: K, value: V): { [key in K]?: V } {
    return this.random.chance(probability) ? ({ [key]: value } as { [key in K]?: V }) : {};
  }

  private end(side: 'client' | 'peer'): End {
    const { random } = this;
    const client = side === 'client';
    return {
      ...this.maybe(client ? 0.35 : 0, 'allowHalfOpen', true),
      ...this.maybe(client ? 0.1 : 0, 'highWaterMark', random.pick(marks)),
      ...(client && random.chance(0.12) ? { onread: this.onRead() } : {}),
      handlesErrors: random.chance(0.94),
      start: [...this.reader(), ...random.several(3, () => this.action(1))],
      reactions: random.several(3, () => this.reaction()),
    };
  }

  private onRead(): OnRead {
    return {
      size: this.random.pick([1, 8, 100, 4_096, 65_536]),
      generated: this.random.chance(0.3),
      returns: this.random.weighted({ nothing: 3, true: 2, false: 2, zero: 1 }),
    };
  }

  private reader(): Action[] {
    const kind = this.random.weighted(readers);
    return kind === 'nothing' ? [] : [this.actionOf(kind, 1)];
  }

  private reaction(): Reaction {
    const { random } = this;
    return {
      on: random.weighted(triggers),
      skip: random.chance(0.75) ? 0 : random.below(3),
      times: random.chance(0.75) ? 1 : random.between(2, 4),
      actions: [this.reacting(), ...random.several(2, () => this.reacting())],
    };
  }

  private reacting(): Action {
    return this.random.chance(0.04) ? { do: 'throw' } : this.action(1);
  }

  private step(lanes: readonly string[]): Step {
    const { random } = this;
    // Mostly one end's, so that the order of what happens is clear; sometimes everybody's.
    const crowd = random.chance(0.3);
    const one = random.pick(lanes);
    const count = 1 + random.below(crowd ? 6 : 4);
    return {
      actions: Array.from({ length: count }, () => ({
        end: crowd ? random.pick(lanes) : one,
        action: this.action(0),
      })),
      then: random.weighted({ quiet: 10, turn: 1, nothing: 1 }),
    };
  }

  private action(depth: number): Action {
    const kind = this.random.weighted(actions);
    return this.actionOf(kind === 'later' && depth > 1 ? 'mark' : kind, depth);
  }

  private actionOf(kind: keyof typeof actions, depth: number): Action {
    const { random } = this;
    switch (kind) {
      case 'write':
        return { do: kind, size: this.size(), form: this.form(), callback: random.chance(0.4) };
      case 'writeMany':
        return {
          do: kind,
          count: random.pick([2, 3, 10, 60]),
          size: random.pick([1, 11, 100, 1_000]),
          form: this.form(),
          callback: random.chance(0.4),
        };
      case 'end':
        return {
          do: kind,
          ...this.maybe(0.5, 'size', this.size()),
          form: this.form(),
          callback: random.chance(0.4),
        };
      case 'read':
        return { do: kind, ...this.maybe(0.5, 'size', random.pick([0, 1, 5, 100, 5_000])) };
      case 'setEncoding':
        return { do: kind, encoding: random.pick(encodings) };
      case 'unshift':
        return { do: kind, size: random.pick([1, 10, 1_000]) };
      case 'destroy':
        return { do: kind, error: random.chance(0.3) };
      case 'setTimeout':
        return {
          do: kind,
          milliseconds: this.timers ? random.pick([0, 1, 2, 5]) : 0,
          callback: random.chance(0.3),
        };
      case 'iterate':
        return { do: kind, chunks: random.pick([1, 2, 1_000_000]) };
      case 'pipe':
        return {
          do: kind,
          to: random.weighted({ itself: 4, fast: 2, slow: 2, other: 2 }),
          end: random.chance(0.8),
        };
      case 'mark':
        return { do: kind, at: random.pick(moments) };
      case 'later':
        return {
          do: kind,
          at: random.pick(moments),
          actions: [this.action(depth + 1), ...random.several(2, () => this.action(depth + 1))],
        };
      case 'closeServer':
      case 'cork':
      case 'destroySoon':
      case 'finished':
      case 'getConnections':
      case 'offData':
      case 'offReadable':
      case 'onceData':
      case 'onData':
      case 'onReadable':
      case 'pause':
      case 'ref':
      case 'removeErrorListeners':
      case 'resetAndDestroy':
      case 'resume':
      case 'uncork':
      case 'unpipe':
      case 'unref':
        return { do: kind };
    }
  }

  private form(): Form {
    return this.random.chance(0.5) ? 'buffer' : this.random.pick(forms);
  }

  private size(): number {
    const { random } = this;
    if (this.long && random.chance(0.3)) return random.pick(longSizes);
    if (random.chance(0.02)) return 0;
    return random.chance(0.6) ? random.pick(sizes.slice(0, 6)) : random.pick(sizes);
  }
}
