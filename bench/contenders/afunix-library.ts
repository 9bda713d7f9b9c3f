import { createRequire } from 'node:module';
import type { Duplex } from 'node:stream';

import type { Endpoint, OnRead } from './contender.js';

/** The part of afunix that the benchmark uses. */
export interface AfunixLibrary {
  createServer(
    options: { allowHalfOpen?: boolean; busyPoll?: number; maxDescriptors?: number },
    onConnection: (connection: Duplex) => void,
  ): {
    listen(options: { path: string; authorize?: unknown }, onListening: () => void): unknown;
    once(event: 'error', listener: (error: Error) => void): unknown;
  };
  transfer(server: unknown): unknown;
  receive(
    transferred: unknown,
    options: object,
    onConnection: (connection: Duplex) => void,
  ): unknown;
  connect(
    options: Endpoint & {
      busyPoll?: number;
      onread?: OnRead;
      allowHalfOpen?: boolean;
      maxDescriptors?: number;
    },
  ): Duplex;
  configure(configuration: { engine: 'epoll' }): void;
  features(): Record<string, unknown>;
  stats(): { engine: string } & Record<string, unknown>;
}

/** The part of afunix/credentials. */
interface CredentialsLibrary {
  sameUser(): unknown;
  not(policy: unknown): unknown;
}

/** Loads it as `afunixLibrary` does. */
export function credentialsLibrary(): CredentialsLibrary {
  return createRequire(__filename)('afunix/credentials') as CredentialsLibrary;
}

let library: AfunixLibrary | undefined;

/**
 * Loads the built package by its own name, as its users do. Late, because the other contenders
 * must run where afunix is not built.
 */
export function afunixLibrary(): AfunixLibrary {
  library ??= afunixEntry('afunix') as AfunixLibrary;
  return library;
}

/** One of the package's entries. */
export function afunixEntry(name: 'afunix' | 'afunix/raw' | 'afunix/seqpacket'): unknown {
  try {
    return createRequire(__filename)(name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    throw new Error('afunix is not built (npm run build)', { cause: error });
  }
}
