/** What becomes of one direction when the other has ended. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { bothFamilies, scenario, type Stage } from './scenario';
import { happens, pair, pattern, received } from '../helpers/sockets';

const lifeEvents = ['end', 'finish', 'error', 'close'] as const;

function traceStateIn(
  stage: Stage,
  socket: Socket,
  label: string,
  events: readonly string[],
): void {
  for (const event of events) {
    socket.on(event, () =>
      stage.trace(`${label} state`, event, {
        readable: socket.readable,
        writable: socket.writable,
        writableEnded: socket.writableEnded,
        destroyed: socket.destroyed,
        readyState: socket.readyState,
      }),
    );
  }
}

scenario(
  "after the peer's FIN a socket ends itself, and in 'end' it is still writable",
  async (stage) => {
    const { client, peer } = await pair(stage);
    stage.watch(client, 'client', lifeEvents);
    traceStateIn(stage, client, 'client', lifeEvents);
    let writableInEnd = false;
    client.on('end', () => (writableInEnd = client.writable && !client.destroyed));
    client.resume();
    peer.resume();
    const peerEnd = happens(peer, 'end');
    peer.end();
    await happens(client, 'close');
    await peerEnd;
    assert.equal(writableInEnd, true);
    assert.deepEqual(stage.lane('client'), [['end'], ['finish'], ['close', false]]);
  },
  { over: bothFamilies },
);

scenario('an accepted socket ends itself in the same way', async (stage) => {
  const { client, peer } = await pair(stage);
  stage.watch(peer, 'peer', lifeEvents);
  traceStateIn(stage, peer, 'peer', lifeEvents);
  peer.resume();
  client.resume();
  client.end();
  await Promise.all([happens(peer, 'close'), happens(client, 'close')]);
  assert.deepEqual(stage.lane('peer'), [['end'], ['finish'], ['close', false]]);
});

scenario("'finish' comes before destroy when the peer ended first", async (stage) => {
  const { client, peer } = await pair(stage);
  let destroyedInFinish: boolean | undefined;
  client.on('finish', () => (destroyedInFinish = client.destroyed));
  client.resume();
  peer.end();
  await happens(client, 'close');
  assert.equal(destroyedInFinish, false);
});

scenario(
  "what is written inside 'end' still reaches the peer, before the FIN",
  async (stage) => {
    const { client, peer } = await pair(stage, { server: { allowHalfOpen: true } });
    client.on('end', () => stage.trace('client', 'write returns', client.write('last words')));
    client.resume();
    peer.end();
    const text = (await received(peer)).toString();
    stage.trace('peer', text);
    assert.equal(text, 'last words');
  },
  { over: bothFamilies },
);

scenario("unread data delays 'end' and 'close'", async (stage) => {
  const { client, peer } = await pair(stage);
  stage.watch(client, 'client', lifeEvents);
  client.pause();
  const readable = happens(peer, 'finish');
  peer.end('unread');
  await readable;
  await stage.settled();
  assert.deepEqual(stage.lane('client'), [], 'nothing happens while the data is unread');

  const closed = happens(client, 'close');
  client.on('data', (chunk: Buffer) => stage.trace('client', 'data', chunk));
  client.resume();
  await closed;
  assert.deepEqual(stage.lane('client'), [
    ['data', { bytes: 'unread' }],
    ['end'],
    ['finish'],
    ['close', false],
  ]);
});

scenario("'close' waits for unread data although both directions have ended", async (stage) => {
  const { client, peer } = await pair(stage);
  stage.watch(client, 'client', lifeEvents);
  client.pause();
  client.end();
  peer.resume();
  peer.end('unread');
  await happens(peer, 'close');
  await stage.settled();
  stage.trace('client', 'then', client.readyState, client.destroyed);

  const closed = happens(client, 'close');
  client.resume();
  await closed;
  assert.deepEqual(stage.lane('client'), [
    ['finish'],
    ['then', 'readOnly', false],
    ['end'],
    ['close', false],
  ]);
});

scenario(
  'a half-open socket stays writable after the FIN of its peer',
  async (stage) => {
    const { client, peer } = await pair(stage, { client: { allowHalfOpen: true } });
    stage.watch(client, 'client', lifeEvents);
    traceStateIn(stage, client, 'client', lifeEvents);
    client.resume();
    const ended = happens(client, 'end');
    peer.end();
    await ended;
    await stage.settled();
    assert.deepEqual(stage.lane('client'), [['end']], 'no FIN of its own');
    assert.equal(client.readyState, 'writeOnly');

    const text = received(peer);
    const closed = happens(client, 'close');
    client.end('answer');
    assert.equal((await text).toString(), 'answer');
    await closed;
    assert.deepEqual(stage.lane('client'), [['end'], ['finish'], ['close', false]]);
  },
  { over: bothFamilies },
);

scenario('a half-open server answers after the whole request has come', async (stage) => {
  const { client } = await pair(stage, {
    server: { allowHalfOpen: true },
    onConnection(peer) {
      const parts: Buffer[] = [];
      peer.on('data', (chunk: Buffer) => void parts.push(chunk));
      peer.on('end', () => peer.end(`${Buffer.concat(parts).length} bytes`));
    },
  });
  const answer = received(client);
  client.end(pattern(300_000));
  assert.equal((await answer).toString(), '300000 bytes');
});

scenario('a socket that has ended goes on reading until its peer ends', async (stage) => {
  const { client, peer } = await pair(stage, { server: { allowHalfOpen: true } });
  stage.watch(client, 'client', lifeEvents);
  peer.resume();
  const seen = happens(peer, 'end');
  client.end();
  await seen;
  assert.equal(client.readyState, 'readOnly');

  const content = pattern(200_000);
  const text = received(client);
  const closed = happens(client, 'close');
  peer.end(content);
  assert.ok((await text).equals(content));
  await closed;
  assert.deepEqual(stage.lane('client'), [['finish'], ['end'], ['close', false]]);
});

scenario('both ends ending at once close both', async (stage) => {
  const { client, peer } = await pair(stage);
  for (const [socket, label] of [
    [client, 'client'],
    [peer, 'peer'],
  ] as const) {
    stage.watch(socket, label, ['error', 'close']);
    socket.resume();
  }
  const closed = Promise.all([happens(client, 'close'), happens(peer, 'close')]);
  client.end();
  peer.end();
  await closed;
  assert.deepEqual(stage.lane('client'), [['close', false]]);
  assert.deepEqual(stage.lane('peer'), [['close', false]]);
});

scenario("writes queued when the peer's FIN comes are still sent", async (stage) => {
  const { client, peer } = await pair(stage, { server: { allowHalfOpen: true } });
  const content = pattern(3_000_000);
  client.resume();
  client.write(content);
  const ended = happens(client, 'end');
  peer.end();
  await ended;
  assert.ok((await received(peer)).equals(content));
});

scenario(
  'the FIN of the peer is noticed when nobody reads',
  async (stage) => {
    const { client, peer } = await pair(stage);
    stage.watch(client, 'client', ['end', 'finish', 'error', 'close']);
    const closed = happens(client, 'close');
    peer.end();
    await closed;
    assert.deepEqual(stage.lane('client'), [['end'], ['finish'], ['close', false]]);
  },
  { over: bothFamilies },
);

scenario('an accepted socket that nobody reads notices the FIN', async (stage) => {
  const { client, peer } = await pair(stage);
  stage.watch(peer, 'peer', lifeEvents);
  const closed = happens(peer, 'close');
  client.end();
  await closed;
  assert.deepEqual(stage.lane('peer'), [['end'], ['finish'], ['close', false]]);
});

scenario("without listeners at all, the peer's FIN destroys the socket", async (stage) => {
  const { client, peer } = await pair(stage);
  peer.resume();
  const closed = happens(peer, 'close');
  peer.end();
  await closed;
  await stage.settled();
  stage.trace('client', client.destroyed, client.readyState);
  assert.equal(client.destroyed, true);
});

scenario(
  'a socket paused before connect does not look for the FIN until resumed',
  async (stage) => {
    const { client, peer } = await pair(stage, { beforeConnect: (socket) => socket.pause() });
    stage.watch(client, 'client', lifeEvents);
    const finished = happens(peer, 'finish');
    peer.end();
    await finished;
    await stage.settled();
    assert.deepEqual(stage.lane('client'), []);

    const closed = happens(client, 'close');
    client.resume();
    await closed;
    assert.deepEqual(stage.lane('client'), [['end'], ['finish'], ['close', false]]);
  },
);

scenario(
  'a socket paused after connect, with nothing buffered, does see the FIN',
  async (stage) => {
    const { client, peer } = await pair(stage);
    await stage.settled();
    client.pause();
    stage.watch(client, 'client', lifeEvents);
    const closed = happens(client, 'close');
    peer.end();
    await closed;
    assert.deepEqual(stage.lane('client'), [['end'], ['finish'], ['close', false]]);
  },
);

scenario("'end' comes once, after the last 'data'", async (stage) => {
  const { client, peer } = await pair(stage);
  const content = pattern(500_000);
  let bytes = 0;
  let ends = 0;
  client.on('data', (chunk: Buffer) => {
    assert.equal(ends, 0);
    bytes += chunk.length;
  });
  client.on('end', () => {
    ends += 1;
    stage.trace('client', 'end after', bytes);
  });
  const closed = happens(client, 'close');
  peer.end(content);
  await closed;
  assert.equal(bytes, content.length);
  assert.equal(ends, 1);
});
