/**
 * What a user's callback throws reaches 'uncaughtException' once, and costs nobody anything: neither
 * the other sockets of the same batch, nor the one that threw.
 */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { type Afunix, runLone, startLone } from '../helpers/lone-process';
import { freshPath } from '../helpers/socket-paths';

/** In which way the callback fails; `fail` never returns where it throws at once. */
const manners: Readonly<Record<string, (fail: () => never) => void>> = {
  'throws at once': (fail) => fail(),
  'throws in a tick': (fail) => process.nextTick(fail),
  'throws in a microtask': (fail) => queueMicrotask(fail),
  'throws in an immediate': (fail) => void setImmediate(fail),
  rejects: (fail) => void Promise.resolve().then(fail),
  'throws in a tick, then at once': (fail) => {
    process.nextTick(fail);
    fail();
  },
};

interface Place {
  /** Sets up `count` connections that all fail once; must use nothing else from its file. */
  readonly run: (context: PlaceContext) => void;
}

interface PlaceContext {
  readonly net: Afunix;
  readonly address: string;
  readonly count: number;
  /** Is called in the callback that fails. */
  readonly fail: () => void;
  /** To be called with what every connection received, when all of them are over. */
  readonly over: (received: readonly string[]) => void;
  /** Calls back when every one of `sockets` has emitted 'close'. */
  whenClosed(sockets: readonly Socket[], callback: () => void): void;
}

const places: Readonly<Record<string, Place>> = {
  "'data'": {
    run: ({ net, address, count, fail, over, whenClosed }) => {
      const received = Array.from({ length: count }, () => '');
      const peers: Socket[] = [];
      const clients: Socket[] = [];
      const server = net.createServer((peer) => {
        const number = peers.push(peer) - 1;
        peer.on('data', (chunk) => {
          received[number] += String(chunk);
          if (received[number] === 'hello') fail();
        });
        if (peers.length < count) return;
        // All of them in one tick, and so in one batch of the other side.
        for (const client of clients) client.write('hello');
        setTimeout(() => clients.forEach((client) => client.end(' and goodbye')), 20);
        whenClosed([...clients, ...peers], () => server.close(() => over(received)));
      });
      server.listen(address);
      for (let number = 0; number < count; number += 1) clients.push(net.connect(address).resume());
    },
  },

  "'end'": {
    run: ({ net, address, count, fail, over, whenClosed }) => {
      const received = Array.from({ length: count }, () => '');
      const peers: Socket[] = [];
      const clients: Socket[] = [];
      const server = net.createServer((peer) => {
        const number = peers.push(peer) - 1;
        peer.on('data', (chunk) => (received[number] += String(chunk)));
        peer.on('end', fail);
        if (peers.length < count) return;
        for (const client of clients) client.end('hello and goodbye');
        whenClosed([...clients, ...peers], () => server.close(() => over(received)));
      });
      server.listen(address);
      for (let number = 0; number < count; number += 1) clients.push(net.connect(address).resume());
    },
  },

  "'close'": {
    run: ({ net, address, count, fail, over, whenClosed }) => {
      const received = Array.from({ length: count }, () => '');
      const peers: Socket[] = [];
      const clients: Socket[] = [];
      const server = net.createServer((peer) => {
        const number = peers.push(peer) - 1;
        peer.on('data', (chunk) => (received[number] += String(chunk)));
        peer.on('close', fail);
        if (peers.length < count) return;
        whenClosed([...clients, ...peers], () => server.close(() => over(received)));
        for (const client of clients) client.end('hello and goodbye');
      });
      server.listen(address);
      for (let number = 0; number < count; number += 1) clients.push(net.connect(address).resume());
    },
  },

  "'connection'": {
    run: ({ net, address, count, fail, over, whenClosed }) => {
      const received = Array.from({ length: count }, () => '');
      const peers: Socket[] = [];
      const clients: Socket[] = [];
      const server = net.createServer((peer) => {
        const number = peers.push(peer) - 1;
        peer.on('data', (chunk) => (received[number] += String(chunk)));
        if (peers.length === count) {
          whenClosed([...clients, ...peers], () => server.close(() => over(received)));
          for (const client of clients) client.end('hello and goodbye');
        }
        fail();
      });
      server.listen(address);
      for (let number = 0; number < count; number += 1) clients.push(net.connect(address).resume());
    },
  },

  "'connect'": {
    run: ({ net, address, count, fail, over, whenClosed }) => {
      const received = Array.from({ length: count }, () => '');
      const peers: Socket[] = [];
      const clients: Socket[] = [];
      const server = net.createServer((peer) => {
        const number = peers.push(peer) - 1;
        peer.on('data', (chunk) => (received[number] += String(chunk)));
        if (peers.length === count) {
          whenClosed([...clients, ...peers], () => server.close(() => over(received)));
        }
      });
      server.listen(address);
      for (let number = 0; number < count; number += 1) {
        const client = net.connect(address).resume();
        clients.push(client);
        client.on('connect', () => {
          client.end('hello and goodbye');
          fail();
        });
      }
    },
  },

  'the callback of a write': {
    run: ({ net, address, count, fail, over, whenClosed }) => {
      const received = Array.from({ length: count }, () => '');
      const peers: Socket[] = [];
      const clients: Socket[] = [];
      const server = net.createServer((peer) => {
        const number = peers.push(peer) - 1;
        peer.on('data', (chunk) => (received[number] += String(chunk)));
        if (peers.length < count) return;
        whenClosed([...clients, ...peers], () => server.close(() => over(received)));
        for (const client of clients) {
          client.write('hello', fail);
          client.end(' and goodbye');
        }
      });
      server.listen(address);
      for (let number = 0; number < count; number += 1) clients.push(net.connect(address).resume());
    },
  },

  "'drain'": {
    run: ({ net, address, count, fail, over, whenClosed }) => {
      const received = Array.from({ length: count }, () => '');
      const peers: Socket[] = [];
      const clients: Socket[] = [];
      const server = net.createServer((peer) => {
        const number = peers.push(peer) - 1;
        let bytes = 0;
        peer.on('data', (chunk) => (bytes += chunk.length));
        peer.on('end', () => (received[number] = bytes === 1_000_000 ? 'hello and goodbye' : `${bytes} bytes`));
        if (peers.length < count) return;
        whenClosed([...clients, ...peers], () => server.close(() => over(received)));
        for (const client of clients) {
          client.once('drain', () => {
            client.end();
            fail();
          });
          if (client.write(Buffer.alloc(1_000_000))) throw new Error('there was room for everything');
        }
      });
      server.listen(address);
      for (let number = 0; number < count; number += 1) clients.push(net.connect(address).resume());
    },
  },

  "'error'": {
    run: ({ net, address, count, fail, over, whenClosed }) => {
      const sockets: Socket[] = [];
      for (let number = 0; number < count; number += 1) {
        sockets.push(net.connect(address).on('error', fail));
      }
      whenClosed(sockets, () => over(sockets.map(() => 'hello and goodbye')));
    },
  },

  'the callback of onread': {
    run: ({ net, address, count, fail, over, whenClosed }) => {
      const received = Array.from({ length: count }, () => '');
      const peers: Socket[] = [];
      const clients: Socket[] = [];
      const server = net.createServer((peer) => {
        peers.push(peer);
        if (peers.length < count) return;
        whenClosed([...clients, ...peers], () => server.close(() => over(received)));
        for (const peer of peers) peer.write('hello');
        setTimeout(() => peers.forEach((peer) => peer.end(' and goodbye')), 20);
      });
      server.listen(address);
      for (let number = 0; number < count; number += 1) {
        const buffer = Buffer.alloc(1000);
        const callback = (length: number): boolean => {
          received[number] += buffer.toString('latin1', 0, length);
          if (received[number] === 'hello') fail();
          return true;
        };
        clients.push(net.connect({ path: address, onread: { buffer, callback } }));
      }
    },
  },
};

interface Case {
  readonly place: string;
  readonly manner: string;
  /** One of them fails, or all do. */
  readonly failing: number;
}

async function check(t: TestContext, { place, manner, failing }: Case): Promise<void> {
  const count = 100;
  const parameters = {
    address: freshPath(t),
    count,
    failing,
    run: `(${String(places[place]?.run)})`,
    manner: `(${String(manners[manner])})`,
  };
  const lines = await runLone(t, parameters, ({ net, require, parameters, say }) => {
    const { runInThisContext } = require('node:vm') as typeof import('node:vm');
    const { AsyncLocalStorage } = require('node:async_hooks') as typeof import('node:async_hooks');
    const { address, count, failing } = parameters;
    const run = runInThisContext(parameters.run) as Place['run'];
    const manner = runInThisContext(parameters.manner) as (fail: () => never) => void;
    const storage = new AsyncLocalStorage<string>();
    const caught: string[] = [];
    let called = 0;
    let thrown = 0;
    let microtasks = 0;
    let ticks = 0;
    process.on('uncaughtException', (error) => {
      caught.push(error.message);
      // Far more than can be right: this would go on for ever.
      if (caught.length > 10 * count) process.exit(3);
    });
    const fail = (): void => {
      called += 1;
      if (called > failing) return;
      queueMicrotask(() => (microtasks += 1));
      process.nextTick(() => (ticks += 1));
      const number = called;
      let attempt = 0;
      manner(() => {
        thrown += 1;
        attempt += 1;
        throw new Error(`${number}.${attempt}`);
      });
    };
    const whenClosed = (sockets: readonly Socket[], callback: () => void): void => {
      let open = sockets.length;
      for (const socket of sockets) {
        socket.on('close', () => {
          if ((open -= 1) === 0) setImmediate(() => setImmediate(callback));
        });
      }
    };
    const over = (received: readonly string[]): void => {
      const outside = storage.getStore();
      say(JSON.stringify({ called, thrown, caught, microtasks, ticks, received, outside }));
    };
    storage.run('inside', () => run({ net, address, count, fail, over, whenClosed }));
  });
  const seen = JSON.parse(lines.join('\n')) as {
    called: number;
    thrown: number;
    caught: string[];
    microtasks: number;
    ticks: number;
    received: string[];
    outside?: string;
  };
  assert.equal(seen.called, count, 'each callback is called once');
  assert.equal(new Set(seen.caught).size, seen.caught.length, 'none is told twice');
  assert.equal(seen.caught.length, seen.thrown, 'each is told');
  assert.equal(seen.thrown, manner.includes(',') ? 2 * failing : failing);
  assert.deepEqual([seen.microtasks, seen.ticks], [failing, failing]);
  assert.deepEqual(new Set(seen.received), new Set(['hello and goodbye']));
  assert.equal(seen.outside, 'inside', 'contexts are as they were');
}

for (const place of Object.keys(places)) {
  for (const manner of Object.keys(manners)) {
    test(`1 of 100 ${manner} in ${place}: the others lose nothing`, (t) =>
      check(t, { place, manner, failing: 1 }));
    test(`each of 100 ${manner} in ${place}: nobody loses anything`, (t) =>
      check(t, { place, manner, failing: 100 }));
  }
}

test('anything can be thrown', async (t) => {
  const lines = await runLone(t, { address: freshPath(t) }, ({ net, parameters, say }) => {
    const values: unknown[] = [undefined, null, 0, '', 'text', Symbol('s'), { code: 'x' }, () => 1, NaN];
    const caught: unknown[] = [];
    process.on('uncaughtException', (value) => caught.push(value));
    const server = net.createServer((peer) => {
      peer.on('data', (chunk) => {
        const [number] = chunk as Buffer;
        throw values[number ?? 0];
      });
      peer.on('close', () => {
        server.close();
        say(caught.length === values.length && caught.every((value, index) => Object.is(value, values[index])));
      });
    });
    server.listen(parameters.address);
    const client = net.connect(parameters.address).resume();
    let number = 0;
    const next = (): void => {
      if (number === values.length) client.end();
      else client.write(Buffer.of(number++), () => setTimeout(next, 2));
    };
    client.on('connect', next);
  });
  assert.deepEqual(lines, ['true']);
});

test("an exception in 'uncaughtException' itself ends the process with code 7", async (t) => {
  const { code, signal, stderr } = await startLone(t, { address: freshPath(t) }, ({ net, parameters }) => {
    process.on('uncaughtException', () => {
      throw new Error('the second');
    });
    net.createServer((peer) => peer.on('data', () => JSON.parse('{'))).listen(parameters.address);
    net.connect(parameters.address).write('x');
  }).ended;
  assert.deepEqual({ code, signal }, { code: 7, signal: null });
  assert.match(stderr, /the second/);
});

test('setUncaughtExceptionCaptureCallback gets each exception once', async (t) => {
  const lines = await runLone(t, { address: freshPath(t) }, ({ net, parameters, say }) => {
    const caught: string[] = [];
    process.setUncaughtExceptionCaptureCallback((error: Error) => void caught.push(error.message));
    const server = net.createServer((peer) => {
      peer.on('data', (chunk) => {
        throw new Error(String(chunk));
      });
      peer.on('close', () => {
        server.close();
        say(caught.join());
      });
    });
    server.listen(parameters.address);
    const client = net.connect(parameters.address).resume();
    client.write('first', () => setTimeout(() => client.end('second'), 5));
  });
  assert.deepEqual(lines, ['first,second']);
});
