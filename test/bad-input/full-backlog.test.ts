/**
 * A server that does not accept. Where net gives up at once with EAGAIN, afunix waits for room until its connect
 * deadline, and gives up with the same code then.
 */
import assert from 'node:assert/strict';
import type { NetConnectOpts, Socket } from 'node:net';
import { bothFamilies, scenario, type Stage } from '../conformance/scenario';
import { assertHint, type Failure, failureOf } from '../helpers/bad-input';
import { grown, takeCensus } from '../helpers/descriptors';
import { type Partner, startPartner } from '../helpers/partner';
import { discard, happens } from '../helpers/sockets';

/** Room for two: the kernel takes one more than the backlog says. */
const backlog = 1;
const room = backlog + 1;

/** Listens and stands still until it is told to go on; then it greets everyone. */
async function standStill(stage: Stage, address: string): Promise<Partner> {
  const partner = startPartner(
    stage,
    { address, backlog },
    ({ net, parameters, tell, pauseUntilToldToGoOn }) => {
      const server = net.createServer((peer) => {
        peer.on('error', () => undefined);
        peer.resume();
        peer.write('welcome');
      });
      server.listen(parameters.address, parameters.backlog);
      tell('listening');
      pauseUntilToldToGoOn();
    },
  );
  await partner.told('listening');
  return partner;
}

function connect(stage: Stage, address: string, connectTimeout: number): Socket {
  const options: NetConnectOpts & { connectTimeout: number } = { path: address, connectTimeout };
  const socket = stage.net.connect(options);
  discard(stage, socket);
  return socket;
}

async function fill(stage: Stage, address: string): Promise<void> {
  const fillers = Array.from({ length: room }, () => connect(stage, address, 20_000));
  for (const filler of fillers) filler.on('error', () => undefined);
  await Promise.all(fillers.map((filler) => happens(filler, 'connect')));
}

function assertFull(stage: Stage, error: Failure, address: string): void {
  assert.equal(error.code, 'EAGAIN');
  assert.equal(error.syscall, 'connect');
  assert.equal(error.address, address);
  assert.equal(error.message, `connect EAGAIN ${address}`);
  assertHint(stage, error, 'backlog');
}

scenario(
  'when the deadline passes: EAGAIN, and not before',
  async (stage) => {
    const address = stage.address();
    await standStill(stage, address);
    await fill(stage, address);
    const begun = performance.now();
    const error = await failureOf(connect(stage, address, 150));
    const waited = performance.now() - begun;
    stage.trace('error', error);
    assertFull(stage, error, address);
    // Timers may fire a millisecond early.
    if (stage.implementation === 'afunix') assert.ok(waited >= 149, `gave up after ${waited} ms`);
  },
  { over: bothFamilies },
);

scenario(
  'afunix connects as soon as there is room again',
  async (stage) => {
    const address = stage.address();
    const partner = await standStill(stage, address);
    await fill(stage, address);
    const waiting = Array.from({ length: 20 }, () => connect(stage, address, 25_000));
    if (stage.implementation === 'node:net') {
      for (const error of await Promise.all(waiting.map(failureOf)))
        assertFull(stage, error, address);
      return;
    }
    let connected = 0;
    for (const socket of waiting) socket.on('connect', () => (connected += 1));
    await stage.settled();
    assert.equal(connected, 0);
    for (const socket of waiting) assert.equal(socket.connecting, true);
    const welcomes = waiting.map((socket) => happens(socket, 'data'));
    partner.goOn();
    for (const [welcome] of await Promise.all(welcomes)) assert.equal(String(welcome), 'welcome');
  },
  { over: bothFamilies },
);

scenario('what was written while waiting for room arrives', async (stage) => {
  const address = stage.path();
  const partner = startPartner(
    stage,
    { address, backlog },
    ({ net, parameters, tell, pauseUntilToldToGoOn }) => {
      const server = net.createServer((peer) =>
        peer.on('data', (chunk) => tell('received', chunk.toString())),
      );
      server.listen(parameters.address, parameters.backlog);
      tell('listening');
      pauseUntilToldToGoOn();
    },
  );
  await partner.told('listening');
  await fill(stage, address);
  const late = connect(stage, address, 25_000);
  if (stage.implementation === 'node:net') {
    assertFull(stage, await failureOf(late), address);
    return;
  }
  late.write('patience');
  await stage.settled();
  partner.goOn();
  assert.deepEqual(await partner.told('received'), ['patience']);
});

scenario('a socket that waits for room can be destroyed', async (stage) => {
  const address = stage.path();
  await standStill(stage, address);
  await fill(stage, address);
  const before = takeCensus();
  const sockets = Array.from({ length: 200 }, () => connect(stage, address, 25_000));
  for (const socket of sockets) {
    socket.on('error', () => undefined);
    socket.on('connect', () => stage.trace('never', 'connected'));
  }
  const closed = sockets.map((socket) => happens(socket, 'close'));
  await new Promise((resolve) => setImmediate(resolve));
  for (const socket of sockets) socket.destroy();
  await Promise.all(closed);
  await stage.settled();
  assert.deepEqual(grown(before, takeCensus()), {});
});

scenario('200 sockets that give up leave nothing open', async (stage) => {
  const address = stage.path();
  await standStill(stage, address);
  await fill(stage, address);
  const before = takeCensus();
  const failures = await Promise.all(
    Array.from({ length: 200 }, () => failureOf(connect(stage, address, 100))),
  );
  for (const error of failures) assertFull(stage, error, address);
  await stage.settled();
  assert.deepEqual(grown(before, takeCensus()), {});
});

scenario(
  'a server that ends while one waits for it: ENOENT or ECONNREFUSED, not silence',
  async (stage) => {
    const address = stage.path();
    const partner = await standStill(stage, address);
    await fill(stage, address);
    const late = connect(stage, address, 25_000);
    const failed = failureOf(late);
    if (stage.implementation === 'node:net') return assertFull(stage, await failed, address);
    await stage.settled();
    await partner.kill();
    const error = await failed;
    assert.ok(['ECONNREFUSED', 'ECONNRESET'].includes(error.code ?? ''), error.message);
    assertHint(stage, error, address);
  },
);

scenario('one who waits for room does not keep others from their work', async (stage) => {
  const [full, free] = [stage.path(), stage.path()];
  await standStill(stage, full);
  await fill(stage, full);
  const waiting = connect(stage, full, 20_000);
  waiting.on('error', () => undefined);
  const server = stage.net.createServer((peer) => {
    discard(stage, peer);
    peer.pipe(peer);
  });
  stage.defer(() => server.close());
  server.listen(free);
  const client = connect(stage, free, 20_000);
  for (let round = 0; round < 100; round += 1) {
    client.write(`round ${round}`);
    const [echo] = await happens(client, 'data');
    assert.equal(String(echo), `round ${round}`);
  }
  if (stage.implementation === 'afunix') assert.equal(waiting.connecting, true);
});

const wrongTimeouts: readonly unknown[] = ['x', -1, NaN, {}, true];

for (const connectTimeout of wrongTimeouts) {
  scenario(
    `a connectTimeout of ${typeof connectTimeout} ${String(connectTimeout)} is refused by afunix`,
    async (stage) => {
      if (stage.implementation !== 'afunix') return;
      const options = { path: stage.path(), connectTimeout } as NetConnectOpts;
      assert.throws(
        () => stage.net.connect(options),
        (error: Failure) => ['ERR_INVALID_ARG_TYPE', 'ERR_OUT_OF_RANGE'].includes(error.code ?? ''),
      );
    },
  );
}
