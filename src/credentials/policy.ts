/** Policy: who may connect, as an object that can be combined with others; and what a function in its place may answer. */
import { requireAddon, wrongType } from '../checks';
import { codedError } from '../errors';
import type { PeerCredentials } from './peer';
import { no, unknown, YES, type Verdict } from './verdict';

/** What an authorizing function is told beside the credentials. */
export interface AuthorizationContext {
  /** Aborted when the answer is no longer wanted: it came too late, or one of the two ends has gone. */
  readonly signal: AbortSignal;
}

/** What somebody is asked, until nobody wants to know any more. */
export class Question implements AuthorizationContext {
  #controller: AbortController | null = null;
  #over = false;

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#over) this.#controller.abort();
    return this.#controller.signal;
  }

  /** Nobody waits for the answer any more. */
  abort(): void {
    this.#over = true;
    this.#controller?.abort();
  }
}

/** An answer with a reason for `'refused'`. */
export interface AuthorizeDecision {
  /** `'unknown'`: neither this nor its opposite can be said. */
  readonly admitted: boolean | 'unknown';
  readonly reason?: string;
}

/**
 * `true` admits, `false` refuses, and each is the opposite of the other. Everything else is not known, which refuses and whose opposite refuses, too:
 * `'unknown'`, any other string, which is then the reason, and whatever is no answer.
 */
export type AuthorizeAnswer = boolean | AuthorizeDecision | (string & {});

export type AuthorizeFunction = (
  peer: PeerCredentials,
  context: AuthorizationContext,
) => AuthorizeAnswer | PromiseLike<AuthorizeAnswer>;

export type Authorize = Policy | AuthorizeFunction;

export type Judge = (
  peer: PeerCredentials,
  context: AuthorizationContext,
) => Verdict | Promise<Verdict>;

export const kJudge = Symbol('judge');

export class Policy {
  /** What it admits, in words. */
  readonly description: string;
  /** @internal */
  readonly [kJudge]: Judge;

  /** @internal Made by the functions of this module. */
  constructor(description: string, judge: Judge) {
    requireAddon('afunix/credentials');
    this.description = description;
    this[kJudge] = judge;
  }

  /** Fulfilled if `peer` is admitted. Otherwise, and if it cannot be known, rejected with ERR_AFUNIX_REFUSED. */
  async check(peer: PeerCredentials): Promise<void> {
    const verdict = await judge(this, peer, new Question());
    if (verdict.admitted !== true) throw refusedError(verdict.reason, verdict.cause);
  }

  toString(): string {
    return this.description;
  }
}

export function refusedError(reason: string, cause?: unknown): Error {
  const error = codedError(Error, 'ERR_AFUNIX_REFUSED', `The peer is not authorized: ${reason}`);
  if (cause !== undefined) error.cause = cause;
  return error;
}

export function checkAuthorize(name: string, value: unknown): Authorize {
  if (value instanceof Policy || typeof value === 'function') return value as Authorize;
  throw wrongType(name, 'a policy of afunix/credentials or of type function', value);
}

export function describe(authorize: Authorize): string {
  if (authorize instanceof Policy) return authorize.description;
  // A class may have another idea of its name.
  const name: unknown = Object.getOwnPropertyDescriptor(authorize, 'name')?.value;
  return typeof name === 'string' && name !== '' ? `${name}()` : 'a function';
}

/** Never throws, and its promise is never rejected. */
export function judge(
  authorize: Authorize,
  peer: PeerCredentials,
  context: AuthorizationContext,
): Verdict | Promise<Verdict> {
  try {
    if (authorize instanceof Policy) {
      const verdict = authorize[kJudge](peer, context);
      return verdict instanceof Promise ? verdict.catch(failed) : verdict;
    }
    const answer = authorize(peer, context) as unknown;
    if (!isThenable(answer)) return verdictOf(answer);
    // A promise of ours, whatever methods theirs has.
    return new Promise((resolve) => resolve(answer)).then(verdictOf).catch(failed);
  } catch (error) {
    return failed(error);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    value !== null &&
    (typeof value === 'object' || typeof value === 'function') &&
    typeof (value as { then?: unknown }).then === 'function'
  );
}

function verdictOf(answer: unknown): Verdict {
  if (answer === true) return YES;
  if (answer === false) return no(REFUSED);
  if (answer === 'unknown') return unknown('the authorizing function does not know');
  // A reason is not an answer: it may say that the data base is down.
  if (typeof answer === 'string') return unknown(answer);
  if (typeof answer === 'object' && answer !== null && 'admitted' in answer) {
    const { admitted, reason } = answer as Partial<Record<keyof AuthorizeDecision, unknown>>;
    const words = typeof reason === 'string' ? reason : undefined;
    if (admitted === true) return YES;
    if (admitted === false) return no(words ?? REFUSED);
    return unknown(words ?? 'the authorizing function does not know');
  }
  return unknown(`the authorizing function returned ${typeof answer}, which is not true`);
}

const REFUSED = 'the authorizing function refused';

function failed(error: unknown): Verdict {
  const message = messageOf(error);
  return unknown(`the authorization failed: ${message}`, error ?? new Error(message));
}

/** Of whatever was thrown; to look at it may be to run more of the code that threw it. */
export function messageOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error);
  } catch {
    return 'it threw something that has no words';
  }
}
