/** What was written before a process ends has been written: it reaches the peer, as with `node:net`. */
import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { type Afunix, afunixSpecifier, startLone } from '../helpers/lone-process';
import { freshPath } from '../helpers/socket-paths';
import { happens } from '../helpers/sockets';

interface WayContext {
  readonly net: Afunix;
  readonly client: Socket;
  /** What the peer must get in the end, all of it. */
  readonly bytes: Buffer;
}

interface Way {
  readonly size?: number;
  readonly code?: number;
  readonly signal?: NodeJS.Signals;
  /** How many times the bytes have to arrive. */
  readonly times?: number;
  /** A listener for 'exit' that was there before anything else throws. */
  readonly exitThrows?: boolean;
  /** Called inside 'connect'; writes and ends the process. Must use nothing else from its file. */
  readonly last: (context: WayContext) => void;
}

const ways: Readonly<Record<string, Way>> = {
  'a write, then process.exit() in the same tick': {
    last: ({ client, bytes }) => {
      client.write(bytes);
      process.exit(0);
    },
  },
  'an end with bytes, then process.exit() in the same tick': {
    last: ({ client, bytes }) => {
      client.end(bytes);
      process.exit(0);
    },
  },
  'a write with a callback that ends the process': {
    last: ({ client, bytes }) => void client.write(bytes, () => process.exit(0)),
  },
  'a write with a callback that kills the process': {
    signal: 'SIGKILL',
    last: ({ client, bytes }) =>
      void client.write(bytes, () => process.kill(process.pid, 'SIGKILL')),
  },
  'writes, of which the callback of the first aborts the process': {
    signal: 'SIGABRT',
    times: 2,
    last: ({ client, bytes }) => {
      client.write(bytes, () => process.abort());
      client.write(bytes);
    },
  },
  'corked writes with a callback that kills the process': {
    signal: 'SIGKILL',
    times: 2,
    last: ({ client, bytes }) => {
      client.cork();
      client.write(bytes);
      client.write(bytes, () => process.kill(process.pid, 'SIGKILL'));
      client.uncork();
    },
  },
  'fifty writes, then process.exit()': {
    times: 50,
    last: ({ client, bytes }) => {
      for (let count = 0; count < 50; count += 1) client.write(bytes);
      process.exit(0);
    },
  },
  'a string, then process.exit()': {
    last: ({ client, bytes }) => {
      client.write(bytes.toString('latin1'), 'latin1');
      process.exit(0);
    },
  },
  'corked writes, uncorked just before process.exit()': {
    times: 2,
    last: ({ client, bytes }) => {
      client.cork();
      client.write(bytes);
      client.write(bytes);
      client.uncork();
      process.exit(0);
    },
  },
  'a write of 100 KiB, then process.exit()': {
    size: 100 << 10,
    last: ({ client, bytes }) => {
      client.write(bytes);
      process.exit(0);
    },
  },
  'a write, then an exception that nobody catches': {
    code: 1,
    last: ({ client, bytes }) => {
      client.write(bytes);
      throw new Error('not caught');
    },
  },
  'a write, then a rejection that nobody handles': {
    code: 1,
    last: ({ client, bytes }) => {
      client.write(bytes);
      void Promise.reject(new Error('not handled'));
    },
  },
  'a write in a timer that ends the process': {
    last: ({ client, bytes }) => {
      setTimeout(() => {
        client.write(bytes);
        process.exit(0);
      }, 1);
    },
  },
  'a write in a microtask that ends the process': {
    last: ({ client, bytes }) => {
      queueMicrotask(() => {
        client.write(bytes);
        process.exit(0);
      });
    },
  },
  "a write in 'beforeExit'": {
    last: ({ client, bytes }) => {
      process.once('beforeExit', () => {
        client.write(bytes);
        process.exit(0);
      });
      client.unref();
      client.pause();
    },
  },
  "a write, then process.exit(), where an older listener for 'exit' throws": {
    exitThrows: true,
    last: ({ client, bytes }) => {
      client.write(bytes);
      process.exit(0);
    },
  },
  "a write in 'exit'": {
    last: ({ client, bytes }) => {
      process.on('exit', () => void client.write(bytes));
      process.exit(0);
    },
  },
  "a write in 'exit' when nothing is left to do": {
    last: ({ client, bytes }) => {
      process.on('exit', () => void client.write(bytes));
      client.unref();
    },
  },
  'a write, then nothing more to do': {
    last: ({ client, bytes }) => {
      client.write(bytes);
      client.unref();
    },
  },
};

/** Over which implementation, and whether the one that ends had connected or accepted. */
async function arrives(
  t: TestContext,
  specifier: string,
  { last, size = 999, signal, code = 0, times = 1, exitThrows = false }: Way,
) {
  const address = freshPath(t);
  const peers: Socket[] = [];
  const server = createServer((peer) => void peers.push(peer)).listen(address);
  t.after(() => server.close());
  const accepted = happens(server, 'connection');
  const lone = startLone(
    t,
    { address, size, exitThrows, source: `(${last.toString()})` },
    ({ net, require, parameters }) => {
      const { runInThisContext } = require('node:vm') as typeof import('node:vm');
      if (parameters.exitThrows) {
        process.on('exit', () => {
          throw new Error('from an older listener');
        });
      }
      const bytes = Buffer.alloc(parameters.size, 'All of this has to arrive. ');
      const last = runInThisContext(parameters.source) as Way['last'];
      const client = net.connect(parameters.address, () => last({ net, client, bytes }));
    },
    { specifier },
  );
  const [peer] = (await accepted) as [Socket];
  const chunks: Buffer[] = [];
  peer.on('data', (chunk) => chunks.push(chunk)).on('error', () => undefined);
  const closed = happens(peer, 'close');
  const ending = await lone.ended;
  await closed;
  assert.deepEqual(
    { code: ending.code, signal: ending.signal },
    signal === undefined ? { code, signal: null } : { code: null, signal },
    ending.stderr,
  );
  const bytes = Buffer.alloc(size, 'All of this has to arrive. ');
  const wanted = Buffer.concat(Array.from({ length: times }, () => bytes));
  const got = Buffer.concat(chunks);
  assert.equal(got.length, wanted.length);
  assert.deepEqual(got, wanted);
}

for (const [name, way] of Object.entries(ways)) {
  test(name, async (t) => {
    // That they arrive over `node:net` is why they have to.
    await arrives(t, 'node:net', way);
    await arrives(t, afunixSpecifier, way);
  });
}
