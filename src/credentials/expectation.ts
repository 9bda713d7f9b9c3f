/** Expectation: who has to be listening, for a client that must not talk to an impostor. */
import { checkInteger, LARGEST_INT } from '../checks';
import { errnoException } from '../errors';
import { CLIENT_GUARDS, guardsAmong, refuseGuards } from '../guards';
import type { PeerCredentials } from './peer';
import { checkAuthorize, judge, Question, refusedError, type Authorize } from './policy';
import { clearTimeout, nextTick, setTimeout } from '../real-time';

export interface ExpectationOptions {
  /**
   * Who may be the server: a policy of `afunix/credentials`, or a function. Asked once connected and before 'connect', before anything
   * is written or read; anybody else's connection is destroyed with ERR_AFUNIX_REFUSED. The kernel names who called listen(2).
   */
  authorize?: Authorize;
  /** Milliseconds that `authorize` has; default 30,000. */
  authorizeTimeout?: number;
}

const DEFAULT_TIMEOUT = 30_000;
const ENOTCONN = -107;

export interface Expectation {
  readonly authorize: Authorize;
  readonly timeout: number;
}

/** Null if anybody will do. Throws for what is none. */
export function expectationOf(options: object): Expectation | null {
  const { authorize, authorizeTimeout } = options as Record<keyof ExpectationOptions, unknown>;
  const timeout =
    authorizeTimeout === undefined
      ? DEFAULT_TIMEOUT
      : checkInteger('options.authorizeTimeout', authorizeTimeout, 1, LARGEST_INT);
  if (authorize === undefined) return null;
  return { authorize: checkAuthorize('options.authorize', authorize), timeout };
}

/** For connections that are not made by `connect`: `why` goes on from "authorize has no effect here". */
export function refuseExpectation(options: object, why = CONNECTED_ALREADY): void {
  refuseGuards(guardsAmong(CLIENT_GUARDS, options), why);
}

const CONNECTED_ALREADY =
  'it is asked while a socket connects, and this one is connected: look at its peerCredentials';

/**
 * Calls back once with null, or with why `peer` will not do; at once if that is known at once. Otherwise what it returns says that nobody
 * wants to know any more, and nobody is called.
 */
export function meet(
  { authorize, timeout }: Expectation,
  peer: PeerCredentials | null,
  callback: (error: Error | null) => void,
): (() => void) | null {
  if (peer === null) {
    callback(errnoException(ENOTCONN, 'getsockopt'));
    return null;
  }
  const question = new Question();
  const verdict = judge(authorize, peer, question);
  if (!(verdict instanceof Promise)) {
    callback(verdict.admitted === true ? null : refusedError(verdict.reason, verdict.cause));
    return null;
  }
  let over = false;
  const forgo = (): void => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    question.abort();
  };
  const finish = (error: Error | null): void => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    callback(error);
  };
  const timer = setTimeout(() => {
    finish(refusedError(`the authorization took longer than ${timeout} ms`));
    question.abort();
  }, timeout);
  // Whoever decides keeps the process running, or nobody.
  timer.unref();
  // In a tick of its own: what listeners throw is their affair, and not a rejection of this promise.
  void verdict.then(({ admitted, reason, cause }) =>
    nextTick(finish, admitted === true ? null : refusedError(reason, cause)),
  );
  return forgo;
}
