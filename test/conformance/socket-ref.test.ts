/**
 * What keeps a process alive, observed from outside. A child that is held says so from a timer that
 * does not itself hold it; a child that is not held has ended before that timer.
 */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { bothFamilies, scenario, type Stage } from './scenario';
import { type ChildBody, inChild, type Outcome, startChild } from '../helpers/child';
import { listen, pattern } from '../helpers/sockets';

const notHeld: Outcome = { code: 0, signal: null, stdout: '', stderr: '' };
const held: Outcome = { ...notHeld, stdout: 'held\n' };

/** Runs the body against a server that keeps its connections open. */
async function against(
  stage: Stage,
  body: ChildBody,
  onConnection: (peer: Socket) => void = () => undefined,
): Promise<Outcome> {
  const address = stage.address();
  await listen(stage, address, { allowHalfOpen: true }, (peer) => {
    peer.on('error', () => undefined);
    onConnection(peer);
  });
  const outcome = await inChild(stage, address, body);
  stage.trace('child', outcome);
  return outcome;
}

scenario(
  'a connected socket holds the process',
  async (stage) => {
    const outcome = await against(stage, ({ net, address, say }) => {
      const socket = net.connect(address, () => {
        setTimeout(() => {
          say('held');
          socket.destroy();
        }, 50).unref();
      });
    });
    assert.deepEqual(outcome, held);
  },
  { over: bothFamilies },
);

scenario(
  "a socket unref'd after connect does not hold the process",
  async (stage) => {
    const outcome = await against(stage, ({ net, address, say }) => {
      const socket = net.connect(address, () => {
        socket.unref();
        setTimeout(() => say('held'), 8000).unref();
      });
    });
    assert.deepEqual(outcome, notHeld);
  },
  { over: bothFamilies },
);

scenario("a socket unref'd while connecting still connects, and then lets go", async (stage) => {
  const outcome = await against(stage, ({ net, address, say }) => {
    const socket = net.connect(address, () => {
      say('connected');
      setTimeout(() => say('held'), 8000).unref();
    });
    socket.unref();
  });
  assert.deepEqual(outcome, { ...notHeld, stdout: 'connected\n' });
});

scenario("a socket unref'd before connect() still connects, and then lets go", async (stage) => {
  const outcome = await against(stage, ({ net, address, say }) => {
    const socket = new net.Socket();
    socket.unref();
    socket.connect(address, () => {
      say('connected');
      setTimeout(() => say('held'), 8000).unref();
    });
  });
  assert.deepEqual(outcome, { ...notHeld, stdout: 'connected\n' });
});

scenario('ref() after unref() holds again', async (stage) => {
  const outcome = await against(stage, ({ net, address, say }) => {
    const socket = net.connect(address, () => {
      socket.unref();
      socket.ref();
      setTimeout(() => {
        say('held');
        socket.destroy();
      }, 50).unref();
    });
  });
  assert.deepEqual(outcome, held);
});

scenario('ref and unref do not count: one of each, however often called before', async (stage) => {
  const outcome = await against(stage, ({ net, address, say }) => {
    const socket = net.connect(address, () => {
      socket.ref();
      socket.ref();
      socket.ref();
      socket.unref();
      setTimeout(() => say('held'), 8000).unref();
    });
  });
  assert.deepEqual(outcome, notHeld);
});

scenario('unref() and ref() before connect() hold once connected', async (stage) => {
  const outcome = await against(stage, ({ net, address, say }) => {
    const socket = new net.Socket();
    socket.unref();
    socket.ref();
    socket.connect(address, () => {
      setTimeout(() => {
        say('held');
        socket.destroy();
      }, 50).unref();
    });
  });
  assert.deepEqual(outcome, held);
});

scenario('a socket that was never connected does not hold the process', async (stage) => {
  const outcome = await inChild(stage, stage.path(), ({ net, say }) => {
    new net.Socket().on('close', () => say('closed'));
    setTimeout(() => say('held'), 8000).unref();
  });
  stage.trace('child', outcome);
  assert.deepEqual(outcome, notHeld);
});

scenario('a destroyed socket does not hold the process', async (stage) => {
  const outcome = await against(stage, ({ net, address, say }) => {
    const socket = net.connect(address, () => socket.destroy());
    socket.on('close', () => setTimeout(() => say('held'), 8000).unref());
  });
  assert.deepEqual(outcome, notHeld);
});

scenario('a refused socket does not hold the process', async (stage) => {
  const outcome = await inChild(stage, stage.path(), ({ net, address, say }) => {
    const socket = net.connect(address);
    socket.on('error', (error: NodeJS.ErrnoException) => say(error.code));
    socket.on('close', () => setTimeout(() => say('held'), 8000).unref());
  });
  stage.trace('child', outcome);
  assert.deepEqual(outcome, { ...notHeld, stdout: 'ENOENT\n' });
});

scenario('a socket paused after connect still holds the process', async (stage) => {
  const outcome = await against(stage, ({ net, address, say }) => {
    const socket = net.connect(address);
    socket.on('ready', () => {
      setImmediate(() => {
        socket.pause();
        setTimeout(() => {
          say('held');
          socket.destroy();
        }, 50).unref();
      });
    });
  });
  assert.deepEqual(outcome, held);
});

scenario(
  'a socket paused before connect reads nothing, and does not hold the process',
  async (stage) => {
    const outcome = await against(stage, ({ net, address, say }) => {
      const socket = net.connect(address, () => {
        say('connected');
        setTimeout(() => say('held'), 8000).unref();
      });
      socket.pause();
    });
    assert.deepEqual(outcome, { ...notHeld, stdout: 'connected\n' });
  },
);

scenario(
  'a socket whose buffer is full reads no more, and does not hold the process',
  async (stage) => {
    const outcome = await against(
      stage,
      ({ net, address, say }) => {
        const socket = net.connect(address, () => {
          say('connected');
          setTimeout(() => say('held'), 8000).unref();
        });
        socket.on('ready', () => setImmediate(() => socket.pause()));
      },
      (peer) => peer.write(pattern(2_000_000)),
    );
    assert.deepEqual(outcome, { ...notHeld, stdout: 'connected\n' });
  },
);

scenario('a half-open socket that has seen the end does not hold the process', async (stage) => {
  const outcome = await against(
    stage,
    ({ net, address, say }) => {
      const socket = new net.Socket({ allowHalfOpen: true });
      socket.resume();
      socket.on('end', () => {
        say('end');
        setTimeout(() => say('held'), 8000).unref();
      });
      socket.connect(address);
    },
    (peer) => peer.end(),
  );
  assert.deepEqual(outcome, { ...notHeld, stdout: 'end\n' });
});

scenario("an unref'd socket stays until what it was given to write has left", async (stage) => {
  const address = stage.address();
  const total = 3_000_000;
  let bytes = 0;
  let ended: () => void = () => undefined;
  const end = new Promise<void>((resolve) => (ended = resolve));
  await listen(stage, address, {}, (peer) => {
    peer.on('error', () => undefined);
    peer.on('data', (chunk: Buffer) => (bytes += chunk.length));
    peer.on('close', ended);
  });
  const outcome = await inChild(stage, address, ({ net, address: where }) => {
    const socket = net.connect(where, () => {
      socket.unref();
      socket.write(Buffer.alloc(3_000_000));
    });
  });
  await end;
  stage.trace('child', outcome);
  stage.trace('server', bytes);
  assert.deepEqual(outcome, notHeld);
  assert.equal(bytes, total);
});

scenario('accepted sockets hold the process like any other', async (stage) => {
  const address = stage.address();
  const running = startChild(stage, address, ({ net, address: where, say }) => {
    const server = net.createServer((peer) => {
      server.close();
      setTimeout(() => {
        say('held');
        peer.destroy();
      }, 50).unref();
    });
    server.listen(where, () => say('listening'));
  });
  await running.said('listening');
  const client = stage.net.connect(address);
  stage.defer(() => client.destroy());
  const outcome = await running.outcome;
  stage.trace('child', outcome);
  assert.deepEqual(outcome, { ...held, stdout: 'listening\nheld\n' });
});

scenario("with its server and all its sockets unref'd, a process ends", async (stage) => {
  const address = stage.address();
  const running = startChild(stage, address, ({ net, address: where, say }) => {
    const server = net.createServer((peer) => {
      server.unref();
      peer.unref();
      setTimeout(() => say('held'), 8000).unref();
    });
    server.listen(where, () => say('listening'));
  });
  await running.said('listening');
  const client = stage.net.connect(address);
  client.on('error', () => undefined);
  stage.defer(() => client.destroy());
  const outcome = await running.outcome;
  stage.trace('child', outcome);
  assert.deepEqual(outcome, { ...notHeld, stdout: 'listening\n' });
});

scenario('process.exit() works inside every callback', async (stage) => {
  const bodies: Record<string, ChildBody> = {
    connect: ({ net, address }) => {
      net.connect(address, () => process.exit(7));
    },
    data: ({ net, address }) => {
      net
        .connect(address, function connected(this: Socket) {
          this.write('echo this');
        })
        .on('data', () => process.exit(7));
    },
    'write callback': ({ net, address }) => {
      net.connect(address, function connected(this: Socket) {
        this.write('x', () => process.exit(7));
      });
    },
    close: ({ net, address }) => {
      net
        .connect(address, function connected(this: Socket) {
          this.destroy();
        })
        .on('close', () => process.exit(7));
    },
    error: ({ net, address }) => {
      net.connect(`${address}-missing`).on('error', () => process.exit(7));
    },
    connection: ({ net, address }) => {
      net
        .createServer(() => process.exit(7))
        .listen(`${address}-own`, () => net.connect(`${address}-own`));
    },
  };
  const address = stage.address();
  await listen(stage, address, {}, (peer) => {
    peer.on('error', () => undefined);
    peer.pipe(peer);
  });
  for (const [where, body] of Object.entries(bodies)) {
    const outcome = await inChild(stage, address, body);
    stage.trace(where, outcome);
    assert.deepEqual(outcome, { ...notHeld, code: 7 }, where);
  }
});

scenario("'beforeExit' comes when the last socket has closed", async (stage) => {
  const outcome = await against(
    stage,
    ({ net, address, say }) => {
      process.on('beforeExit', () => say('beforeExit'));
      process.on('exit', (code) => say(`exit ${code}`));
      const socket = net.connect(address);
      socket.resume();
      socket.on('close', () => say('close'));
    },
    (peer) => peer.end(),
  );
  assert.deepEqual(outcome, { ...notHeld, stdout: 'close\nbeforeExit\nexit 0\n' });
});

scenario(
  "'beforeExit' comes although an unref'd socket is open, which can then be used again",
  async (stage) => {
    const outcome = await against(
      stage,
      ({ net, address, say }) => {
        const socket = net.connect(address, () => socket.unref());
        process.once('beforeExit', () => {
          say('beforeExit');
          socket.ref();
          socket.on('data', (chunk: Buffer) => {
            say(chunk.toString());
            socket.destroy();
          });
          socket.write('still usable');
        });
      },
      (peer) => void peer.pipe(peer),
    );
    assert.deepEqual(outcome, { ...notHeld, stdout: 'beforeExit\nstill usable\n' });
  },
);
