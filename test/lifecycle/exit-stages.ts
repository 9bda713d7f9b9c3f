/** The stages at which a process is ended, and the ways in which it is. */
import type { Server, Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { type Afunix, afunixSpecifier, type Ending, startLone } from '../helpers/lone-process';

export const actions = ['exit', 'throw', 'close everything', 'SIGTERM', 'terminate'] as const;
export type Action = (typeof actions)[number];

/** What a stage finds; it must use nothing else from its file. */
interface StageContext {
  readonly net: Afunix;
  readonly address: string;
  /** Ends the process; called once, when the stage is reached. */
  readonly act: () => void;
  /** Names what is to be closed by 'close everything'. */
  keep<Kept extends Socket | Server>(kept: Kept): Kept;
}

type Stage = (context: StageContext) => void;

export const stages: Readonly<Record<string, Stage>> = {
  'after require': ({ act }) => act(),

  "in 'listening'": ({ net, address, keep, act }) => {
    keep(net.createServer()).listen(address, act);
  },

  'listening, in the same tick': ({ net, address, keep, act }) => {
    keep(net.createServer()).listen(address);
    act();
  },

  'connecting, in the same tick': ({ net, address, keep, act }) => {
    keep(net.createServer(keep)).listen(address);
    keep(net.connect(address));
    act();
  },

  'connecting, with the backlog full': ({ net, address, keep, act }) => {
    keep(net.createServer(keep)).listen(address, 1);
    for (let count = 0; count < 10; count += 1) keep(net.connect(address)).on('error', () => {});
    act();
  },

  "in 'connection'": ({ net, address, keep, act }) => {
    const server = net.createServer((peer) => {
      keep(peer);
      act();
    });
    keep(server).listen(address);
    keep(net.connect(address));
  },

  "in 'connect'": ({ net, address, keep, act }) => {
    keep(net.createServer(keep)).listen(address);
    keep(net.connect(address, act));
  },

  'connected and idle': ({ net, address, keep, act }) => {
    const server = net.createServer((peer) => {
      keep(peer);
      setImmediate(() => setImmediate(act));
    });
    keep(server).listen(address);
    keep(net.connect(address));
  },

  'a pair from socketpair()': ({ net, keep, act }) => {
    const [one, other] = net.socketpair();
    keep(one).write('x');
    keep(other).on('data', act);
  },

  "in 'data'": ({ net, address, keep, act }) => {
    keep(net.createServer((peer) => keep(peer).once('data', act))).listen(address);
    keep(net.connect(address)).write('x');
  },

  "in 'readable'": ({ net, address, keep, act }) => {
    keep(net.createServer((peer) => keep(peer).once('readable', act))).listen(address);
    keep(net.connect(address)).write('x');
  },

  'in the callback of onread': ({ net, address, keep, act }) => {
    keep(net.createServer((peer) => keep(peer).write('x'))).listen(address);
    let first = true;
    const callback = (): boolean => {
      if (first) act();
      first = false;
      return true;
    };
    const onread = { buffer: new Uint8Array(64), callback };
    keep(net.connect({ path: address, onread }));
  },

  'in the middle of a long read': ({ net, address, keep, act }) => {
    const server = net.createServer((peer) => {
      let chunks = 0;
      keep(peer).on('data', () => {
        if ((chunks += 1) === 3) act();
      });
    });
    keep(server).listen(address);
    keep(net.connect(address)).write(Buffer.alloc(4 << 20));
  },

  "in 'end'": ({ net, address, keep, act }) => {
    keep(net.createServer((peer) => keep(peer).resume().on('end', act))).listen(address);
    keep(net.connect(address)).end('x');
  },

  "in 'close'": ({ net, address, keep, act }) => {
    keep(net.createServer((peer) => keep(peer).resume())).listen(address);
    keep(net.connect(address)).resume().on('close', act).end('x');
  },

  "in the server's 'close'": ({ net, address, keep, act }) => {
    const server = keep(net.createServer());
    server.listen(address, () => server.close(act));
  },

  'in the callback of a write': ({ net, address, keep, act }) => {
    keep(net.createServer((peer) => keep(peer).resume())).listen(address);
    keep(net.connect(address)).write('x', act);
  },

  'in the callback of a long write': ({ net, address, keep, act }) => {
    keep(net.createServer((peer) => keep(peer).resume())).listen(address);
    keep(net.connect(address)).write(Buffer.alloc(4 << 20), act);
  },

  'with a long write under way': ({ net, address, keep, act }) => {
    keep(net.createServer((peer) => keep(peer).pause())).listen(address);
    const client = keep(net.connect(address));
    client.write(Buffer.alloc(64 << 20));
    client.on('connect', () => setImmediate(() => setImmediate(act)));
  },

  'with many short writes held back': ({ net, address, keep, act }) => {
    keep(net.createServer((peer) => keep(peer).pause())).listen(address);
    const client = keep(net.connect(address));
    client.on('connect', () => {
      for (let count = 0; count < 100; count += 1) client.write(Buffer.alloc(16_000, count));
      setImmediate(() => setImmediate(act));
    });
  },

  "in 'drain'": ({ net, address, keep, act }) => {
    keep(net.createServer((peer) => keep(peer).resume())).listen(address);
    const client = keep(net.connect(address));
    client.once('drain', act).write(Buffer.alloc(4 << 20));
  },

  "in 'finish'": ({ net, address, keep, act }) => {
    keep(net.createServer((peer) => keep(peer).resume())).listen(address);
    keep(net.connect(address)).on('finish', act).end('x');
  },

  "in 'error'": ({ net, address, keep, act }) => {
    keep(net.connect(`${address}-that-is-not-there`)).on('error', act);
  },

  "in 'timeout'": ({ net, address, keep, act }) => {
    keep(net.createServer(keep)).listen(address);
    const client = keep(net.connect(address));
    client.once('timeout', act).setTimeout(5);
  },

  'in a timer, with a write not flushed': ({ net, address, keep, act }) => {
    keep(net.createServer((peer) => keep(peer).resume())).listen(address);
    const client = keep(net.connect(address));
    client.on('connect', () => {
      setTimeout(() => {
        client.write('x');
        act();
      }, 1);
    });
  },

  'in a microtask after an event': ({ net, address, keep, act }) => {
    keep(net.createServer((peer) => keep(peer).once('data', () => queueMicrotask(act)))).listen(
      address,
    );
    keep(net.connect(address)).write('x');
  },

  'in a tick after an event': ({ net, address, keep, act }) => {
    keep(net.createServer((peer) => keep(peer).once('data', () => process.nextTick(act)))).listen(
      address,
    );
    keep(net.connect(address)).write('x');
  },

  'busy polling': ({ net, address, keep, act }) => {
    net.configure({ busyPoll: 1000 });
    keep(net.createServer(keep)).listen(address);
    keep(net.connect(address)).on('connect', () => setImmediate(() => setImmediate(act)));
  },

  'in the middle of a batch of 50 sockets': ({ net, address, keep, act }) => {
    let seen = 0;
    const server = net.createServer((peer) => {
      keep(peer).on('data', () => {
        if ((seen += 1) === 25) act();
      });
    });
    keep(server).listen(address);
    for (let count = 0; count < 50; count += 1) keep(net.connect(address)).write('x');
  },

  'with everything closed again': ({ net, address, keep, act }) => {
    const server = keep(net.createServer((peer) => keep(peer).end('x')));
    server.on('close', () => setImmediate(act));
    server.listen(address, () => {
      const client = keep(net.connect(address)).resume();
      client.on('close', () => server.close());
    });
  },
};

export function endAt(
  t: TestContext,
  stage: string,
  action: Action,
  address: string,
): Promise<Ending> {
  const source = `(${String(stages[stage])})`;
  if (action === 'terminate') return terminateAt(t, source, address);
  const parameters = { source, action, address };
  return startLone(t, parameters, ({ net, require, parameters, say }) => {
    const { source, action, address } = parameters;
    const { runInThisContext } = require('node:vm') as typeof import('node:vm');
    const kept = new Set<Socket | Server>();
    let acted = false;
    const ways: Record<Exclude<Action, 'terminate'>, () => void> = {
      exit: () => process.exit(42),
      throw: () => {
        throw new Error('thrown at this stage');
      },
      'close everything': () => {
        for (const one of kept) {
          one.on('error', () => undefined);
          if ('destroy' in one) one.destroy();
          else one.close();
        }
      },
      SIGTERM: () => void process.kill(process.pid, 'SIGTERM'),
    };
    process.on('exit', (code) => say(`exit ${code}`));
    const stage = runInThisContext(source) as Stage;
    stage({
      net,
      address,
      keep: (one) => {
        kept.add(one);
        // What comes after everything was closed is closed as well.
        if (acted && action === 'close everything' && 'destroy' in one) one.destroy();
        return one;
      },
      act: () => {
        if (acted) return;
        acted = true;
        say('acts');
        ways[action]();
      },
    });
  }).ended;
}

/** The stage is reached in a worker, which is terminated there; the process then ends by itself. */
function terminateAt(t: TestContext, source: string, address: string): Promise<Ending> {
  const parameters = { source, address, specifier: afunixSpecifier };
  return startLone(
    t,
    parameters,
    ({ require, parameters, say }) => {
      const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads');
      const program = `
        const { parentPort, workerData } = require('node:worker_threads');
        const net = require(workerData.specifier);
        let acted = false;
        (${parameters.source})({
          net,
          address: workerData.address,
          keep: (one) => one,
          act: () => {
            if (acted) return;
            acted = true;
            parentPort.postMessage('acts');
            // Where it stands it is terminated.
            for (;;);
          },
        });
      `;
      process.on('exit', (code) => say(`exit ${code}`));
      const worker = new Worker(program, { eval: true, workerData: parameters });
      worker.on('message', (line) => {
        say(line);
        void worker.terminate().then((code) => say(`terminated ${code}`));
      });
    },
    // Nothing of the library's in the main thread.
    { specifier: 'node:net' },
  ).ended;
}
