/**
 * Ticks and promises run between two events of one socket or server, as if each came by itself: who awaits the one can listen
 * for the next, however many arrived together.
 */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setImmediate as immediate } from 'node:timers/promises';
import { scenario, type Stage } from './scenario';

async function pairOf(stage: Stage): Promise<{ client: Socket; peer: Socket }> {
  const server = stage.net.createServer();
  stage.defer(() => server.close());
  const address = stage.address();
  server.listen(address);
  await once(server, 'listening');
  const client = stage.net.connect(address);
  const [peer] = (await once(server, 'connection')) as [Socket];
  for (const socket of [client, peer]) stage.defer(() => socket.destroy());
  return { client, peer };
}

/** The loop stands still meanwhile, so that everything arrives together. */
async function together(act: () => void): Promise<void> {
  await immediate();
  act();
  const until = performance.now() + 5;
  while (performance.now() < until);
}

scenario(
  "the end that arrives with the data is still there for who awaited 'data'",
  async (stage) => {
    const { client, peer } = await pairOf(stage);
    await together(() => peer.end('last words'));
    await once(client, 'data');
    await once(client, 'end');
    stage.trace('client', 'data, then end');
  },
);

scenario('data that is awaited piece by piece is all there', async (stage) => {
  const { client, peer } = await pairOf(stage);
  const size = 60_000;
  await together(() => peer.write(Buffer.alloc(size)));
  let total = 0;
  while (total < size) {
    const [chunk] = (await once(client, 'data')) as [Buffer];
    total += chunk.length;
  }
  stage.trace('client', total);
});

scenario('connections that are awaited one by one are all there', async (stage) => {
  const server = stage.net.createServer();
  stage.defer(() => server.close());
  const address = stage.address();
  server.listen(address);
  await once(server, 'listening');
  const count = 20;
  await together(() => {
    for (let made = 0; made < count; made += 1) {
      const client = stage.net.connect(address);
      stage.defer(() => client.destroy());
    }
  });
  for (let taken = 0; taken < count; taken += 1) {
    const [peer] = (await once(server, 'connection')) as [Socket];
    stage.defer(() => peer.destroy());
  }
  stage.trace('server', count);
});

scenario('a tick that one event asks for runs before the next of its socket', async (stage) => {
  const { client, peer } = await pairOf(stage);
  client.on('data', () => {
    stage.trace('client', 'data');
    process.nextTick(() => stage.trace('client', 'tick'));
    void Promise.resolve().then(() => stage.trace('client', 'promise'));
  });
  client.on('end', () => stage.trace('client', 'end'));
  await together(() => peer.end('x'));
  await once(client, 'close');
});

scenario('an immediate that a listener sets runs before what its event leads to', async (stage) => {
  const { client, peer } = await pairOf(stage);
  const rounds = 20;
  let left = rounds;
  for (const [name, socket] of Object.entries({ client, peer })) {
    socket.on('data', () => {
      stage.trace('both', name);
      setImmediate(() => stage.trace('both', 'immediate of', name));
      if (left-- > 0) socket.write('x');
      else socket.destroy();
    });
    socket.on('close', () => stage.trace('both', name, 'closed'));
  }
  client.write('x');
  await Promise.all([once(client, 'close'), once(peer, 'close')]);
});
