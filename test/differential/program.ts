/**
 * What a program over sockets is: plain data, so that it can be made up, sent to a process, made shorter, printed, and kept.
 *
 * Its ends are named c0, c1, ... for the clients and s0, s1, ... for the sockets that the server accepted, in the order of connecting.
 */

export type Form = 'buffer' | 'bytes' | 'utf8' | 'latin1' | 'hex' | 'base64' | 'utf16le';
export type Encoding = 'utf8' | 'latin1' | 'hex' | 'base64' | 'utf16le' | 'ascii';
export type Moment = 'tick' | 'promise' | 'immediate';

export type Action =
  | { readonly do: 'write'; readonly size: number; readonly form: Form; readonly callback: boolean }
  | {
      readonly do: 'writeMany';
      readonly count: number;
      readonly size: number;
      readonly form: Form;
      readonly callback: boolean;
    }
  | { readonly do: 'end'; readonly size?: number; readonly form: Form; readonly callback: boolean }
  | { readonly do: 'read'; readonly size?: number }
  | { readonly do: 'setEncoding'; readonly encoding: Encoding }
  | { readonly do: 'unshift'; readonly size: number }
  | { readonly do: 'destroy'; readonly error: boolean }
  | { readonly do: 'setTimeout'; readonly milliseconds: number; readonly callback: boolean }
  | { readonly do: 'onData' | 'onceData' | 'offData' | 'onReadable' | 'offReadable' }
  | { readonly do: 'iterate'; readonly chunks: number }
  | {
      readonly do: 'pipe';
      readonly to: 'itself' | 'fast' | 'slow' | 'other';
      readonly end: boolean;
    }
  | { readonly do: 'mark'; readonly at: Moment }
  | { readonly do: 'later'; readonly at: Moment; readonly actions: readonly Action[] }
  | { readonly do: 'connectAgain' }
  | { readonly do: Plain };

/** What takes no arguments. */
export type Plain =
  | 'cork'
  | 'uncork'
  | 'pause'
  | 'resume'
  | 'unpipe'
  | 'destroySoon'
  | 'resetAndDestroy'
  | 'ref'
  | 'unref'
  | 'throw'
  | 'finished'
  | 'removeErrorListeners'
  | 'closeServer'
  | 'getConnections';

export const reactionEvents = [
  'connect',
  'ready',
  'data',
  'end',
  'finish',
  'drain',
  'timeout',
  'error',
  'close',
  'pause',
  'resume',
  'written',
  'ended',
] as const;

/** An event of the socket, or the callback of a write or of end(). */
export type Trigger = (typeof reactionEvents)[number];

export interface Reaction {
  readonly on: Trigger;
  /** So many of them are let pass first. */
  readonly skip: number;
  readonly times: number;
  readonly actions: readonly Action[];
}

export interface OnRead {
  readonly size: number;
  /** The option `buffer` is a function. */
  readonly generated: boolean;
  /** What the callback returns, each time. */
  readonly returns: 'nothing' | 'true' | 'false' | 'zero';
}

export interface End {
  readonly allowHalfOpen?: boolean;
  readonly highWaterMark?: number;
  readonly onread?: OnRead;
  /** Somebody listens for 'error'. */
  readonly handlesErrors: boolean;
  /** Performed when the socket is there, before anything happened to it. */
  readonly start: readonly Action[];
  readonly reactions: readonly Reaction[];
}

export interface Step {
  /** Performed in one go. */
  readonly actions: readonly { readonly end: string; readonly action: Action }[];
  /** What comes before the next step: nothing, one turn of the loop, or as many as it takes until nothing happens any more. */
  readonly then: 'nothing' | 'turn' | 'quiet';
}

export interface SocketProgram {
  readonly kind: 'sockets';
  readonly server: {
    readonly allowHalfOpen?: boolean;
    readonly pauseOnConnect?: boolean;
    readonly highWaterMark?: number;
    /** Nobody listens: connecting fails. */
    readonly absent?: boolean;
  };
  /** Whether the address is a pathname. */
  readonly pathname: boolean;
  /** Whether events are seen by listeners, as users have them, or as they are emitted, listened for or not. */
  readonly watch: 'listeners' | 'emit';
  /** Whether the loop sleeps while nothing happens, or turns all the time. */
  readonly loop: 'sleeps' | 'turns';
  /** The first step comes in the turn of connecting. */
  readonly atOnce: boolean;
  readonly connections: readonly {
    readonly by: 'connect' | 'options' | 'new';
    readonly client: End;
    readonly peer: End;
  }[];
  readonly steps: readonly Step[];
}
