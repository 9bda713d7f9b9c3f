/** One thing done in-process, again and again. */
export interface MicroCase {
  name: string;
  /** Operations in one run; the table shows the time of one of them. */
  operations: number;
  /** Does them all before it returns, or calls `done` when they are done. */
  run: (() => void) | ((done: () => void) => void);
  deferred?: boolean;
}

/** Cases that are worth comparing: the first one is what the others are held against. */
export interface MicroSuite {
  readonly id: string;
  readonly description: string;
  /** Called in a process that runs nothing but this suite. */
  prepare(): Promise<MicroCase[]>;
}

/** What a process sends back for one case. */
export interface MicroResult {
  name: string;
  nanosecondsPerOperation: number;
  /** Relative margin of error of that, in percent. */
  marginPercent: number;
  samples: number;
  /** Nanoseconds per operation of every sample. */
  times: number[];
}
