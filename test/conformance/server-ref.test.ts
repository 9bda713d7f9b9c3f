/**
 * What keeps a process alive and what does not, and leaving from inside every callback.
 *
 * Each case is a process of its own. One that ought to end by itself and does not is caught by the
 * limit of its scenario; one that ought to be held says so from a timer that holds nothing itself.
 */
import assert from 'node:assert/strict';
import { scenario, type Stage } from './scenario';
import { type PartnerContext, startPartner } from '../helpers/partner';
import { listen } from '../helpers/sockets';

interface Parameters {
  readonly address: string;
}

/** Starting a process takes long where there are many. */
const patient = { limit: 60_000 };

type Body = (context: PartnerContext<Parameters>) => unknown;

/** Runs the body in a child, traces all that it tells, and returns its exit code. */
async function traceChild(stage: Stage, body: Body): Promise<number | null> {
  const partner = startPartner(stage, { address: stage.path() }, body);
  const happenings = await partner.everything();
  const { code, signal } = await partner.ended;
  for (const [lane, ...rest] of happenings) if (lane !== 'stderr') stage.trace(lane, ...rest);
  stage.trace('process', code, signal);
  return code;
}

/** The process must end by itself, with nothing wrong, and must have told this last. */
function endsByItself(name: string, expected: readonly unknown[], body: Body): void {
  scenario(
    name,
    async (stage) => {
      const code = await traceChild(stage, body);
      assert.equal(code, 0);
      assert.deepEqual(stage.lane('child').flat(), expected);
    },
    patient,
  );
}

/** The process must end with this code, which it chose itself inside a callback. */
function leavesInside(name: string, body: Body): void {
  scenario(
    `process.exit() inside ${name}`,
    async (stage) => {
      const code = await traceChild(stage, body);
      assert.equal(code, 42);
      assert.deepEqual(stage.lane('child').at(-1), ['exit', 42]);
    },
    patient,
  );
}

endsByItself('a server that was never told to listen holds nothing', ['exit'], ({ net, tell }) => {
  process.on('exit', () => tell('child', 'exit'));
  net.createServer(() => undefined);
});

endsByItself('a socket that never connected holds nothing', ['exit'], ({ net, tell }) => {
  process.on('exit', () => tell('child', 'exit'));
  new net.Socket().on('data', () => undefined);
});

endsByItself(
  'a listening server holds the process until it closes',
  ['held', 'close', 'exit'],
  (context) => {
    const { net, parameters, tell } = context;
    process.on('exit', () => tell('child', 'exit'));
    const server = net.createServer().listen(parameters.address);
    server.on('close', () => tell('child', 'close'));
    setTimeout(() => {
      tell('child', 'held');
      server.close();
    }, 20).unref();
  },
);

endsByItself('unref() before listen()', ['listening', 'exit'], ({ net, parameters, tell }) => {
  process.on('exit', () => tell('child', 'exit'));
  const server = net.createServer();
  tell('returned', server.unref() === server);
  server.listen(parameters.address, () => tell('child', 'listening'));
});

endsByItself('unref() after listen()', ['listening', 'exit'], ({ net, parameters, tell }) => {
  process.on('exit', () => tell('child', 'exit'));
  const server = net.createServer().listen(parameters.address, () => tell('child', 'listening'));
  tell('returned', server.unref() === server);
});

endsByItself(
  "unref() in 'listening', twice",
  ['listening', 'exit'],
  ({ net, parameters, tell }) => {
    process.on('exit', () => tell('child', 'exit'));
    const server = net.createServer().listen(parameters.address, () => {
      tell('child', 'listening');
      server.unref();
      server.unref();
    });
  },
);

endsByItself(
  'unref() and then ref(), before listen()',
  ['held', 'exit'],
  ({ net, parameters, tell }) => {
    process.on('exit', () => tell('child', 'exit'));
    const server = net.createServer();
    server.unref();
    tell('returned', server.ref() === server);
    server.listen(parameters.address);
    setTimeout(() => {
      tell('child', 'held');
      server.close();
    }, 20).unref();
  },
);

endsByItself('ref() twice needs only one unref()', ['exit'], ({ net, parameters, tell }) => {
  process.on('exit', () => tell('child', 'exit'));
  const server = net.createServer().listen(parameters.address);
  server.ref();
  server.ref();
  server.unref();
});

endsByItself(
  'unref() twice needs only one ref()',
  ['held', 'exit'],
  ({ net, parameters, tell }) => {
    process.on('exit', () => tell('child', 'exit'));
    const server = net.createServer().listen(parameters.address);
    server.unref();
    server.unref();
    server.ref();
    setTimeout(() => {
      tell('child', 'held');
      server.close();
    }, 20).unref();
  },
);

endsByItself(
  'ref() and unref() after close() return the server and hold nothing',
  ['exit'],
  (context) => {
    const { net, parameters, tell } = context;
    process.on('exit', () => tell('child', 'exit'));
    const server = net.createServer().listen(parameters.address, () => {
      server.close(() =>
        tell(
          'returned',
          server.ref() === server,
          server.unref() === server,
          server.ref() === server,
        ),
      );
    });
  },
);

endsByItself(
  'a server that listens again after unref() holds nothing either',
  ['again', 'exit'],
  (context) => {
    const { net, parameters, tell } = context;
    process.on('exit', () => tell('child', 'exit'));
    const server = net.createServer().unref();
    server.listen(parameters.address);
    server.close(() => {
      server.listen(parameters.address, () => tell('child', 'again'));
    });
  },
);

endsByItself(
  'one of two servers holds the process',
  ['held', 'exit'],
  ({ net, parameters, tell }) => {
    process.on('exit', () => tell('child', 'exit'));
    net.createServer().listen(parameters.address).unref();
    const holding = net.createServer().listen(`${parameters.address}2`);
    setTimeout(() => {
      tell('child', 'held');
      holding.close();
    }, 20).unref();
  },
);

endsByItself(
  'an accepted connection holds the process although its server does not',
  ['connection', 'held', 'close', 'exit'],
  ({ net, parameters, tell }) => {
    process.on('exit', () => tell('child', 'exit'));
    const server = net.createServer((peer) => {
      tell('child', 'connection');
      peer.on('close', () => tell('child', 'close'));
      setTimeout(() => {
        tell('child', 'held');
        peer.destroy();
      }, 20).unref();
    });
    server.listen(parameters.address);
    server.unref();
    const client = net.connect(parameters.address);
    client.on('connect', () => client.unref());
    client.resume();
  },
);

endsByItself(
  'neither server nor connection holds the process once all are unref()ed',
  ['connection', 'exit'],
  ({ net, parameters, tell }) => {
    process.on('exit', () => tell('child', 'exit'));
    const server = net.createServer((peer) => {
      tell('child', 'connection');
      tell('returned', peer.unref() === peer);
      server.unref();
      client.unref();
    });
    server.listen(parameters.address);
    const client = net.connect(parameters.address);
  },
);

endsByItself(
  'unref() of a client before connect() lets the process end',
  ['exit'],
  ({ net, parameters, tell, require }) => {
    process.on('exit', () => tell('child', 'exit'));
    const { spawnSync } = require('node:child_process') as typeof import('node:child_process');
    // A server in this process would be a reason to stay.
    tell('prepared', spawnSync(process.execPath, ['-e', '0']).status);
    const client = new net.Socket();
    tell('returned', client.unref() === client);
    client.on('error', () => undefined);
    client.connect(parameters.address);
  },
);

endsByItself(
  'unref() and then ref() of a client before connect() holds the process',
  ['connect', 'held', 'exit'],
  ({ net, parameters, tell }) => {
    process.on('exit', () => tell('child', 'exit'));
    const server = net.createServer((peer) => {
      peer.unref();
      server.unref();
    });
    server.listen(parameters.address);
    const client = new net.Socket();
    client.unref();
    tell('returned', client.ref() === client);
    client.connect(parameters.address, () => {
      tell('child', 'connect');
      setTimeout(() => {
        tell('child', 'held');
        client.destroy();
      }, 20).unref();
    });
  },
);

endsByItself(
  'a connection whose other end is gone holds nothing',
  ['close', 'close', 'exit'],
  ({ net, parameters, tell }) => {
    process.on('exit', () => tell('child', 'exit'));
    const server = net.createServer((peer) => {
      peer.on('close', () => tell('child', 'close'));
      peer.end();
      server.close();
    });
    server.listen(parameters.address);
    net.connect(parameters.address).on('close', () => tell('child', 'close'));
  },
);

endsByItself(
  'what waits to be written holds the process while nobody reads it',
  ['held', 'exit'],
  ({ net, parameters, tell }) => {
    process.on('exit', () => tell('child', 'exit'));
    const server = net.createServer((peer) => {
      peer.on('error', () => undefined);
      peer.resume();
      peer.end('x'.repeat(200_000));
      server.close();
    });
    server.listen(parameters.address);
    const client = net.connect(parameters.address);
    client.pause();
    setTimeout(() => {
      tell('child', 'held');
      client.destroy();
    }, 20).unref();
  },
);

scenario('a paused client with nothing to write', async (stage) => {
  const address = stage.path();
  await listen(stage, address);
  const partner = startPartner(stage, { address }, ({ net, parameters, tell }) => {
    process.on('exit', () => tell('exit'));
    const client = net.connect(parameters.address, () => tell('connect', client.isPaused()));
    client.pause();
    setTimeout(() => {
      tell('held');
      process.exit();
    }, 20_000).unref();
  });
  for (const happening of await partner.everything()) stage.trace('child', ...happening);
});

endsByItself(
  "'beforeExit' comes when the last server closed",
  ['close', 'beforeExit'],
  (context) => {
    const { net, parameters, tell } = context;
    process.on('beforeExit', () => tell('child', 'beforeExit'));
    const server = net.createServer().listen(parameters.address, () => server.close());
    server.on('close', () => tell('child', 'close'));
  },
);

endsByItself(
  "a server that begins in 'beforeExit' holds the process once more",
  ['beforeExit', 'listening', 'connection', 'close', 'beforeExit', 'exit'],
  ({ net, parameters, tell }) => {
    let begun = false;
    process.on('exit', () => tell('child', 'exit'));
    process.on('beforeExit', () => {
      tell('child', 'beforeExit');
      if (begun) return;
      begun = true;
      const server = net.createServer((peer) => {
        tell('child', 'connection');
        peer.destroy();
        server.close();
      });
      server.on('close', () => tell('child', 'close'));
      server.listen(parameters.address, () => {
        tell('child', 'listening');
        net.connect(parameters.address).resume();
      });
    });
  },
);

endsByItself(
  "an unref()ed server of 'beforeExit' lets the process end",
  ['beforeExit', 'listening', 'exit'],
  ({ net, parameters, tell }) => {
    process.on('exit', () => tell('child', 'exit'));
    process.once('beforeExit', () => {
      tell('child', 'beforeExit');
      net
        .createServer()
        .listen(parameters.address, () => tell('child', 'listening'))
        .unref();
    });
  },
);

endsByItself(
  'a server whose listen() failed holds nothing',
  ['EADDRINUSE', 'exit'],
  ({ net, parameters, tell }) => {
    process.on('exit', () => tell('child', 'exit'));
    const first = net.createServer().listen(parameters.address).unref();
    const second = net.createServer();
    second.on('error', (error: NodeJS.ErrnoException) => tell('child', error.code));
    second.listen(parameters.address);
    tell('listening', first.listening, second.listening);
  },
);

endsByItself(
  'a client whose connect() failed holds nothing',
  ['error', 'close', 'exit'],
  (context) => {
    const { net, parameters, tell } = context;
    process.on('exit', () => tell('child', 'exit'));
    const client = net.connect(parameters.address);
    client.on('error', () => tell('child', 'error'));
    client.on('close', () => tell('child', 'close'));
  },
);

leavesInside("'listening'", ({ net, parameters, tell }) => {
  process.on('exit', (code) => tell('child', 'exit', code));
  net.createServer().listen(parameters.address, () => process.exit(42));
});

leavesInside("'connection'", ({ net, parameters, tell }) => {
  process.on('exit', (code) => tell('child', 'exit', code));
  net.createServer(() => process.exit(42)).listen(parameters.address);
  net.connect(parameters.address);
});

leavesInside("'connect'", ({ net, parameters, tell }) => {
  process.on('exit', (code) => tell('child', 'exit', code));
  net.createServer().listen(parameters.address);
  net.connect(parameters.address, () => process.exit(42));
});

leavesInside("'data', with more to come", ({ net, parameters, tell }) => {
  process.on('exit', (code) => tell('child', 'exit', code));
  const server = net.createServer((peer) => {
    peer.on('data', () => process.exit(42));
  });
  server.listen(parameters.address);
  net.connect(parameters.address).write(Buffer.alloc(4_000_000));
});

leavesInside("'end'", ({ net, parameters, tell }) => {
  process.on('exit', (code) => tell('child', 'exit', code));
  const server = net.createServer((peer) => {
    peer.resume();
    peer.on('end', () => process.exit(42));
  });
  server.listen(parameters.address);
  net.connect(parameters.address).end();
});

leavesInside('the callback of a write', ({ net, parameters, tell }) => {
  process.on('exit', (code) => tell('child', 'exit', code));
  net.createServer((peer) => peer.resume()).listen(parameters.address);
  net.connect(parameters.address).write('x', () => process.exit(42));
});

leavesInside("'drain'", ({ net, parameters, tell }) => {
  process.on('exit', (code) => tell('child', 'exit', code));
  net.createServer((peer) => peer.resume()).listen(parameters.address);
  const client = net.connect(parameters.address);
  client.on('drain', () => process.exit(42));
  client.write(Buffer.alloc(1_000_000));
});

leavesInside("a socket's 'close'", ({ net, parameters, tell }) => {
  process.on('exit', (code) => tell('child', 'exit', code));
  net.createServer((peer) => peer.destroy()).listen(parameters.address);
  const client = net.connect(parameters.address);
  client.resume();
  client.on('close', () => process.exit(42));
});

leavesInside("a server's 'close'", ({ net, parameters, tell }) => {
  process.on('exit', (code) => tell('child', 'exit', code));
  const server = net
    .createServer()
    .listen(parameters.address, () => server.close(() => process.exit(42)));
});

leavesInside("a server's 'error'", ({ net, parameters, tell }) => {
  process.on('exit', (code) => tell('child', 'exit', code));
  net.createServer().listen(parameters.address);
  net
    .createServer()
    .on('error', () => process.exit(42))
    .listen(parameters.address);
});

leavesInside("a socket's 'error'", ({ net, parameters, tell }) => {
  process.on('exit', (code) => tell('child', 'exit', code));
  net.connect(parameters.address).on('error', () => process.exit(42));
});

leavesInside("'drop'", ({ net, parameters, tell }) => {
  process.on('exit', (code) => tell('child', 'exit', code));
  const server = net.createServer().listen(parameters.address);
  server.maxConnections = 1;
  server.on('drop', () => process.exit(42));
  net.connect(parameters.address);
  net.connect(parameters.address);
});

leavesInside("'timeout'", ({ net, parameters, tell }) => {
  process.on('exit', (code) => tell('child', 'exit', code));
  net.createServer().listen(parameters.address);
  net.connect(parameters.address).setTimeout(10, () => process.exit(42));
});

leavesInside('the callback of getConnections()', ({ net, parameters, tell }) => {
  process.on('exit', (code) => tell('child', 'exit', code));
  const server = net.createServer().listen(parameters.address);
  server.getConnections(() => process.exit(42));
});

leavesInside("'beforeExit', with a server that holds nothing", ({ net, parameters, tell }) => {
  process.on('exit', (code) => tell('child', 'exit', code));
  process.on('beforeExit', () => process.exit(42));
  net.createServer().listen(parameters.address).unref();
});

leavesInside(
  'a connection handler while 50 connections wait with data',
  ({ net, parameters, tell }) => {
    process.on('exit', (code) => tell('child', 'exit', code));
    let accepted = 0;
    const server = net.createServer((peer) => {
      peer.resume();
      accepted += 1;
      if (accepted === 25) process.exit(42);
    });
    server.listen(parameters.address);
    for (let index = 0; index < 50; index += 1)
      net.connect(parameters.address).write(Buffer.alloc(100_000));
  },
);

for (const [what, place] of [
  ["'connection'", 'connection'],
  ["'data'", 'data'],
  ["'listening'", 'listening'],
  ["'connect'", 'connect'],
] as const) {
  scenario(
    `an exception inside ${what} ends the process with code 1 and is told`,
    async (stage) => {
      const partner = startPartner(
        stage,
        { address: stage.path(), place },
        ({ net, parameters, tell }) => {
          process.on('exit', (code) => tell('child', 'exit', code));
          const here = (place: string): void => {
            if (place === parameters.place) throw new Error(`thrown on purpose in ${place}`);
          };
          const server = net.createServer((peer) => {
            peer.on('data', () => here('data'));
            here('connection');
          });
          server.listen(parameters.address, () => here('listening'));
          net.connect(parameters.address, () => here('connect')).write('x');
        },
      );
      const happenings = await partner.everything();
      const { code } = await partner.ended;
      stage.trace('process', code);
      const told = happenings.find(([lane]) => lane === 'stderr');
      assert.equal(code, 1);
      assert.ok(
        String(told?.[1]).includes(`thrown on purpose in ${place}`),
        'the exception was not told',
      );
      assert.deepEqual(happenings[0], ['child', 'exit', 1]);
    },
  );
}
