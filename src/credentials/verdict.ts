/** Verdict: what a policy says of a peer. There are three: yes, no, and that it cannot know, which is no in the end, but not the opposite of yes. */

export interface Verdict {
  /** Null: it cannot be known. */
  readonly admitted: boolean | null;
  /** Why not. */
  readonly reason: string;
  /** What was thrown. */
  readonly cause?: unknown;
}

export const YES: Verdict = Object.freeze({ admitted: true, reason: '' });

export function no(reason: string): Verdict {
  return { admitted: false, reason };
}

export function unknown(reason: string, cause?: unknown): Verdict {
  return cause === undefined ? { admitted: null, reason } : { admitted: null, reason, cause };
}
