/** What must not be kept from the garbage collector, counted in a child of its own. */
import assert from 'node:assert/strict';
import { scenario } from './scenario';
import { type ChildBody, inChild } from '../helpers/child';

const execArgv = ['--expose-gc'];

/** How many of these many objects may still be held by a frame or a register. */
const made = 60;
const mayRemain = 3;

function collectable(what: string, body: ChildBody): void {
  scenario(what, async (stage) => {
    const outcome = await inChild(stage, stage.path(), body, { execArgv });
    assert.deepEqual({ ...outcome, stdout: '' }, { code: 0, signal: null, stdout: '', stderr: '' });
    const [collected = NaN, of] = outcome.stdout.trim().split(' of ').map(Number);
    assert.equal(of, made, outcome.stdout);
    assert.ok(collected >= made - mayRemain, `${outcome.stdout.trim()} collected`);
  });
}

collectable('sockets that connected, talked and closed are collectable, and so are those accepted', ({ net, address, say }) => {
  const made = 60;
  const gc = (globalThis as unknown as { gc(): void }).gc;
  let collected = 0;
  const registry = new FinalizationRegistry(() => (collected += 1));
  const server = net.createServer((peer) => {
    registry.register(peer, undefined);
    peer.on('data', (chunk: Buffer) => peer.end(chunk));
  });
  const connectOne = (): Promise<void> =>
    new Promise((resolve) => {
      const client = net.connect(address);
      registry.register(client, undefined);
      client.on('connect', () => client.write('x'));
      client.resume();
      client.on('close', () => resolve());
    });
  server.listen(address, () => {
    void (async () => {
      for (let number = 0; number < made / 2; number += 1) await connectOne();
      for (let round = 0; round < 200 && collected < made; round += 1) {
        await new Promise((resolve) => setImmediate(resolve));
        gc();
      }
      say(`${collected} of ${made}`);
      server.close();
    })();
  });
});

collectable('sockets destroyed while connected, with data pending, are collectable', ({ net, address, say }) => {
  const made = 60;
  const gc = (globalThis as unknown as { gc(): void }).gc;
  let collected = 0;
  const registry = new FinalizationRegistry(() => (collected += 1));
  const server = net.createServer((peer) => {
    peer.on('error', () => undefined);
    peer.pause();
  });
  const destroyOne = (): Promise<void> =>
    new Promise((resolve) => {
      const client = net.connect(address, () => {
        client.write(Buffer.alloc(1_000_000), () => undefined);
        client.write('behind it', () => undefined);
        client.destroy();
      });
      registry.register(client, undefined);
      client.on('error', () => undefined);
      client.on('close', () => resolve());
    });
  server.listen(address, () => {
    void (async () => {
      for (let number = 0; number < made; number += 1) await destroyOne();
      for (let round = 0; round < 200 && collected < made; round += 1) {
        await new Promise((resolve) => setImmediate(resolve));
        gc();
      }
      say(`${collected} of ${made}`);
      process.exit(0);
    })();
  });
});

collectable('sockets that were never connected are collectable without being destroyed', ({ net, say }) => {
  const made = 60;
  const gc = (globalThis as unknown as { gc(): void }).gc;
  let collected = 0;
  const registry = new FinalizationRegistry(() => (collected += 1));
  const make = (): void => {
    const socket = new net.Socket();
    socket.on('data', () => undefined);
    registry.register(socket, undefined);
  };
  void (async () => {
    for (let number = 0; number < made; number += 1) make();
    for (let round = 0; round < 200 && collected < made; round += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      gc();
    }
    say(`${collected} of ${made}`);
  })();
});

collectable('sockets whose connect failed are collectable', ({ net, address, say }) => {
  const made = 60;
  const gc = (globalThis as unknown as { gc(): void }).gc;
  let collected = 0;
  const registry = new FinalizationRegistry(() => (collected += 1));
  const failOne = (): Promise<void> =>
    new Promise((resolve) => {
      const socket = net.connect(address);
      registry.register(socket, undefined);
      socket.on('error', () => undefined);
      socket.on('close', () => resolve());
    });
  void (async () => {
    for (let number = 0; number < made; number += 1) await failOne();
    for (let round = 0; round < 200 && collected < made; round += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      gc();
    }
    say(`${collected} of ${made}`);
  })();
});

collectable("the callback of connect() is let go after 'connect', while the socket lives", ({ net, address, say }) => {
  const made = 60;
  const gc = (globalThis as unknown as { gc(): void }).gc;
  let collected = 0;
  const registry = new FinalizationRegistry(() => (collected += 1));
  const sockets: Socket[] = [];
  type Socket = import('node:net').Socket;
  const server = net.createServer((peer) => peer.on('error', () => undefined));
  const connectOne = (): Promise<void> =>
    new Promise((resolve) => {
      const callback = (): void => void setImmediate(resolve);
      registry.register(callback, undefined);
      sockets.push(net.connect(address, callback));
    });
  server.listen(address, () => {
    void (async () => {
      for (let number = 0; number < made; number += 1) await connectOne();
      for (let round = 0; round < 200 && collected < made; round += 1) {
        await new Promise((resolve) => setImmediate(resolve));
        gc();
      }
      say(`${collected} of ${sockets.filter((socket) => !socket.destroyed).length}`);
      process.exit(0);
    })();
  });
});

collectable('buffers that have been written are let go, while the socket lives', ({ net, address, say }) => {
  const made = 60;
  const gc = (globalThis as unknown as { gc(): void }).gc;
  let collected = 0;
  const registry = new FinalizationRegistry(() => (collected += 1));
  const server = net.createServer((peer) => peer.resume());
  const writeOne = (client: import('node:net').Socket): Promise<void> =>
    new Promise((resolve) => {
      const buffer = Buffer.alloc(50_000);
      registry.register(buffer, undefined);
      client.write(buffer, () => setImmediate(resolve));
    });
  server.listen(address, () => {
    const client = net.connect(address, () => {
      void (async () => {
        for (let number = 0; number < made; number += 1) await writeOne(client);
        for (let round = 0; round < 200 && collected < made; round += 1) {
          await new Promise((resolve) => setImmediate(resolve));
          gc();
        }
        say(`${collected} of ${made}`);
        process.exit(0);
      })();
    });
  });
});

collectable('write callbacks are let go once called, while the socket lives', ({ net, address, say }) => {
  const made = 60;
  const gc = (globalThis as unknown as { gc(): void }).gc;
  let collected = 0;
  const registry = new FinalizationRegistry(() => (collected += 1));
  const server = net.createServer((peer) => peer.resume());
  const writeOne = (client: import('node:net').Socket): Promise<void> =>
    new Promise((resolve) => {
      const callback = (): void => void setImmediate(resolve);
      registry.register(callback, undefined);
      client.write('x', callback);
    });
  server.listen(address, () => {
    const client = net.connect(address, () => {
      void (async () => {
        for (let number = 0; number < made; number += 1) await writeOne(client);
        for (let round = 0; round < 200 && collected < made; round += 1) {
          await new Promise((resolve) => setImmediate(resolve));
          gc();
        }
        say(`${collected} of ${made}`);
        process.exit(0);
      })();
    });
  });
});

scenario('an open socket that nobody refers to keeps working', async (stage) => {
  const outcome = await inChild(
    stage,
    stage.path(),
    ({ net, address, say }) => {
      const gc = (globalThis as unknown as { gc(): void }).gc;
      const server = net.createServer((peer) => {
        let rounds = 0;
        const timer = setInterval(() => {
          gc();
          rounds += 1;
          peer.write(`${rounds}`);
          if (rounds < 5) return;
          clearInterval(timer);
          peer.end();
          server.close();
        }, 5);
      });
      server.listen(address, () => {
        let text = '';
        net
          .connect(address)
          .on('data', (chunk: Buffer) => (text += chunk.toString()))
          .on('close', () => say(text));
      });
    },
    { execArgv },
  );
  stage.trace('child', outcome);
  assert.deepEqual(outcome, { code: 0, signal: null, stdout: '12345\n', stderr: '' });
});
