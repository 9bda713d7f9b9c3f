/** Refusal: why a connection was not let in. Not an Error: nothing went wrong, and a stack trace costs more than the connection. */

export type RefusalCode =
  | 'policy'
  | 'error'
  | 'timeout'
  | 'closed'
  | 'gone'
  | 'maxConnections'
  | 'maxConnectionsPerUid'
  | 'maxUnauthorized';

export class Refusal {
  constructor(
    /** Who or what refused: the policy, an error in it, its time, the server's end or the client's, or a limit by its name. */
    readonly code: RefusalCode,
    readonly message: string,
    /** What was thrown, if anything was. */
    readonly cause?: unknown,
  ) {}

  toString(): string {
    return this.message;
  }
}

let count = 0;

/** Connections refused in this thread. */
export function refusedConnections(): number {
  return count;
}

export function countRefusal(): void {
  count += 1;
}
