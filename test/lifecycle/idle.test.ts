/** While nothing happens the library does nothing: no system call, no wake-up, no processor time. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { type Afunix, runLone } from '../helpers/lone-process';
import { freshPath } from '../helpers/socket-paths';

interface StateContext {
  readonly net: Afunix;
  readonly address: string;
  /** To be called when there is nothing left to do. */
  idle(): void;
}

interface State {
  readonly enter: (context: StateContext) => void;
  /** System calls of the engine in a second, if it can't be none. */
  readonly calls?: number;
}

/** Each function runs in another process and uses nothing else from this file. */
const states: Readonly<Record<string, State>> = {
  'a listener': {
    enter: ({ net, address, idle }) => void net.createServer().listen(address, idle),
  },
  'two hundred connections': {
    enter: ({ net, address, idle }) => {
      let open = 0;
      const server = net.createServer(() => {
        if ((open += 1) === 200) idle();
      });
      server.listen(address);
      for (let count = 0; count < 200; count += 1) net.connect(address);
    },
  },
  'connections that have talked': {
    enter: ({ net, address, idle }) => {
      let answered = 0;
      const server = net.createServer((peer) => peer.pipe(peer));
      server.listen(address);
      for (let count = 0; count < 50; count += 1) {
        const client = net.connect(address);
        client.write('hello');
        client.on('data', () => {
          if ((answered += 1) === 50) idle();
        });
      }
    },
  },
  'a paused socket with bytes to read': {
    enter: ({ net, idle }) => {
      const [one, other] = net.socketpair();
      other.once('data', () => {
        other.pause();
        one.write(Buffer.alloc(50_000), idle);
      });
      one.write('x');
    },
  },
  'a socket whose reader has had enough': {
    enter: ({ net, idle }) => {
      const [one, other] = net.socketpair();
      other.once('readable', () => idle());
      one.write(Buffer.alloc(10_000_000));
    },
  },
  'a write that the peer does not read': {
    enter: ({ net, idle }) => {
      const [one, other] = net.socketpair();
      other.pause();
      for (let count = 0; count < 1000; count += 1) one.write(Buffer.alloc(1000));
      idle();
    },
  },
  'a paused socket whose peer has ended': {
    enter: ({ net, idle }) => {
      const [one, other] = net.socketpair();
      other.pause();
      one.end('x', idle);
    },
  },
  'a paused socket whose peer has closed': {
    enter: ({ net, idle }) => {
      const [one, other] = net.socketpair();
      other.pause();
      one.write(Buffer.alloc(100_000), () => one.destroy());
      one.on('close', () => idle());
    },
  },
  'half-open sockets': {
    enter: ({ net, address, idle }) => {
      const server = net.createServer({ allowHalfOpen: true }, (peer) => {
        peer.resume().on('end', idle);
      });
      server.listen(address);
      net.connect(address).end('x');
    },
  },
  'sockets that are only referenced': {
    enter: ({ net, idle }) => {
      const sockets = net.socketpair();
      for (const socket of sockets) socket.unref();
      for (const socket of sockets) socket.ref();
      idle();
    },
  },
  'a pair after everything else was closed': {
    enter: ({ net, address, idle }) => {
      const server = net.createServer((peer) => peer.end());
      const pair: Socket[] = net.socketpair();
      server.listen(address);
      const client = net.connect(address).resume();
      client.on('close', () => server.close(() => idle()));
      pair[0]?.write('x');
    },
  },
  'a connection that was busy-polled before it became silent': {
    enter: ({ net, idle }) => {
      net.configure({ busyPoll: 200 });
      const [one, other] = net.socketpair();
      other.once('data', idle);
      one.write('x');
    },
  },
  'a connection that waits for room in a backlog': {
    // It looks again every 50 ms: what it takes is an alarm, an attempt, and setting the next alarm.
    calls: 150,
    enter: ({ net, address, idle }) => {
      // eslint-disable-next-line @typescript-eslint/no-require-imports -- programs under test do such things
      const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads');
      const program = `
        const { parentPort, workerData } = require('node:worker_threads');
        require('node:net').createServer().listen(workerData, 1, () => {
          parentPort.postMessage('listening');
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
        });
      `;
      const worker = new Worker(program, { eval: true, workerData: address });
      worker.on('message', () => {
        for (let count = 0; count < 3; count += 1) net.connect(address);
        // By then it waits as long as it ever does.
        setTimeout(idle, 300);
      });
    },
  },
};

interface Second {
  readonly calls: number;
  readonly wakeups: number;
  readonly milliseconds: number;
  readonly switches: number;
}

for (const [name, { enter, calls = 0 }] of Object.entries(states)) {
  test(`nothing happens with ${name}`, async (t) => {
    const parameters = { address: freshPath(t), enter: `(${String(enter)})` };
    const lines = await runLone(t, parameters, ({ net, require, parameters, say }) => {
      const fs = require('node:fs') as typeof import('node:fs');
      const { runInThisContext } = require('node:vm') as typeof import('node:vm');
      Object.assign(globalThis, { require });
      const enter = runInThisContext(parameters.enter) as State['enter'];
      /** How often this thread went to sleep. */
      const sleeps = (): number => {
        const status = fs.readFileSync(`/proc/self/task/${process.pid}/status`, 'latin1');
        return Number(/^voluntary_ctxt_switches:\s*(\d+)$/m.exec(status)?.[1]);
      };
      const measure = (): void => {
        const [stats, cpu, switches] = [net.stats(), process.cpuUsage(), sleeps()];
        setTimeout(() => {
          const { user, system } = process.cpuUsage(cpu);
          const after = net.stats();
          const second: Second = {
            calls: after.syscalls - stats.syscalls,
            wakeups: after.wakeups - stats.wakeups,
            milliseconds: (user + system) / 1000,
            switches: sleeps() - switches,
          };
          say(JSON.stringify(second));
          process.exit(0);
        }, 1000);
      };
      let called = false;
      enter({
        net,
        address: parameters.address,
        idle: () => {
          if (called) return;
          called = true;
          // What was begun has settled when this many turns found nothing to do.
          let quiet = 0;
          let before = net.stats().syscalls;
          const settle = (): void => {
            const { syscalls } = net.stats();
            quiet = syscalls === before ? quiet + 1 : 0;
            before = syscalls;
            if (quiet === 3) measure();
            else setTimeout(settle, 10);
          };
          settle();
        },
      });
    });
    const seen = JSON.parse(lines.join('\n')) as Second;
    assert.ok(seen.calls <= calls, `${seen.calls} system calls`);
    assert.equal(seen.wakeups, 0);
    // The second's own timer, and what V8 does behind the scenes.
    assert.ok(seen.switches <= 20 + calls, `${seen.switches} times awake`);
    assert.ok(seen.milliseconds < 100, `${seen.milliseconds} ms of processor time`);
  });
}
