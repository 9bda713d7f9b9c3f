/** What must not be kept from the garbage collector, counted in a child of its own. */
import assert from 'node:assert/strict';
import { scenario } from './scenario';
import { type ChildBody, inChild } from '../helpers/child';

const execArgv = ['--expose-gc'];

/** So many are made in each child, and so many may still be held by a frame or a register. */
const made = 60;
const mayRemain = 3;

function taken(what: string, body: ChildBody): void {
  scenario(`garbage collection takes ${what}`, async (stage) => {
    const outcome = await inChild(stage, stage.path(), body, { execArgv });
    assert.deepEqual({ ...outcome, stdout: '' }, { code: 0, signal: null, stdout: '', stderr: '' });
    const [collected = NaN, of] = outcome.stdout.trim().split(' of ').map(Number);
    assert.equal(of, made, outcome.stdout);
    assert.ok(collected >= made - mayRemain, `${outcome.stdout.trim()} collected`);
  });
}

taken('sockets that connected, talked and closed, and those accepted', (child) => {
  const { net, address } = child;
  const collection = child.collection();
  const server = net.createServer((peer) => {
    collection.add(peer);
    peer.on('data', (chunk: Buffer) => peer.end(chunk));
  });
  const connectOne = (): Promise<void> =>
    new Promise((resolve) => {
      const client = net.connect(address);
      collection.add(client);
      client.on('connect', () => client.write('x'));
      client.resume();
      client.on('close', () => resolve());
    });
  server.listen(address, () => {
    void (async () => {
      for (let number = 0; number < 30; number += 1) await connectOne();
      await collection.report(60);
      server.close();
    })();
  });
});

taken('sockets destroyed while connected, with data pending', (child) => {
  const { net, address } = child;
  const collection = child.collection();
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
      collection.add(client);
      client.on('error', () => undefined);
      client.on('close', () => resolve());
    });
  server.listen(address, () => {
    void (async () => {
      for (let number = 0; number < 60; number += 1) await destroyOne();
      await collection.report(60);
      process.exit(0);
    })();
  });
});

taken('sockets that were never connected, nor destroyed', ({ net, ...child }) => {
  const collection = child.collection();
  const make = (): void => {
    const socket = new net.Socket();
    socket.on('data', () => undefined);
    collection.add(socket);
  };
  for (let number = 0; number < 60; number += 1) make();
  void collection.report(60);
});

taken('sockets whose connect failed', ({ net, address, ...child }) => {
  const collection = child.collection();
  const failOne = (): Promise<void> =>
    new Promise((resolve) => {
      const socket = net.connect(address);
      collection.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => resolve());
    });
  void (async () => {
    for (let number = 0; number < 60; number += 1) await failOne();
    await collection.report(60);
  })();
});

taken("callbacks of connect() after 'connect', while the sockets live", (child) => {
  const { net, address } = child;
  const collection = child.collection();
  const sockets: object[] = [];
  const server = net.createServer((peer) => void peer.on('error', () => undefined));
  const connectOne = (): Promise<void> =>
    new Promise((resolve) => {
      const callback = (): void => void setImmediate(resolve);
      collection.add(callback);
      sockets.push(net.connect(address, callback));
    });
  server.listen(address, () => {
    void (async () => {
      for (let number = 0; number < 60; number += 1) await connectOne();
      await collection.report(sockets.length);
      process.exit(0);
    })();
  });
});

taken('buffers that have been written, while the socket lives', (child) => {
  const { net, address } = child;
  const collection = child.collection();
  const server = net.createServer((peer) => void peer.resume());
  server.listen(address, () => {
    const client = net.connect(address, () => {
      const writeOne = (): Promise<void> =>
        new Promise((resolve) => {
          const buffer = Buffer.alloc(50_000);
          collection.add(buffer);
          client.write(buffer, () => setImmediate(resolve));
        });
      void (async () => {
        for (let number = 0; number < 60; number += 1) await writeOne();
        await collection.report(60);
        process.exit(0);
      })();
    });
  });
});

taken('write callbacks once called, while the socket lives', (child) => {
  const { net, address } = child;
  const collection = child.collection();
  const server = net.createServer((peer) => void peer.resume());
  server.listen(address, () => {
    const client = net.connect(address, () => {
      const writeOne = (): Promise<void> =>
        new Promise((resolve) => {
          const callback = (): void => void setImmediate(resolve);
          collection.add(callback);
          client.write('x', callback);
        });
      void (async () => {
        for (let number = 0; number < 60; number += 1) await writeOne();
        await collection.report(60);
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
      const { gc } = globalThis as unknown as { gc(): void };
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
