import type { Child } from '../child.js';
import type { Launch } from '../launch.js';
import type { Endpoint, JavaScriptContender } from '../contenders/contender.js';
import type { Unit } from '../units.js';

/** Numbers measured in one cell, by name. */
export type Metrics = Record<string, number>;

/** How long and how much, the same for every contender of a workload. */
export interface Settings {
  /** Seconds under load before the measurement. */
  warmUp: number;
  /** Seconds of the measurement. */
  seconds: number;
  /** Seconds of it where nothing happens. */
  idleSeconds: number;
  /** Connections, as many of the workload's own number as the machine allows. */
  connections: number;
}

/** What tells the workloads of one family apart. */
export interface Point {
  /** Bytes of a message. */
  messageSize?: number;
  connections?: number;
  /** Messages per second, over all connections. */
  rate?: number;
}

/** What the runner sends to a process to make it one end of a workload. */
export interface OpenRequest {
  role: 'server' | 'client';
  workload: string;
  family: string;
  point: Point;
  contender: string;
  settings: Settings;
  socketPath: string;
  /** For programs that are not JavaScript: the workload as they know it. */
  load?: Load;
  /** Where the server listens; the client gets it. */
  endpoint?: Endpoint;
}

/** The same, inside the process. */
export interface RoleContext extends Omit<OpenRequest, 'contender'> {
  contender: JavaScriptContender;
  /** Reports an error that no command is waiting for. */
  fail(error: unknown): void;
}

export type Commands = Record<string, (argument?: unknown) => unknown>;

export interface Role {
  commands: Commands;
  /** Where the server listens; only the server has it. */
  endpoint?: Endpoint;
}

/** What was seen of both processes from the outside while the clock ran. */
export interface Watched {
  /** Counts and bytes per second, which become metrics per operation. */
  perSecond: Metrics;
  /** Shares, which are metrics already. */
  shares: Metrics;
}

/** Both processes, as the runner sees them while it measures. */
export interface Pair {
  server: Child;
  client: Child;
  pause(seconds: number): Promise<void>;
  /** Counts context switches and CPU, and whatever else was asked for, during `measured`. */
  watch(measured: () => Promise<unknown>): Promise<Watched>;
}

/** One line of the table per contender. */
export interface Row {
  id: string;
  title: string;
  /** The metric that contenders are compared by. */
  headline: { metric: string; unit: Unit; better: 'higher' | 'lower' };
  /** Whether ratios of the headline say anything. */
  compared: boolean;
}

/** A workload in a form that programs in any language can be told. */
export interface Load {
  pattern: 'echo' | 'one-way' | 'messages' | 'http';
  /** Bytes of a message, or of the body of a response. */
  messageSize: number;
}

export interface Workload {
  readonly id: string;
  readonly description: string;
  /** Workloads that do the same and differ in their point: a chart draws them as one curve. */
  readonly family: string;
  readonly point: Point;
  /** Runs only with --full, or when it is asked for. */
  readonly onRequest?: boolean;
  readonly rows: readonly Row[];
  /** Contenders that run it, by id. */
  readonly contenders: readonly string[];
  /** Why it cannot run here; undefined if it can. */
  readonly needs?: () => string | undefined;
  /** Connections it would like to have. */
  readonly connections: number;
  readonly load?: Load;
  /** Not pinned, whatever was asked for: more than one core is to be used by a process. */
  readonly cores?: 'any';
  /** Options for `node`, where its defaults would drown what is measured. */
  readonly nodeOptions?: readonly string[];
  /** Seconds that `measure` takes after the warm-up. */
  secondsNeeded(settings: Settings): number;
  server(context: RoleContext): Promise<Role>;
  /** Left out where a program is the client. */
  client?(context: RoleContext): Promise<Role>;
  /** A program that is the client, the same for every contender. Throws when it cannot be had. */
  readonly clientProgram?: () => Launch;
  /** Runs in the runner: drives both processes and returns the numbers. */
  measure(pair: Pair, settings: Settings): Promise<Metrics>;
}

/** The endpoint that every client gets from the runner. */
export function endpointOf(context: RoleContext): Endpoint {
  if (!context.endpoint) throw new Error('the client was not told where the server listens');
  return context.endpoint;
}
