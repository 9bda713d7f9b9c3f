/** Two stream sockets connected to each other, without an address. */
import { Duplex } from 'node:stream';
import { missingBecause, native, STREAM } from './binding';
import { checkBusyPoll } from './busy-poll';
import { checkDescriptorLimits } from './descriptor-quota';
import { refuseExpectation } from './credentials/expectation';
import { engine } from './engine/engine';
import { codedError, errnoException } from './errors';
import { Connection } from './socket/connection';
import { AcceptedOptions, socketOf, type Socket } from './socket/socket';
import type { SocketOptions } from './socket/options';

/**
 * socketpair(2). `options` go to both: `allowHalfOpen`, high-water marks, `busyPoll`. Errors: EMFILE, ENFILE.
 */
export function socketpair(options: SocketOptions = {}): [Socket, Socket] {
  if (native === null) {
    throw codedError(
      Error,
      'ERR_AFUNIX_NO_ADDON',
      `socketpair() needs the addon: ${missingBecause ?? ''}`,
    );
  }
  checkDescriptorLimits(options);
  refuseExpectation(options);
  const { allowHalfOpen, highWaterMark, busyPoll } = options;
  if (busyPoll !== undefined) checkBusyPoll('options.busyPoll', busyPoll);
  const both = new AcceptedOptions(
    Boolean(allowHalfOpen),
    options.readableHighWaterMark ?? highWaterMark,
    options.writableHighWaterMark ?? highWaterMark,
    false,
    busyPoll,
    options.maxDescriptors,
    options.maxOpenDescriptors,
  );
  // Throws for whatever streams refuse, before there is anything to close.
  new Duplex(both);
  const handles = new Int32Array(2);
  const status = engine().socketpair(handles, STREAM);
  if (status < 0) throw errnoException(status, 'socketpair');
  const [first = -1, second = -1] = handles;
  return [socketOf(new Connection(first), both), socketOf(new Connection(second), both)];
}
