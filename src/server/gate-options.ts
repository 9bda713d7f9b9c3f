/** What a server can be told about whom to let in, and how many; and the defaults, which are those of systems that others trust. */
import { checkInteger, LARGEST_INT } from '../checks';
import { checkAuthorize, type Authorize } from '../credentials/policy';

export interface GateOptions {
  /**
   * Who may connect: a policy of `afunix/credentials`, or a function. Asked before 'connection', before anything is read; everybody else's
   * connection is closed, and 'refused' tells. An error in it refuses.
   */
  authorize?: Authorize;
  /** Connections of one user at a time. Default with `authorize`: 1024, but at most three quarters of all. */
  maxConnectionsPerUid?: number;
  /** Connections that wait for `authorize` at a time; of one user at most three quarters of them. Default 64. */
  maxUnauthorized?: number;
  /** Milliseconds that `authorize` has; then it refuses. Default 30,000. */
  authorizeTimeout?: number;
}

/** systemd's varlink: 4096 in all, 1024 of a user and never more than 3/4; dbus-daemon: 64 without authentication, 30 s for it. */
export const DEFAULT_MAX_CONNECTIONS = 4096;
const DEFAULT_PER_UID = 1024;
const DEFAULT_MAX_UNAUTHORIZED = 64;
const DEFAULT_AUTHORIZE_TIMEOUT = 30_000;

export function threeQuarters(of: number): number {
  return Math.max(1, Math.floor((of * 3) / 4));
}

export type Limits = Omit<GateOptions, 'authorize'>;

/** The rules of one listener. */
export interface Rules {
  /** Those of the options that are numbers: they can go wherever the listener goes. */
  readonly limits: Limits;
  readonly authorize: Authorize | undefined;
  readonly perUid: (maxConnections: number) => number;
  readonly maxUnauthorized: number;
  readonly authorizeTimeout: number;
}

/** What the server was made with, and what it listens with, which comes first. Null: there are no rules. Throws for what is none. */
export function rulesOf(made: GateOptions, listening: Record<string, unknown>): Rules | null {
  // A null is somebody's option that got lost; nothing at all does not take the server's own away.
  const given = (name: keyof GateOptions): unknown =>
    listening[name] === undefined ? made[name] : listening[name];
  const number = (name: keyof GateOptions, least: number): number | undefined => {
    const value = given(name);
    return value === undefined
      ? undefined
      : checkInteger(`options.${name}`, value, least, LARGEST_INT);
  };
  const policy = given('authorize');
  const authorize = policy === undefined ? undefined : checkAuthorize('options.authorize', policy);
  const maxConnectionsPerUid = number('maxConnectionsPerUid', 0);
  const maxUnauthorized = number('maxUnauthorized', 1);
  const authorizeTimeout = number('authorizeTimeout', 1);
  if (authorize === undefined && maxConnectionsPerUid === undefined) return null;
  const perUid = (maxConnections: number): number =>
    maxConnectionsPerUid ?? Math.min(DEFAULT_PER_UID, threeQuarters(maxConnections));
  return {
    limits: { maxConnectionsPerUid, maxUnauthorized, authorizeTimeout },
    authorize,
    perUid,
    maxUnauthorized: maxUnauthorized ?? DEFAULT_MAX_UNAUTHORIZED,
    authorizeTimeout: authorizeTimeout ?? DEFAULT_AUTHORIZE_TIMEOUT,
  };
}
