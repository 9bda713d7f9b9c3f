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
  rejects: (fail) => void Promise.resolve().then(fail),
  'throws in a tick, then at once': (fail) => {
    process.nextTick(fail);
    fail();
  },
};

interface PlaceContext {
  readonly net: Afunix;
  readonly address: string;
  readonly count: number;
  /** Is called in the callback that fails. */
  readonly fail: () => void;
  /** To be called with what every connection received, when all of them are over. */
  readonly over: (received: readonly string[]) => void;
  /** Calls back when as many sockets as this were passed to `open` and have emitted 'close'. */
  whenClosed(sockets: number, callback: () => void): void;
  open(socket: Socket): Socket;
}

/** Sets up `count` connections that all fail once; uses nothing else from its file. */
type Place = (context: PlaceContext) => void;

const places: Readonly<Record<string, Place>> = {
  "'data'": ({ net, address, count, fail, over, open, whenClosed }) => {
    const received = Array.from({ length: count }, () => '');
    const peers: Socket[] = [];
    const clients: Socket[] = [];
    let greeted = 0;
    const sayGoodbye = (): void => clients.forEach((client) => client.end(' and goodbye'));
    const server = net.createServer((peer) => {
      const number = peers.push(open(peer)) - 1;
      peer.on('data', (chunk) => {
        received[number] += String(chunk);
        if (received[number] !== 'hello') return;
        if ((greeted += 1) === count) setImmediate(sayGoodbye);
        fail();
      });
      if (peers.length < count) return;
      // All of them in one tick, and so in one batch of the other side.
      for (const client of clients) client.write('hello');
      whenClosed(2 * count, () => server.close(() => over(received)));
    });
    server.listen(address);
    for (let number = 0; number < count; number += 1)
      clients.push(open(net.connect(address).resume()));
  },

  "'end'": ({ net, address, count, fail, over, open, whenClosed }) => {
    const received = Array.from({ length: count }, () => '');
    const peers: Socket[] = [];
    const clients: Socket[] = [];
    const server = net.createServer({ allowHalfOpen: true }, (peer) => {
      const number = peers.push(open(peer)) - 1;
      peer.on('data', (chunk) => (received[number] += String(chunk)));
      peer.on('end', () => {
        peer.end();
        fail();
      });
      if (peers.length < count) return;
      for (const client of clients) client.end('hello and goodbye');
      whenClosed(2 * count, () => server.close(() => over(received)));
    });
    server.listen(address);
    for (let number = 0; number < count; number += 1)
      clients.push(open(net.connect(address).resume()));
  },

  "'close'": ({ net, address, count, fail, over, open, whenClosed }) => {
    const received = Array.from({ length: count }, () => '');
    const peers: Socket[] = [];
    const clients: Socket[] = [];
    const server = net.createServer((peer) => {
      const number = peers.push(open(peer)) - 1;
      peer.on('data', (chunk) => (received[number] += String(chunk)));
      peer.on('close', fail);
      if (peers.length < count) return;
      whenClosed(2 * count, () => server.close(() => over(received)));
      for (const client of clients) client.end('hello and goodbye');
    });
    server.listen(address);
    for (let number = 0; number < count; number += 1)
      clients.push(open(net.connect(address).resume()));
  },

  "'connection'": ({ net, address, count, fail, over, open, whenClosed }) => {
    const received = Array.from({ length: count }, () => '');
    const peers: Socket[] = [];
    const clients: Socket[] = [];
    const server = net.createServer((peer) => {
      const number = peers.push(open(peer)) - 1;
      peer.on('data', (chunk) => (received[number] += String(chunk)));
      if (peers.length === count) {
        whenClosed(2 * count, () => server.close(() => over(received)));
        for (const client of clients) client.end('hello and goodbye');
      }
      fail();
    });
    server.listen(address);
    for (let number = 0; number < count; number += 1)
      clients.push(open(net.connect(address).resume()));
  },

  "'connect'": ({ net, address, count, fail, over, open, whenClosed }) => {
    const received = Array.from({ length: count }, () => '');
    let peers = 0;
    const server = net.createServer((peer) => {
      const number = peers++;
      open(peer).on('data', (chunk) => (received[number] += String(chunk)));
    });
    whenClosed(2 * count, () => server.close(() => over(received)));
    server.listen(address);
    for (let number = 0; number < count; number += 1) {
      const client = open(net.connect(address));
      // It may not be reading: `net` begins to after 'connect', if nothing was thrown in it.
      client.on('finish', () => client.destroy());
      client.on('connect', () => {
        client.end('hello and goodbye');
        fail();
      });
    }
  },

  'the callback of a write': ({ net, address, count, fail, over, open, whenClosed }) => {
    const received = Array.from({ length: count }, () => '');
    const peers: Socket[] = [];
    const clients: Socket[] = [];
    const server = net.createServer((peer) => {
      const number = peers.push(open(peer)) - 1;
      peer.on('data', (chunk) => (received[number] += String(chunk)));
      if (peers.length < count) return;
      whenClosed(2 * count, () => server.close(() => over(received)));
      for (const client of clients) {
        client.write('hello', fail);
        client.end(' and goodbye');
      }
    });
    server.listen(address);
    for (let number = 0; number < count; number += 1)
      clients.push(open(net.connect(address).resume()));
  },

  "'drain'": ({ net, address, count, fail, over, open, whenClosed }) => {
    const received = Array.from({ length: count }, () => '');
    const peers: Socket[] = [];
    const clients: Socket[] = [];
    const server = net.createServer((peer) => {
      const number = peers.push(open(peer)) - 1;
      let bytes = 0;
      peer.on('data', (chunk) => (bytes += chunk.length));
      peer.on(
        'end',
        () => (received[number] = bytes === 1_000_000 ? 'hello and goodbye' : `${bytes} bytes`),
      );
      if (peers.length < count) return;
      whenClosed(2 * count, () => server.close(() => over(received)));
      for (const client of clients) {
        client.once('drain', () => {
          client.end();
          fail();
        });
        if (client.write(Buffer.alloc(1_000_000))) throw new Error('there was room for everything');
      }
    });
    server.listen(address);
    for (let number = 0; number < count; number += 1)
      clients.push(open(net.connect(address).resume()));
  },

  "'error'": ({ net, address, count, fail, over, open, whenClosed }) => {
    for (let number = 0; number < count; number += 1) open(net.connect(address)).on('error', fail);
    whenClosed(count, () => over([]));
  },

  'the callback of onread': ({ net, address, count, fail, over, open, whenClosed }) => {
    const received = Array.from({ length: count }, () => '');
    const peers: Socket[] = [];
    let greeted = 0;
    const sayGoodbye = (): void => peers.forEach((peer) => peer.end(' and goodbye'));
    const server = net.createServer((peer) => {
      peers.push(open(peer));
      if (peers.length < count) return;
      whenClosed(2 * count, () => server.close(() => over(received)));
      for (const peer of peers) peer.write('hello');
    });
    server.listen(address);
    for (let number = 0; number < count; number += 1) {
      const buffer = Buffer.alloc(1000);
      const callback = (length: number): boolean => {
        received[number] += buffer.toString('latin1', 0, length);
        if (received[number] !== 'hello') return true;
        if ((greeted += 1) === count) setImmediate(sayGoodbye);
        fail();
        return true;
      };
      open(net.connect({ path: address, onread: { buffer, callback } }));
    }
  },
};

interface Seen {
  readonly failing: number;
  readonly called: number;
  readonly thrown: number;
  readonly caught: readonly string[];
  readonly microtasks: number;
  readonly ticks: number;
  readonly received: readonly string[];
}

const count = 100;

/** One of a hundred fails; then, in the same process, all of another hundred do. */
function fails(t: TestContext, place: string, manner: string): Promise<readonly string[]> {
  const parameters = {
    address: freshPath(t),
    count,
    run: `(${String(places[place])})`,
    manner: `(${String(manners[manner])})`,
  };
  return runLone(
    t,
    parameters,
    ({ net, require, parameters, say }) => {
      const { runInThisContext } = require('node:vm') as typeof import('node:vm');
      const { address, count } = parameters;
      const run = runInThisContext(parameters.run) as Place;
      const manner = runInThisContext(parameters.manner) as (fail: () => never) => void;

      const round = (failing: number, next: () => void): void => {
        const caught: string[] = [];
        const seen = { failing, caught, called: 0, thrown: 0, microtasks: 0, ticks: 0 };
        const onException = (error: Error): void => {
          caught.push(error.message);
          // Far more than can be right: this would go on for ever.
          if (caught.length > 10 * count) process.exit(3);
        };
        const fail = (): void => {
          const number = (seen.called += 1);
          if (number > failing) return;
          queueMicrotask(() => (seen.microtasks += 1));
          process.nextTick(() => (seen.ticks += 1));
          let attempt = 0;
          manner(() => {
            seen.thrown += 1;
            attempt += 1;
            throw new Error(`${number}.${attempt}`);
          });
        };
        let closed = 0;
        let awaited = Infinity;
        let finish = (): void => undefined;
        const look = (): void => {
          if (closed === awaited) setImmediate(() => setImmediate(finish));
        };
        const open = (socket: Socket): Socket =>
          // First of all, because a listener that throws ends the row.
          socket.prependListener('close', () => {
            closed += 1;
            look();
          });
        const whenClosed = (sockets: number, callback: () => void): void => {
          awaited = sockets;
          finish = callback;
          look();
        };
        const over = (received: readonly string[]): void => {
          process.off('uncaughtException', onException);
          say(JSON.stringify({ ...seen, received: [...new Set(received)] }));
          next();
        };
        process.on('uncaughtException', onException);
        run({ net, address, count, fail, over, open, whenClosed });
      };
      round(1, () => round(count, () => undefined));
    },
    { limit: 30_000 },
  );
}

for (const place of Object.keys(places)) {
  for (const manner of Object.keys(manners)) {
    test(`one, then each of ${count} ${manner} in ${place}: nobody loses anything`, async (t) => {
      const rounds = (await fails(t, place, manner)).map((line) => JSON.parse(line) as Seen);
      assert.deepEqual(
        rounds.map(({ failing }) => failing),
        [1, count],
      );
      for (const { failing, called, thrown, caught, microtasks, ticks, received } of rounds) {
        assert.equal(called, count, 'each callback is called once');
        assert.equal(new Set(caught).size, caught.length, 'none is told twice');
        assert.equal(caught.length, thrown, 'each is told');
        assert.equal(thrown, manner.includes(',') ? 2 * failing : failing);
        assert.deepEqual([microtasks, ticks], [failing, failing]);
        assert.deepEqual(received, place === "'error'" ? [] : ['hello and goodbye']);
      }
    });
  }
}

test('anything can be thrown', async (t) => {
  const lines = await runLone(t, { address: freshPath(t) }, ({ net, parameters, say }) => {
    const values = [undefined, null, 0, '', 'text', Symbol('s'), { code: 'x' }, () => 1, NaN];
    const caught: unknown[] = [];
    const server = net.createServer((peer) => {
      peer.on('data', (chunk: Buffer) => {
        // eslint-disable-next-line @typescript-eslint/only-throw-error -- programs under test do such things
        throw values[chunk[0] ?? 0];
      });
      peer.on('close', () => {
        server.close();
        say(caught.length);
        say(caught.every((value, index) => Object.is(value, values[index])));
      });
    });
    server.listen(parameters.address);
    const client = net.connect(parameters.address).resume();
    const provoke = (): void => {
      if (caught.length === values.length) client.end();
      else client.write(Buffer.of(caught.length));
    };
    client.on('connect', provoke);
    process.on('uncaughtException', (value: unknown) => {
      caught.push(value);
      provoke();
    });
  });
  assert.deepEqual(lines, ['9', 'true']);
});

test("an exception in 'uncaughtException' itself ends the process with code 7", async (t) => {
  const lone = startLone(t, { address: freshPath(t) }, ({ net, parameters }) => {
    process.on('uncaughtException', () => {
      throw new Error('the second');
    });
    // eslint-disable-next-line @typescript-eslint/no-unsafe-return -- programs under test do such things
    const server = net.createServer((peer) => peer.on('data', () => JSON.parse('{')));
    server.listen(parameters.address);
    net.connect(parameters.address).write('x');
  });
  const { code, signal, stderr } = await lone.ended;
  assert.deepEqual({ code, signal }, { code: 7, signal: null });
  assert.match(stderr, /the second/);
});

test('setUncaughtExceptionCaptureCallback gets each exception once', async (t) => {
  const lines = await runLone(t, { address: freshPath(t) }, ({ net, parameters, say }) => {
    const server = net.createServer((peer) => {
      peer.on('data', (chunk) => {
        throw new Error(String(chunk));
      });
      peer.on('close', () => server.close());
    });
    server.listen(parameters.address);
    const client = net.connect(parameters.address).resume();
    client.write('first');
    process.setUncaughtExceptionCaptureCallback((error: Error) => {
      say(error.message);
      if (error.message === 'first') client.end('second');
    });
  });
  assert.deepEqual(lines, ['first', 'second']);
});
