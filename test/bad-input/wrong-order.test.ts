/** Calls at the wrong time: listening twice, writing after the end, writing to nobody. */
import assert from 'node:assert/strict';
import { scenario } from '../conformance/scenario';
import { attempt } from '../helpers/attempt';
import { assertHint, type Failure } from '../helpers/bad-input';
import { leavesNothingOpen } from '../helpers/descriptors';
import { closeServer, discard, happens, listen, pair } from '../helpers/sockets';

scenario('listening twice', async (stage) => {
  const server = await listen(stage, stage.path());
  const error = attempt(() => server.listen(stage.path())) as Failure;
  stage.trace('error', error);
  assert.equal(error.code, 'ERR_SERVER_ALREADY_LISTEN');
  assertHint(stage, error, 'listen');
});

scenario('listening twice, 200 times, leaves nothing open', async (stage) => {
  const [first, second] = [stage.path(), stage.path()];
  await leavesNothingOpen(async () => {
    const server = stage.net.createServer().listen(first);
    assert.ok(attempt(() => server.listen(second)) instanceof Error);
    await happens(server, 'listening');
    await closeServer(server);
  });
});

scenario('listening where another listens, 200 times, leaves nothing open', async (stage) => {
  const address = stage.path();
  await listen(stage, address);
  const server = stage.net.createServer();
  await leavesNothingOpen(async () => {
    const failed = happens(server, 'error');
    server.listen(address);
    const [error] = (await failed) as [Failure];
    assert.equal(error.code, 'EADDRINUSE');
    assertHint(stage, error, address);
  });
});

scenario('closing what does not listen', async (stage) => {
  const error = await new Promise<Failure>((resolve) =>
    stage.net.createServer().close((reason) => resolve(reason!)),
  );
  stage.trace('error', error);
  assert.equal(error.code, 'ERR_SERVER_NOT_RUNNING');
});

scenario('writing after end()', async (stage) => {
  const { client } = await pair(stage);
  stage.watch(client, 'client', ['error', 'close']);
  client.end('last');
  const failed = happens(client, 'error');
  const told = new Promise<Failure>((resolve) => {
    stage.trace(
      'client',
      'write',
      client.write('too late', (error) => resolve(error as Failure)),
    );
  });
  const [error] = (await failed) as [Failure];
  stage.trace('callback', await told);
  assert.equal(error.code, 'ERR_STREAM_WRITE_AFTER_END');
  await stage.settled();
});

scenario("writing after the peer's end", async (stage) => {
  const { client, peer } = await pair(stage);
  stage.watch(client, 'client', ['end', 'error', 'close']);
  const told = new Promise<Failure>((resolve) => {
    client.on('end', () => {
      stage.trace(
        'client',
        'write',
        client.write('too late', (error) => resolve(error as Failure)),
      );
    });
  });
  const closed = happens(client, 'close');
  client.resume();
  peer.end();
  const error = await told;
  await closed;
  stage.trace('callback', error);
});

scenario("writing after the peer's end was seen and answered", async (stage) => {
  const { client, peer } = await pair(stage);
  client.on('error', (error) => stage.trace('client', 'error', error));
  const ended = happens(client, 'end');
  client.resume();
  peer.end();
  await ended;
  await new Promise((resolve) => process.nextTick(resolve));
  const error = await new Promise<Failure>((resolve) =>
    client.write('too late', (reason) => resolve(reason as Failure)),
  );
  stage.trace('callback', error);
  if (error.code === 'EPIPE') assertHint(stage, error, 'end');
  await stage.settled();
});

scenario('writing to a socket that was destroyed', async (stage) => {
  const { client } = await pair(stage);
  client.on('error', (error) => stage.trace('client', 'error', error));
  client.destroy();
  const error = await new Promise<Failure>((resolve) =>
    client.write('x', (reason) => resolve(reason as Failure)),
  );
  stage.trace('callback', error);
  assert.equal(error.code, 'ERR_STREAM_DESTROYED');
  await stage.settled();
});

scenario('writing to a socket that was never connected', async (stage) => {
  const socket = new stage.net.Socket();
  discard(stage, socket);
  const failed = happens(socket, 'error');
  const told = new Promise((resolve) => socket.write('x', resolve));
  const [error] = (await failed) as [Failure];
  stage.trace('error', error);
  stage.trace('callback', await told);
  assert.equal(error.code, 'ERR_SOCKET_CLOSED');
});

scenario('writing to a peer that is gone', async (stage) => {
  const { client, peer } = await pair(stage, { client: { allowHalfOpen: true } });
  const gone = happens(peer, 'close');
  const ended = happens(client, 'end');
  client.resume();
  peer.destroy();
  await Promise.all([gone, ended]);
  const failed = happens(client, 'error');
  client.write('is anybody there?');
  const [error] = (await failed) as [Failure];
  stage.trace('error', error);
  assert.equal(error.code, 'EPIPE');
  assert.equal(error.syscall, 'write');
  assertHint(stage, error, 'closed');
});

scenario('connecting while connecting, and while connected', async (stage) => {
  const { client, address } = await pair(stage);
  stage.watch(client, 'client', ['connect', 'error', 'close']);
  stage.trace(
    'client',
    'again',
    attempt(() => client.connect(address)),
  );
  await stage.settled();
});

scenario('wrong order, 200 times, leaves nothing open', async (stage) => {
  const address = stage.path();
  await listen(stage, address, {}, (peer) => peer.resume());
  await leavesNothingOpen(async () => {
    const client = stage.net.connect(address);
    const closed = happens(client, 'close');
    client.on('error', () => undefined);
    client.end('last');
    client.write('too late');
    await closed;
  });
});
