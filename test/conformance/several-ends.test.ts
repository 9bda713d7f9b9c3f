/** Several processes: peers that are killed, servers that come back, and node:net at the other end. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { Socket } from 'node:net';
import { setImmediate as immediate } from 'node:timers/promises';
import { bothFamilies, scenario, type Stage } from './scenario';
import { type Partner, startPartner } from '../helpers/partner';
import { discard, happens, listen } from '../helpers/sockets';

const socketEvents = ['connect', 'data', 'end', 'error', 'close'] as const;

/** How a connection came to its end, whichever of the possible ways it was. */
interface Departure {
  readonly ended: boolean;
  readonly error: string | undefined;
  readonly errors: number;
  readonly closes: number;
}

/** Resolves some turns after 'close', so that what comes twice is seen. Sets the socket flowing. */
async function departure(socket: Socket): Promise<Departure> {
  let ended = false;
  let error: string | undefined;
  let errors = 0;
  let closes = 0;
  socket.on('end', () => (ended = true));
  socket.on('error', (reason: NodeJS.ErrnoException) => {
    error = reason.code;
    errors += 1;
  });
  const closed = new Promise<void>((resolve) => {
    socket.on('close', () => {
      closes += 1;
      resolve();
    });
  });
  socket.resume();
  await closed;
  for (let turn = 0; turn < 5; turn += 1) await immediate();
  return { ended, error, errors, closes };
}

/** A peer that was killed is told by the end of the input, or by a reset: never by silence, never twice. */
function assertNoticed({ ended, error, errors, closes }: Departure): void {
  assert.equal(closes, 1);
  assert.ok(errors <= 1, `${errors} errors`);
  if (error === undefined) assert.equal(ended, true, 'closed without an end and without an error');
  else assert.ok(['ECONNRESET', 'EPIPE'].includes(error), error);
}

scenario(
  'a client that is killed while idle: the server sees its end',
  async (stage) => {
    const address = stage.address();
    const server = await listen(stage, address);
    const accepted = happens(server, 'connection');
    const partner = startPartner(stage, { address }, ({ net, parameters, tell }) => {
      net.connect(parameters.address, () => tell('connected'));
    });
    const [[peer]] = (await Promise.all([accepted, partner.told('connected')])) as [
      [Socket],
      unknown,
    ];
    stage.watch(peer, 'peer', socketEvents);
    const gone = departure(peer);
    await partner.kill();
    assertNoticed(await gone);
    assert.deepEqual(stage.lane('peer'), [['end'], ['close', false]]);
  },
  { over: bothFamilies },
);

scenario(
  'a server that is killed while idle: each of 10 clients sees its end',
  async (stage) => {
    const address = stage.address();
    const partner = startPartner(stage, { address }, ({ net, parameters, tell }) => {
      let count = 0;
      const server = net.createServer(() => {
        count += 1;
        if (count === 10) tell('all connected');
      });
      server.listen(parameters.address, () => tell('listening'));
    });
    await partner.told('listening');
    const clients = Array.from({ length: 10 }, (_, index) => {
      const client = stage.net.connect(address);
      discard(stage, client);
      stage.watch(client, `client ${index}`, socketEvents);
      return client;
    });
    await partner.told('all connected');
    const gone = clients.map(departure);
    await partner.kill();
    for (const departed of await Promise.all(gone)) assertNoticed(departed);
    for (let index = 0; index < 10; index += 1) {
      assert.deepEqual(stage.lane(`client ${index}`), [['connect'], ['end'], ['close', false]]);
    }
  },
  { over: bothFamilies },
);

scenario(
  'a client that is killed while it sends: what arrived is told, then its end',
  async (stage) => {
    for (let round = 0; round < 5; round += 1) {
      const address = stage.path();
      const server = await listen(stage, address);
      const accepted = happens(server, 'connection');
      const partner = startPartner(stage, { address }, ({ net, parameters }) => {
        const client = net.connect(parameters.address);
        const chunk = Buffer.alloc(65_536, 'x');
        const pump = (): void => {
          while (client.write(chunk));
        };
        client.on('drain', pump);
        client.on('connect', pump);
      });
      const [peer] = (await accepted) as [Socket];
      let arrived = 0;
      const enough = new Promise<void>((resolve) => {
        peer.on('data', (chunk: Buffer) => {
          arrived += chunk.length;
          assert.ok(chunk.every((byte) => byte === 120));
          if (arrived > 1_000_000) resolve();
        });
      });
      await enough;
      const gone = departure(peer);
      await partner.kill();
      assertNoticed(await gone);
      assert.equal(peer.bytesRead, arrived);
    }
  },
);

scenario(
  'a client that is killed while it is sent to: the server learns it and its writes fail',
  async (stage) => {
    for (let round = 0; round < 5; round += 1) {
      const address = stage.path();
      const server = await listen(stage, address);
      const accepted = happens(server, 'connection');
      const partner = startPartner(stage, { address }, ({ net, parameters, tell }) => {
        const client = net.connect(parameters.address);
        // It takes no more: the first of the writes is under way, and the others wait behind it.
        client.once('data', () => {
          client.pause();
          tell('receiving');
        });
        // A paused socket would not hold the process.
        setInterval(() => undefined, 60_000);
      });
      const [peer] = (await accepted) as [Socket];
      // More than the kernel and a ring of buffers hold.
      const chunk = Buffer.alloc(10_000_000, 'y');
      const writes = 20;
      let called = 0;
      let failed = 0;
      const allCalled = new Promise<void>((resolve) => {
        for (let index = 0; index < writes; index += 1) {
          peer.write(chunk, (error) => {
            called += 1;
            if (error) failed += 1;
            if (called === writes) resolve();
          });
        }
      });
      await partner.told('receiving');
      partner.process.kill('SIGSTOP');
      const gone = departure(peer);
      await partner.kill();
      assertNoticed(await gone);
      await allCalled;
      assert.ok(failed > 0, 'every write succeeded although nobody read');
      assert.equal(called, writes);
    }
  },
);

scenario(
  'a client that stops reading and is killed leaves nothing of 20 MB behind',
  async (stage) => {
    const address = stage.path();
    const server = await listen(stage, address);
    const accepted = happens(server, 'connection');
    const partner = startPartner(stage, { address }, ({ net, parameters, tell }) => {
      net.connect(parameters.address, () => tell('connected')).pause();
      // A paused socket would not hold the process.
      setInterval(() => undefined, 60_000);
    });
    await partner.told('connected');
    const [peer] = (await accepted) as [Socket];
    const calledBack = new Promise<unknown>((resolve) =>
      peer.write(Buffer.alloc(20_000_000), resolve),
    );
    await new Promise<void>((resolve) => setImmediate(resolve));
    const gone = departure(peer);
    await partner.kill();
    const departed = await gone;
    assertNoticed(departed);
    assert.equal(departed.errors, 1);
    await calledBack;
    assert.equal(peer.destroyed, true);
    assert.equal(peer.writableLength, 0);
  },
);

scenario('a server that is killed while 10 clients send to it', async (stage) => {
  const address = stage.path();
  const partner = startPartner(stage, { address }, ({ net, parameters, tell }) => {
    let total = 0;
    const server = net.createServer((peer) => {
      peer.on('data', (chunk) => {
        total += chunk.length;
        if (total > 5_000_000) tell('busy');
      });
    });
    server.listen(parameters.address, () => tell('listening'));
  });
  await partner.told('listening');
  const chunk = Buffer.alloc(100_000, 'z');
  const clients = Array.from({ length: 10 }, () => {
    const client = stage.net.connect(address);
    discard(stage, client);
    const pump = (): void => {
      while (!client.destroyed && client.write(chunk));
    };
    client.on('connect', pump);
    client.on('drain', pump);
    return client;
  });
  const gone = clients.map(departure);
  await partner.told('busy');
  await partner.kill();
  for (const departed of await Promise.all(gone)) {
    assertNoticed(departed);
    assert.equal(departed.errors, 1);
  }
});

scenario(
  'a server that is killed while it sends: the bytes that came are the right ones',
  async (stage) => {
    const address = stage.path();
    const partner = startPartner(stage, { address }, ({ net, parameters, tell }) => {
      const server = net.createServer((peer) => {
        let next = 0;
        const pump = (): void => {
          let more = true;
          while (more) {
            const chunk = Buffer.allocUnsafe(4 * 10_000);
            for (let index = 0; index < 10_000; index += 1)
              chunk.writeUInt32LE(next++ >>> 0, 4 * index);
            more = peer.write(chunk);
          }
        };
        peer.on('error', () => undefined);
        peer.on('drain', pump);
        pump();
      });
      server.listen(parameters.address, () => tell('listening'));
    });
    await partner.told('listening');
    const client = stage.net.connect(address);
    discard(stage, client);
    const chunks: Buffer[] = [];
    let length = 0;
    const enough = new Promise<void>((resolve) => {
      client.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        length += chunk.length;
        if (length > 2_000_000) resolve();
      });
    });
    const gone = departure(client);
    await enough;
    await partner.kill();
    assertNoticed(await gone);
    const bytes = Buffer.concat(chunks);
    assert.equal(client.bytesRead, bytes.length);
    for (let index = 0; index < Math.floor(bytes.length / 4); index += 1) {
      if (bytes.readUInt32LE(4 * index) !== index)
        assert.fail(`the word at ${index} is ${bytes.readUInt32LE(4 * index)}`);
    }
  },
);

scenario('a peer that is stopped and goes on loses nothing', async (stage) => {
  const address = stage.path();
  const size = 5_000_000;
  const partner = startPartner(stage, { address, size }, ({ net, parameters, tell }) => {
    const server = net.createServer((peer) => {
      let length = 0;
      peer.on('data', (chunk) => {
        length += chunk.length;
        if (length === parameters.size) peer.end(`got ${length}`);
      });
    });
    server.listen(parameters.address, () => tell('listening'));
  });
  await partner.told('listening');
  partner.process.kill('SIGSTOP');
  const client = stage.net.connect(address);
  discard(stage, client);
  await happens(client, 'connect');
  const answer = happens(client, 'data');
  assert.equal(client.write(Buffer.alloc(size)), false);
  for (let turn = 0; turn < 20; turn += 1) await immediate();
  assert.ok(client.writableLength > 0);
  partner.process.kill('SIGCONT');
  const [chunk] = await answer;
  assert.equal(String(chunk), `got ${size}`);
});

/** A server in a process of its own that answers each connection's first bytes and ends it. */
function answeringServer(stage: Stage, address: string): Partner {
  return startPartner(stage, { address }, ({ net, parameters, tell }) => {
    let count = 0;
    const server = net.createServer((peer) => {
      count += 1;
      peer.on('error', () => undefined);
      peer.on('data', (chunk) => {
        const text = chunk.toString();
        if (text === 'how many?') peer.end(String(count - 1));
        else peer.end(`answer to ${text}`);
      });
    });
    server.listen(parameters.address, () => tell('listening'));
  });
}

/** One round of a socket that is used again and again: connect, ask, be answered, 'close'. */
async function askOnce(socket: Socket, address: string, question: string): Promise<string> {
  let answer = '';
  const collect = (chunk: Buffer): void => {
    answer += chunk.toString();
  };
  socket.on('data', collect);
  const closed = happens(socket, 'close');
  socket.connect(address);
  // Node 26 does not begin to flow for a listener that was added while the socket was destroyed.
  socket.resume();
  socket.write(question);
  const [hadError] = await closed;
  socket.off('data', collect);
  assert.equal(hadError, false);
  return answer;
}

scenario(
  '50 rounds of one socket, connected again after each close',
  async (stage) => {
    const address = stage.address();
    const partner = answeringServer(stage, address);
    await partner.told('listening');
    const socket = new stage.net.Socket();
    discard(stage, socket);
    stage.watch(socket, 'socket', ['connect', 'ready', 'end', 'finish', 'error', 'close']);
    for (let round = 0; round < 50; round += 1) {
      assert.equal(
        await askOnce(socket, address, `question ${round}`),
        `answer to question ${round}`,
      );
      stage.trace(
        'socket',
        'counters',
        socket.bytesRead,
        socket.bytesWritten,
        socket.destroyed,
        socket.pending,
      );
    }
    assert.equal(await askOnce(socket, address, 'how many?'), '50');
  },
  { over: bothFamilies },
);

scenario("50 rounds of one socket, connected again inside 'close'", async (stage) => {
  const address = stage.path();
  const partner = answeringServer(stage, address);
  await partner.told('listening');
  const socket = new stage.net.Socket();
  discard(stage, socket);
  stage.watch(socket, 'socket', ['connect', 'ready', 'data', 'end', 'error', 'close']);
  let round = 0;
  const ask = (): void => {
    socket.connect(address, () => socket.write(`question ${round}`));
  };
  await new Promise<void>((resolve) => {
    socket.on('close', () => {
      round += 1;
      if (round === 50) resolve();
      else ask();
    });
    ask();
  });
  const answers = stage.lane('socket').filter(([event]) => event === 'data');
  assert.equal(answers.length, 50);
});

scenario('one socket that is refused 25 times and connected 25 times in turn', async (stage) => {
  const address = stage.path();
  const partner = answeringServer(stage, address);
  await partner.told('listening');
  const socket = new stage.net.Socket();
  discard(stage, socket);
  stage.watch(socket, 'socket', ['connect', 'ready', 'end', 'error', 'close']);
  for (let round = 0; round < 25; round += 1) {
    const closed = happens(socket, 'close');
    socket.connect(`${address}.nowhere`);
    assert.deepEqual(await closed, [true]);
    assert.equal(await askOnce(socket, address, 'again'), 'answer to again');
  }
});

scenario(
  '150 clients connect 5 times each, every one with a single socket',
  async (stage) => {
    const address = stage.path();
    const partner = answeringServer(stage, address);
    await partner.told('listening');
    const answers = await Promise.all(
      Array.from({ length: 150 }, async (_, index) => {
        const socket = new stage.net.Socket();
        discard(stage, socket);
        const texts: string[] = [];
        for (let round = 0; round < 5; round += 1)
          texts.push(await askOnce(socket, address, `${index}.${round}`));
        return texts;
      }),
    );
    answers.forEach((texts, index) =>
      assert.deepEqual(
        texts,
        [0, 1, 2, 3, 4].map((round) => `answer to ${index}.${round}`),
      ),
    );
    const last = new stage.net.Socket();
    discard(stage, last);
    assert.equal(await askOnce(last, address, 'how many?'), '750');
  },
  { limit: 60_000 },
);

scenario(
  '150 clients find their way back to a server that was killed and started again, twice',
  async (stage) => {
    const address = stage.path();
    const connectedAgain: (() => void)[] = [];
    let connected = 0;
    let over = false;
    const allConnected = (): Promise<void> => {
      connected = 0;
      return new Promise((resolve) => connectedAgain.push(resolve));
    };
    const start = async (): Promise<Partner> => {
      const partner = startPartner(stage, { address }, ({ net, parameters, tell, require }) => {
        const fs = require('node:fs') as typeof import('node:fs');
        fs.rmSync(parameters.address, { force: true });
        net
          .createServer((peer) => peer.resume())
          .listen(parameters.address, () => tell('listening'));
      });
      await partner.told('listening');
      return partner;
    };
    let all = allConnected();
    let partner = await start();
    const unexpected: string[] = [];
    for (let index = 0; index < 150; index += 1) {
      const socket = new stage.net.Socket();
      stage.defer(() => {
        over = true;
        socket.destroy();
      });
      socket.on('connect', () => {
        connected += 1;
        if (connected === 150) connectedAgain.shift()?.();
      });
      socket.on('error', (error: NodeJS.ErrnoException) => {
        if (!['ECONNREFUSED', 'ENOENT', 'ECONNRESET'].includes(error.code ?? ''))
          unexpected.push(error.message);
      });
      socket.on('close', () => {
        if (!over) setTimeout(() => !over && socket.connect(address), 5);
      });
      socket.resume();
      socket.connect(address);
    }
    await all;
    for (let restart = 0; restart < 2; restart += 1) {
      all = allConnected();
      await partner.kill();
      assert.equal(existsSync(address), true);
      partner = await start();
      await all;
    }
    assert.deepEqual(unexpected, []);
    over = true;
  },
  { limit: 60_000 },
);

interface Transfer {
  readonly address: string;
  readonly bytes: number;
}

/**
 * Serves one connection: sends `bytes` of its own while it receives as many, and tells the hash of
 * what it received. Runs in a partner, so it stands alone.
 */
function serveTransfer({
  net,
  require,
  parameters,
  tell,
}: Parameters<Parameters<typeof startPartner<Transfer>>[2]>[0]): void {
  const { createHash: hash } = require('node:crypto') as typeof import('node:crypto');
  const server = net.createServer({ allowHalfOpen: true }, (peer) => {
    const received = hash('sha256');
    let length = 0;
    peer.on('data', (chunk) => {
      length += chunk.length;
      received.update(chunk);
    });
    peer.on('end', () => tell('received', length, received.digest('hex')));
    peer.on('error', (error) => tell('error', error.message));
    peer.on('close', () => server.close());
    let left = parameters.bytes;
    let seed = 7;
    const pump = (): void => {
      let more = true;
      while (more && left > 0) {
        seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
        const size = Math.min(left, 1 + (seed % 200_000));
        left -= size;
        more = peer.write(Buffer.alloc(size, `server ${seed} `));
      }
      if (left === 0) peer.end();
    };
    peer.on('drain', pump);
    pump();
  });
  server.listen(parameters.address, () => tell('listening'));
}

/** The client's half of the same transfer, for a partner as well. */
function connectTransfer({
  net,
  require,
  parameters,
  tell,
}: Parameters<Parameters<typeof startPartner<Transfer>>[2]>[0]): void {
  const { createHash: hash } = require('node:crypto') as typeof import('node:crypto');
  const client = net.connect({ path: parameters.address, allowHalfOpen: true });
  const received = hash('sha256');
  let length = 0;
  client.on('data', (chunk) => {
    length += chunk.length;
    received.update(chunk);
  });
  client.on('end', () => tell('received', length, received.digest('hex')));
  client.on('error', (error) => tell('error', error.message));
  let left = parameters.bytes;
  let seed = 11;
  const pump = (): void => {
    let more = true;
    while (more && left > 0) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      const size = Math.min(left, 1 + (seed % 200_000));
      left -= size;
      more = client.write(Buffer.alloc(size, `client ${seed} `));
    }
    if (left === 0) client.end();
  };
  client.on('drain', pump);
  pump();
}

/** The hash of what `serveTransfer` (seed 7) or `connectTransfer` (seed 11) sends. */
function hashOfTransfer(who: 'server' | 'client', bytes: number): string {
  const hash = createHash('sha256');
  let seed = who === 'server' ? 7 : 11;
  for (let left = bytes; left > 0;) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    const size = Math.min(left, 1 + (seed % 200_000));
    left -= size;
    hash.update(Buffer.alloc(size, `${who} ${seed} `));
  }
  return hash.digest('hex');
}

const constellations = [
  { server: 'the implementation', client: 'the implementation' },
  { server: 'the implementation', client: 'node:net' },
  { server: 'node:net', client: 'the implementation' },
] as const;

for (const { server, client } of constellations) {
  scenario(
    `20 MB both ways at once, server ${server}, client ${client}`,
    async (stage) => {
      const bytes = 20_000_000;
      const address = stage.address();
      const of = (which: string): string => (which === 'node:net' ? which : stage.specifier);
      const serving = startPartner(stage, { address, bytes }, serveTransfer, {
        specifier: of(server),
      });
      await serving.told('listening');
      const connecting = startPartner(stage, { address, bytes }, connectTransfer, {
        specifier: of(client),
      });
      const [atServer, atClient] = await Promise.all([
        serving.told('received'),
        connecting.told('received'),
      ]);
      assert.deepEqual(atServer, [bytes, hashOfTransfer('client', bytes)]);
      assert.deepEqual(atClient, [bytes, hashOfTransfer('server', bytes)]);
      assert.deepEqual(await Promise.all([serving.ended, connecting.ended]), [
        { code: 0, signal: null },
        { code: 0, signal: null },
      ]);
    },
    { over: bothFamilies, limit: 60_000 },
  );
}

scenario(
  'node:net and the implementation reach each other by the same names, also the odd ones',
  async (stage) => {
    const endings =
      stage.family === 'pathname'
        ? ['', '.with spaces', '.grüße-世界', '.@x', `.${'y'.repeat(40)}`]
        : ['', ' with spaces', 'grüße-世界', '/with/slashes', 'y'.repeat(60)];
    for (const [serverOf, clientOf] of [
      ['node:net', stage.specifier],
      [stage.specifier, 'node:net'],
    ] as const) {
      const base = stage.address();
      const addresses = endings.map((ending) => base + ending);
      const serving = startPartner(
        stage,
        { addresses },
        ({ net, parameters, tell }) => {
          parameters.addresses.forEach((address, index) => {
            const server = net.createServer((peer) => {
              peer.on('error', () => undefined);
              peer.end(`server ${index}`);
            });
            server.listen(address, () => tell('listening'));
          });
        },
        { specifier: serverOf },
      );
      for (const _ of addresses) await serving.told('listening');
      const asking = startPartner(
        stage,
        { addresses },
        ({ net, parameters, tell }) => {
          parameters.addresses.forEach((address, index) => {
            const client = net.connect(address);
            client.on('error', (error) => tell(`answer ${index}`, error.message));
            client.on('data', (chunk) => tell(`answer ${index}`, chunk.toString()));
          });
        },
        { specifier: clientOf },
      );
      for (const [index, address] of addresses.entries()) {
        const answer = await asking.told(`answer ${index}`);
        assert.deepEqual(answer, [`server ${index}`], JSON.stringify(address));
      }
      await Promise.all([serving.kill(), asking.ended]);
    }
  },
  { over: bothFamilies },
);

scenario('ends of both implementations in one process', async (stage) => {
  const { default: nodeNet } = await import('node:net');
  for (const [serving, connecting] of [
    [nodeNet, stage.net],
    [stage.net, nodeNet],
  ] as const) {
    const address = stage.path();
    const server = serving.createServer((peer) => {
      discard(stage, peer);
      peer.pipe(peer);
    });
    stage.defer(() => server.close());
    server.listen(address);
    await happens(server, 'listening');
    const client = connecting.connect(address);
    discard(stage, client);
    stage.watch(client, 'client', ['connect', 'ready', 'end', 'error', 'close']);
    const size = 1_000_000;
    const closed = happens(client, 'close');
    let echoed = 0;
    client.on('data', (chunk: Buffer) => {
      echoed += chunk.length;
      if (echoed === size) client.end();
    });
    client.write(Buffer.alloc(size, 'both'));
    await closed;
    assert.equal(echoed, size);
  }
});

scenario('10 processes with 10 connections each at one server', async (stage) => {
  const address = stage.path();
  const seen = new Set<string>();
  await listen(stage, address, {}, (peer) => {
    peer.setEncoding('utf8');
    let text = '';
    peer.on('data', (part: string) => (text += part));
    peer.on('end', () => {
      seen.add(text);
      peer.end();
    });
  });
  const partners = Array.from({ length: 10 }, (_, number) =>
    startPartner(stage, { address, number }, ({ net, parameters, tell }) => {
      let closed = 0;
      for (let index = 0; index < 10; index += 1) {
        const client = net.connect(parameters.address);
        client.resume();
        client.on('error', (error) => tell('error', error.message));
        client.on('close', () => {
          closed += 1;
          if (closed === 10) tell('done');
        });
        client.end(`${parameters.number}.${index}`);
      }
    }),
  );
  await Promise.all(partners.map((partner) => partner.told('done')));
  await Promise.all(partners.map((partner) => partner.ended));
  assert.equal(seen.size, 100);
});

scenario(
  '20 children one after another, each killed at another moment of a conversation',
  async (stage) => {
    const address = stage.path();
    const server = await listen(stage, address);
    for (let round = 0; round < 20; round += 1) {
      const accepted = happens(server, 'connection');
      const partner = startPartner(stage, { address }, ({ net, parameters }) => {
        const client = net.connect(parameters.address);
        let count = 0;
        client.on('data', () => client.write(`message ${(count += 1)}`));
        client.write('message 0');
      });
      const [peer] = (await accepted) as [Socket];
      let heard = 0;
      peer.on('data', () => {
        heard += 1;
        if (heard > round * 10) partner.process.kill('SIGKILL');
        else if (!peer.destroyed) peer.write('go on');
      });
      assertNoticed(await departure(peer));
      await partner.ended;
    }
    assert.equal(
      await new Promise((resolve) => server.getConnections((_, count) => resolve(count))),
      0,
    );
  },
);
