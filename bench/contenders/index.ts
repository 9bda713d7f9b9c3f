import { afunix, afunixBothEnds, afunixBusyPoll, afunixEpoll, afunixOnread } from './afunix.js';
import type { Contender } from './contender.js';
import { netTcp } from './net-tcp.js';
import { netUnix, netUnixOnread } from './net-unix.js';

/** Every contender, in the order of the table. */
export const contenders: readonly Contender[] = [
  netTcp,
  netUnix,
  netUnixOnread,
  afunix,
  afunixEpoll,
  afunixOnread,
  afunixBusyPoll,
  afunixBothEnds,
];

export function contenderById(id: string): Contender {
  const found = contenders.find((contender) => contender.id === id);
  if (!found) throw new Error(`no contender is called '${id}'`);
  return found;
}
