/** How a server, or socketpair(), makes a socket of a connection that exists already; not for users. */
import type { MessageConnection } from './connection';
import type { SocketOptions } from './options';

export class AcceptedOptions {
  constructor(
    readonly connection: MessageConnection,
    readonly options: SocketOptions,
    readonly gone: (() => void) | null,
    /** Messages come with who sent them. */
    readonly passCredentials = false,
  ) {}
}
