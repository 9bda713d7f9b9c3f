/** Symbol.asyncDispose. */
import assert from 'node:assert/strict';
import { scenario } from './scenario';
import { discard, happens, pair } from '../helpers/sockets';

scenario(
  'disposing of a connected socket destroys it, and resolves once it is closed',
  async (stage) => {
    const { client } = await pair(stage);
    stage.watch(client, 'client', ['end', 'finish', 'error', 'close']);
    const disposed = client[Symbol.asyncDispose]();
    assert.equal(client.destroyed, true);
    await disposed;
    await stage.settled();
    assert.equal(client.closed, true);
    assert.equal(stage.lane('client').at(-1)?.[0], 'close');
  },
);

scenario('disposing of a socket without listeners is no uncaught error', async (stage) => {
  const { client, peer } = await pair(stage);
  const closed = happens(peer, 'close');
  await client[Symbol.asyncDispose]();
  await closed;
  stage.trace('client', client.destroyed, client.readyState);
  assert.equal(client.destroyed, true);
});

scenario('disposing of a socket a second time settles as in net', async (stage) => {
  const { client } = await pair(stage);
  await client[Symbol.asyncDispose]();
  await client[Symbol.asyncDispose]().then(
    () => stage.trace('second disposal', 'resolved'),
    (error: unknown) => stage.trace('second disposal', 'rejected', error),
  );
  assert.equal(stage.lane('second disposal').length, 1);
});

scenario('disposing of a socket that was never connected resolves', async (stage) => {
  const client = new stage.net.Socket();
  discard(stage, client);
  stage.watch(client, 'client', ['error', 'close']);
  await client[Symbol.asyncDispose]();
  assert.equal(client.destroyed, true);
});

scenario('disposing of a closed socket resolves', async (stage) => {
  const { client, peer } = await pair(stage);
  client.resume();
  const closed = happens(client, 'close');
  peer.end();
  await closed;
  stage.watch(client, 'client', ['error', 'close']);
  await client[Symbol.asyncDispose]();
  await stage.settled();
  assert.deepEqual(stage.lane('client'), []);
});

scenario('disposing of a socket that is being destroyed with an error', async (stage) => {
  const { client } = await pair(stage);
  stage.watch(client, 'client', ['error', 'close']);
  client.destroy(new Error('on purpose'));
  await client[Symbol.asyncDispose]().then(
    () => stage.trace('disposal', 'resolved'),
    (error: unknown) => stage.trace('disposal', 'rejected', error),
  );
  assert.equal(stage.lane('disposal').length, 1);
});
