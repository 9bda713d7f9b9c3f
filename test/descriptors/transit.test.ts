/** What transfer() has sent and nobody receives: closed once, whenever the thread ends that it was for, or that it came from. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import net, {
  type Departing,
  type Socket,
  type TransferredServer,
  type TransferredSocket,
} from 'afunix';
import { attempt } from '../helpers/attempt';
import { collectGarbage } from '../helpers/collect-garbage';
import { leavesNothingOpen } from '../helpers/descriptors';
import { runLone } from '../helpers/lone-process';
import { freshPath } from '../helpers/socket-paths';

const descriptors = require.resolve('../helpers/descriptors');

/** Workers per stage: two at a time, with four connections and a listener each. */
const rounds = process.env['AFUNIX_LONG'] === '1' ? 300 : 16;

interface Stage {
  /** What the worker does; it has `net`, `parentPort`, `workerData.sent`. */
  readonly worker: string;
  /** When it is sent something: with workerData, at once, when it says that it is ready, or then and on and on. */
  readonly sent: 'in workerData' | 'at once' | 'when ready' | 'on and on';
  /** When it is terminated; it may end by itself, too. */
  readonly terminated?: 'at once' | 'when ready' | 'a few turns later';
}

const receives = `
  parentPort.on('message', (sent) => {
    for (const one of sent) kept.push(net.receive(one));
  });
  parentPort.postMessage('ready');`;

const stages: Readonly<Record<string, Stage>> = {
  'before it runs': { worker: receives, sent: 'at once', terminated: 'at once' },
  'before it runs, with workerData': {
    worker: `for (const one of workerData.sent) kept.push(net.receive(one));`,
    sent: 'in workerData',
    terminated: 'at once',
  },
  'without listening to messages': {
    worker: `parentPort.postMessage('ready');`,
    sent: 'at once',
    terminated: 'when ready',
  },
  'while it is sent more and more': {
    worker: receives,
    sent: 'on and on',
    terminated: 'a few turns later',
  },
  'with what it has received': {
    worker: receives.replace('});', `parentPort.postMessage('ready'); });`),
    sent: 'at once',
    terminated: 'a few turns later',
  },
  'by its own exit in the message': {
    worker: `parentPort.on('message', () => process.exit(3)); parentPort.postMessage('ready');`,
    sent: 'when ready',
  },
  'by what it throws, with half of it received': {
    worker: `
      parentPort.on('message', ([first]) => {
        kept.push(net.receive(first));
        throw new Error('expected');
      });
      parentPort.postMessage('ready');`,
    sent: 'when ready',
  },
  'after it closed its port': {
    worker: `parentPort.close();`,
    sent: 'at once',
  },
  'after a receive() that failed': {
    worker: `
      parentPort.on('message', (sent) => {
        for (const one of sent) {
          try {
            net.receive(one, { busyPoll: 'wrong', highWaterMark: 'wrong' });
          } catch (error) {
            failed.push(error);
          }
        }
        parentPort.postMessage('ready');
      });`,
    sent: 'at once',
    terminated: 'when ready',
  },
};

for (const [name, stage] of Object.entries(stages)) {
  test(`a worker that ends ${name} leaves nothing open that was for it`, async (t) => {
    const lines = await runLone(
      t,
      { stage, rounds, descriptors, afunix: require.resolve('afunix') },
      async ({ net, require, parameters, say }) => {
        const { stage, rounds, afunix } = parameters;
        const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads');
        const { leavesNothingOpen } = require(
          parameters.descriptors,
        ) as typeof import('../helpers/descriptors');
        const program = `
          const { parentPort, workerData } = require('node:worker_threads');
          const net = require(workerData.afunix);
          const kept = [];
          const failed = [];
          // By itself it goes on.
          const timer = setInterval(() => kept.length + failed.length, 1e6);
          parentPort.on('close', () => clearInterval(timer));
          ${stage.worker}`;
        const server = net.createServer().listen(`\0afunix-transit-${process.pid}`);
        let made = 0;
        const round = (): Promise<unknown> =>
          new Promise((resolve, reject) => {
            const over: Promise<void>[] = [];
            // The other ends hear of it when what was sent is closed: a lost descriptor would be waited for in vain.
            const parcel = () => {
              const sockets = Array.from({ length: 4 }, () => {
                const [here, there] = net.socketpair();
                over.push(
                  new Promise((closed) => {
                    here
                      .on('error', () => undefined)
                      .resume()
                      .on('close', closed);
                  }),
                );
                return net.transfer(there);
              });
              return [...sockets, net.transfer(server)];
            };
            const first = stage.sent === 'in workerData' ? parcel() : [];
            const worker = new Worker(program, { eval: true, workerData: { afunix, sent: first } });
            for (const one of first) one.to(worker);
            const send = (): void => {
              // Addressed before or after it is posted.
              const sent = parcel();
              const late = (made += 1) % 2 === 0;
              if (!late) for (const one of sent) one.to(worker);
              worker.postMessage(sent);
              if (late) for (const one of sent) one.to(worker);
            };
            let turns = made % 5;
            let ended = false;
            const turn = (): void => {
              if (stage.sent === 'on and on') send();
              if ((turns -= 1) < 0) void worker.terminate();
              else if (!ended) setImmediate(turn);
            };
            if (stage.sent === 'at once') send();
            if (stage.terminated === 'at once') setImmediate(turn);
            worker.once('message', () => {
              if (stage.sent === 'when ready') send();
              if (stage.terminated === 'when ready') void worker.terminate();
              if (stage.terminated === 'a few turns later') turn();
            });
            worker.on('error', (error: Error) => {
              if (error.message !== 'expected') reject(error);
            });
            worker.once('exit', () => {
              ended = true;
              // To somebody who is gone already.
              const [here, there] = net.socketpair();
              over.push(new Promise((closed) => here.resume().on('close', closed)));
              worker.postMessage(net.transfer(there).to(worker));
              resolve(Promise.all(over));
            });
          });
        await leavesNothingOpen(() => Promise.all([round(), round()]), Math.ceil(rounds / 2));
        server.close();
        say('done');
      },
      { limit: 100_000 + rounds * 1000 },
    );
    assert.deepEqual(lines, ['done']);
  });
}

/** What the worker does that sends, and is terminated, or exits by itself; it has `net`, `parentPort`, and `turns` that differ. */
const senders: Readonly<Record<string, string>> = {
  'is terminated while it transfers leaves nothing of what it has not sent': `
    let ready = false;
    setImmediate(function again() {
      for (let i = 0; i < 100; i += 1) {
        const [one, other] = net.socketpair();
        net.transfer(other);
        one.destroy();
      }
      kept.push(net.transfer(net.socketpair()[0]), net.transfer(server));
      if (!ready) parentPort.postMessage('ready');
      ready = true;
      setImmediate(again);
    });`,
  'exits while it transfers leaves nothing but what was received': `
    let left = turns;
    setImmediate(function again() {
      // Not in the middle of a postMessage(): of that see docs/decisions/0012.
      if ((left -= 1) < 0) process.exit();
      const [one, other] = net.socketpair();
      one.on('error', () => undefined).write('x');
      parentPort.postMessage(net.transfer(other));
      setImmediate(again);
    });`,
};

for (const [name, program] of Object.entries(senders)) {
  test(`a worker that ${name}`, async (t) => {
    const lines = await runLone(
      t,
      { program, rounds, descriptors, afunix: require.resolve('afunix') },
      async ({ net, require, parameters, say }) => {
        const { program, rounds, afunix } = parameters;
        const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads');
        const { leavesNothingOpen } = require(
          parameters.descriptors,
        ) as typeof import('../helpers/descriptors');
        const source = `
          const { parentPort, workerData, threadId } = require('node:worker_threads');
          const net = require(workerData.afunix);
          const kept = [];
          const turns = threadId % 50;
          process.removeAllListeners('warning');
          const server = net.createServer().listen('\\0afunix-sender-' + process.pid + '-' + threadId);
          ${program}`;
        let made = 0;
        const round = (): Promise<unknown> =>
          new Promise((resolve, reject) => {
            const over: Promise<void>[] = [];
            const worker = new Worker(source, { eval: true, workerData: { afunix } });
            worker.on('message', (sent: TransferredSocket | 'ready') => {
              if (sent === 'ready') {
                setTimeout(() => void worker.terminate(), (made += 1) % 7);
                return;
              }
              const socket = net.receive(sent).resume();
              over.push(new Promise((closed) => socket.on('close', closed)));
              socket.on('error', () => undefined);
            });
            worker.on('error', reject);
            worker.once('exit', () => setImmediate(() => resolve(Promise.all(over))));
          });
        await leavesNothingOpen(() => Promise.all([round(), round()]), Math.ceil(rounds / 2));
        say('done');
      },
      { limit: 100_000 + rounds * 1000, env: { NODE_NO_WARNINGS: '1' } },
    );
    assert.deepEqual(lines, ['done']);
  });
}

/** Streams of files have no handle that Node would close with the thread. */
test('a worker that is terminated with file streams over descriptors leaves none of them open', async () => {
  const program = `
    const { parentPort } = require('node:worker_threads');
    const { RawSocket, Descriptor } = require(${JSON.stringify(require.resolve('afunix/raw'))});
    const kept = [];
    setImmediate(function again() {
      for (let i = 0; i < 20; i += 1) {
        const [left, right] = RawSocket.socketpair('stream');
        const writer = left.detach().toWriteStream().on('error', () => undefined);
        const reader = right.detach().toReadStream().on('error', () => undefined);
        if (i % 2 === 0) kept.push(reader, writer);
        else writer.end('x', () => reader.resume());
      }
      parentPort.postMessage('ready');
      if (kept.length < 200) setImmediate(again);
    });`;
  let made = 0;
  await leavesNothingOpen(async () => {
    const worker = new Worker(program, { eval: true });
    for (let count = (made += 1) % 3; count >= 0; count -= 1) await once(worker, 'message');
    await worker.terminate();
  }, 25);
});

function sent(t: TestContext): [Socket, Departing<TransferredSocket>] {
  const [here, there] = net.socketpair();
  t.after(() => here.destroy());
  return [here.on('error', () => undefined).resume(), net.transfer(there)];
}

/** Collects garbage until that has been heard of. */
async function collected(heardOf: Promise<unknown>): Promise<void> {
  let over = false;
  void heardOf.then(() => (over = true));
  while (!over) {
    collectGarbage();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('it is received once: a second time it is EBADF, and the first one goes on', async (t) => {
  const [here, departing] = sent(t);
  const first = net.receive(departing);
  for (const other of [departing, structuredClone({ ...departing })]) {
    const error = attempt(() => net.receive(other)) as NodeJS.ErrnoException & { hint: string };
    assert.equal(error.code, 'EBADF');
    assert.match(error.hint, /received already/);
  }
  departing.close();
  here.write('still open');
  const [chunk] = (await once(first, 'data')) as [Buffer];
  assert.equal(chunk.toString(), 'still open');
  first.destroy();
  await once(here, 'close');
});

test('close() takes it back, whether or not a message has it, and so does `using`', async (t) => {
  const { port1, port2 } = new MessageChannel();
  t.after(() => port1.close());
  for (const post of [false, true]) {
    const [here, departing] = sent(t);
    if (post) port1.postMessage(departing);
    if (post) departing.close();
    else departing[Symbol.dispose]();
    await once(here, 'close');
  }
  const { message } = receiveMessageOnPort(port2) as { message: TransferredSocket };
  assert.throws(() => net.receive(message), { code: 'EBADF' });
});

test('what could not be received can be received again', async (t) => {
  const path = freshPath(t);
  const server = net.createServer().listen(path);
  const listener = structuredClone({ ...net.transfer(server) }) as unknown as TransferredServer;
  const [here, departing] = sent(t);
  const wrong = { busyPoll: -1 };
  assert.throws(() => net.receive(departing, wrong), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => net.receive(listener, wrong), { code: 'ERR_OUT_OF_RANGE' });
  const copy = net.receive(listener).close();
  await once(copy, 'close');
  net.receive(departing).destroy();
  await once(here, 'close');
  server.close();
});

test('what could not be received can be received again although its sender has let go of it', async (t) => {
  const warned = t.mock.method(process, 'emitWarning', () => undefined);
  const { port1, port2 } = new MessageChannel();
  t.after(() => port1.close());
  let finalized = (): void => undefined;
  const registry = new FinalizationRegistry(() => finalized());
  const gone = new Promise<void>((resolve) => (finalized = resolve));
  const here = ((): Socket => {
    const [here, departing] = sent(t);
    port1.postMessage(departing);
    registry.register(departing, undefined);
    return here;
  })();
  const { message } = receiveMessageOnPort(port2) as { message: TransferredSocket };
  assert.throws(() => net.receive(message, { busyPoll: -1 }), { code: 'ERR_OUT_OF_RANGE' });
  await collected(gone);
  // Finalizers of one collection run one after the other.
  await new Promise((resolve) => setImmediate(resolve));
  net.receive(message).end('alive');
  const [chunk] = (await once(here, 'data')) as [Buffer];
  assert.equal(chunk.toString(), 'alive');
  assert.equal(warned.mock.callCount(), 0);
});

test('what only its sender tried to receive, in vain, is closed with a warning when it is collected', async (t) => {
  const warned = once(process, 'warning');
  const here = ((): Socket => {
    const [here, departing] = sent(t);
    assert.throws(() => net.receive(departing, { busyPoll: -1 }), { code: 'ERR_OUT_OF_RANGE' });
    return here;
  })();
  await collected(once(here, 'close'));
  const [warning] = (await warned) as [NodeJS.ErrnoException];
  assert.equal(warning.code, 'AFUNIX_UNCLAIMED_DESCRIPTOR');
});

test('whom it is for is not forgotten when its sender tries to receive it, in vain', async (t) => {
  const program = `require('node:worker_threads').parentPort.on('message', () => undefined)`;
  const worker = new Worker(program, { eval: true });
  await once(worker, 'online');
  const [here, departing] = sent(t);
  departing.to(worker);
  assert.throws(() => net.receive(departing, { busyPoll: -1 }), { code: 'ERR_OUT_OF_RANGE' });
  worker.postMessage(departing);
  const closed = once(here, 'close');
  await worker.terminate();
  await closed;
});

test('what nobody sends is closed with a warning when it is collected; what a message has is not', async (t) => {
  const { port1, port2 } = new MessageChannel();
  t.after(() => port1.close());
  const warned = once(process, 'warning');
  const [forgotten] = ((): [Socket] => [sent(t)[0]])();
  const kept = ((): Socket => {
    const [here, departing] = sent(t);
    port1.postMessage(departing);
    return here;
  })();
  await collected(once(forgotten, 'close'));
  const [warning] = (await warned) as [NodeJS.ErrnoException];
  assert.equal(warning.code, 'AFUNIX_UNCLAIMED_DESCRIPTOR');
  const { message } = receiveMessageOnPort(port2) as { message: TransferredSocket };
  net.receive(message).end('alive');
  const [chunk] = (await once(kept, 'data')) as [Buffer];
  assert.equal(chunk.toString(), 'alive');
});

test('one that another thread received is not closed when the worker ends that it was for', async (t) => {
  const worker = new Worker('setInterval(() => undefined, 1e6)', { eval: true });
  const [here, departing] = sent(t);
  const received = net.receive(structuredClone({ ...departing.to(worker) }));
  await worker.terminate();
  here.write('still open');
  await once(received, 'data');
  received.destroy();
});

test('to() takes workers, and says what else it was given', (t) => {
  const [, departing] = sent(t);
  for (const given of [null, 1, {}, new MessageChannel().port1.unref()]) {
    assert.throws(() => departing.to(given as unknown as Worker), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  departing.close();
  for (const ticket of [undefined, '1', 1.5, -1, 2 ** 40]) {
    const transferred = { transferred: 'socket', ticket, head: new Uint8Array() };
    assert.throws(() => net.receive(transferred as TransferredSocket), {
      code: /^(ERR_INVALID_ARG_TYPE|ERR_OUT_OF_RANGE|EBADF)$/,
    });
  }
});
