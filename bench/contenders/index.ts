import { afunix, afunixBusyPoll, afunixCallers, afunixEpoll, afunixOnread } from './afunix.js';
import { afunixRegister } from './afunix-register.js';
import { afunixRawSpin } from './afunix-raw.js';
import { afunixSeqpacket, afunixSeqpacketBatched } from './afunix-seqpacket.js';
import { bun } from './bun.js';
import type { Contender, JavaScriptContender } from './contender.js';
import { cppEpoll, cppSeqpacket, cppSpin, cppUring } from './cpp.js';
import { deno } from './deno.js';
import { go } from './go.js';
import { netTcp } from './net-tcp.js';
import { netUnix, netUnixOnread } from './net-unix.js';
import { nginxContenders } from './nginx.js';
import { relayAfunix, relaySocat } from './relay.js';
import {
  selftestDelay,
  selftestLoss,
  selftestPause,
  selftestStall,
  selftestTwin,
} from './known-faults.js';
import { nodeUnixSocket } from './node-unix-socket.js';

const javaScriptContenders: readonly JavaScriptContender[] = [
  netTcp,
  netUnix,
  netUnixOnread,
  afunix,
  afunixEpoll,
  afunixOnread,
  afunixBusyPoll,
  afunixRegister,
  ...afunixCallers,
  afunixSeqpacket,
  afunixSeqpacketBatched,
  afunixRawSpin,
  nodeUnixSocket,
  bun,
  deno,
  relaySocat,
  relayAfunix,
  ...nginxContenders,
  selftestTwin,
  selftestDelay,
  selftestLoss,
  selftestPause,
  selftestStall,
];

/** Every contender, in the order of the table. */
export const contenders: readonly Contender[] = [
  ...javaScriptContenders,
  go,
  cppEpoll,
  cppUring,
  cppSpin,
  cppSeqpacket,
];

export function contenderById(id: string): Contender {
  return byId(contenders, id);
}

export function javaScriptContenderById(id: string): JavaScriptContender {
  return byId(javaScriptContenders, id);
}

function byId<T extends Contender>(all: readonly T[], id: string): T {
  const found = all.find((contender) => contender.id === id);
  if (!found) throw new Error(`no contender is called '${id}'`);
  return found;
}
