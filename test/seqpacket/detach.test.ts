/** A message socket that is given away while messages come: each is told once, in order, here or where the connection goes on. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test, type TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import net from 'afunix';
import { sameUser } from 'afunix/credentials';
import { Descriptor, RawSocket } from 'afunix/raw';
import type { Detached, MessageBatch, MessageOptions, Server, Socket } from 'afunix/seqpacket';
import { grown, leavesNothingOpen, takeCensus } from '../helpers/descriptors';
import { closeAll, contentOf, open, send } from '../helpers/passed-descriptors';
import {
  connected,
  discard,
  fault,
  happens,
  listen,
  listening,
  numbered,
  pairOf,
  seqpacket,
  texts,
  until,
} from './support';

type Way = (socket: Socket, options?: MessageOptions) => Socket;

const WAYS: Readonly<Record<string, Way>> = {
  'detach()': (socket, options) => seqpacket.Socket.from(socket.detach(), options),
  'transfer()': (socket, options) => {
    const { ...fields } = net.transfer(socket);
    return net.receive(structuredClone(fields), options);
  },
};

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

for (const [name, give] of Object.entries(WAYS)) {
  test(`${name}: the peer notices nothing, both directions go on, and the old socket closes without an end`, async (t) => {
    const { client, peer } = await connected(t);
    const told = listen(client);
    peer.send('before');
    await until(() => told.messages.length === 1);
    const moved = give(client);
    discard(t, moved);
    const further = listen(moved);
    await happens(client, 'close');
    assert.deepEqual(told.events, ['message', 'close false']);
    const answers = listen(peer);
    moved.send('from the new one');
    await until(() => answers.messages.length === 1);
    peer.send('to the new one');
    await until(() => further.messages.length === 1);
    assert.deepEqual(texts(further), ['to the new one']);
    peer.end();
    await happens(moved, 'end');
  });

  for (const reading of ['message', 'paused', 'owned', 'borrowed', 'nobody'] as const) {
    test(`${name} again and again while messages come (${reading}): none is lost, told twice, or out of order`, async (t) => {
      const total = 3000;
      const { client, peer } = await connected(t, { client: { batchSize: 8 } });
      const lengthOf = (number: number): number => 8 + ((number * 37) % 300);
      void (async () => {
        peer.resume();
        for (let next = 0; next < total; next += 1) {
          if (!peer.send(numbered(next, lengthOf(next)))) await happens(peer, 'drain');
          if (next % 50 === 49) await turn();
        }
        peer.end();
      })();
      let count = 0;
      let moves = 0;
      let wrong: string | undefined;
      const take = (message: Buffer): void => {
        wrong ??= fault(message, count, lengthOf(count));
        count += 1;
      };
      let socket: Socket = client;
      let ended = false;
      while (!ended) {
        const current = socket;
        const most = count + 40 + ((moves * 17) % 50);
        current.once('end', () => (ended = true));
        if (reading === 'owned' || reading === 'borrowed') {
          reads: for await (const batch of current.batches({ memory: reading })) {
            for (const message of batch) take(message);
            if (count >= most) break reads;
          }
        } else {
          await new Promise<void>((resolve) => {
            current.on('message', (message) => {
              take(message);
              if (count < most) return;
              // In the middle of a batch.
              if (reading === 'paused') current.pause();
              else current.removeAllListeners('message');
              resolve();
            });
            current.once('end', resolve);
          });
        }
        if (reading === 'paused' || reading === 'nobody') await turn();
        if (ended || current.destroyed) break;
        socket = give(current, { batchSize: 8 });
        discard(t, socket);
        moves += 1;
      }
      assert.equal(wrong, undefined);
      assert.equal(count, total);
      assert.ok(moves > 10, `${moves} moves`);
    });
  }

  test(`${name} in a 'message' listener, and nothing more is told there`, async (t) => {
    const [one, other] = pairOf(t);
    for (let i = 0; i < 20; ++i) one.send(String(i));
    const told: string[] = [];
    const moved = await new Promise<Socket>((resolve) => {
      other.on('message', (bytes) => {
        told.push(String(bytes));
        if (told.length === 3) resolve(give(other));
      });
    });
    discard(t, moved);
    const further = listen(moved);
    one.end('last');
    await happens(moved, 'end');
    assert.deepEqual(told, ['0', '1', '2']);
    assert.equal(texts(further).length, 18);
    assert.deepEqual(texts(further).slice(-2), ['19', 'last']);
  });

  test(`${name} takes along that a message was cut`, async (t) => {
    const [one, other] = pairOf(t, { maxMessageSize: 10 });
    const long = RawSocket.fromFd(one.detach().descriptor);
    t.after(() => long.close());
    other.pause();
    long.send(Buffer.from('0123456789ABCDEF'));
    other.on('message', () => undefined).resume();
    other.pause();
    const moved = give(other, { maxMessageSize: 10 });
    discard(t, moved);
    const [bytes, info] = (await happens(moved, 'message')) as [Buffer, { fullLength: number }];
    assert.equal(String(bytes), '0123456789');
    assert.equal(info.fullLength, 16);
  });

  test(`${name} leaves no descriptor open`, async (t) => {
    const { path } = await listening(t, { maxDescriptors: 2 }, (peer) => {
      for (let i = 0; i < 5; ++i) peer.sendDescriptors([0, 1], String(i));
      peer.on('error', () => undefined).resume();
    });
    await leavesNothingOpen(async () => {
      const client = seqpacket.connect({ path, maxDescriptors: 2, batchSize: 2 });
      client.on('error', () => undefined);
      client.once('message', (_, { descriptors }) => {
        closeAll(descriptors);
        client.pause();
      });
      await happens(client, 'message');
      const moved = give(client, { maxDescriptors: 2 });
      moved.on('error', () => undefined).destroy();
      await happens(moved, 'close');
    }, 40);
  });
}

test('descriptors of messages that were not told go along with detach(), and count where they are told', async (t) => {
  const [one, other] = pairOf(t, { maxDescriptors: 2, batchSize: 2 });
  const told = listen(other);
  other.once('message', () => other.pause());
  for (const text of ['a', 'b', 'c', 'd']) await send(one, [open(t, text)], text);
  await until(() => other.messagesRead >= 2);
  closeAll(told.infos[0]?.descriptors ?? []);
  const moved = seqpacket.Socket.from(other.detach(), {
    maxDescriptors: 1,
    maxOpenDescriptors: 1,
  });
  discard(t, moved);
  const seen: string[] = [];
  moved.on('message', (bytes, { descriptors }) => {
    const [descriptor] = descriptors as [Descriptor];
    setImmediate(() => seen.push(`${bytes.toString()}: ${contentOf(descriptor)}`));
  });
  await until(() => seen.length === 3);
  assert.deepEqual(seen, ['b: b', 'c: c', 'd: d']);
});

test('a socket that takes none is told of those that come with the head as of any other', async (t) => {
  const before = takeCensus();
  const [one, other] = pairOf(t, { maxDescriptors: 1, batchSize: 2 });
  other.once('message', () => other.pause());
  one.send('first');
  one.sendDescriptors([0], 'second');
  await until(() => other.messagesRead === 2);
  const moved = seqpacket.Socket.from(other.detach());
  discard(t, moved);
  const told = listen(moved);
  await until(() => told.messages.length === 1);
  assert.equal(told.infos[0]?.descriptorsDropped, true);
  assert.deepEqual(told.infos[0]?.descriptors, []);
  one.destroy();
  moved.destroy();
  await until(() => one.closed && moved.closed && other.closed);
  assert.deepEqual(grown(before, takeCensus()), {});
});

test('whoever iterates is done, and the batch that they have stays theirs', async (t) => {
  const [one, other] = pairOf(t);
  one.sendBatch(['a', 'b']);
  const iteration = other.batches();
  const { value } = (await iteration.next()) as { value: MessageBatch };
  const waiting = iteration.next();
  const { descriptor } = other.detach();
  t.after(() => descriptor.close());
  assert.deepEqual(await waiting, { done: true, value: undefined });
  assert.deepEqual(Array.from(value, String), ['a', 'b']);
});

test('after an end it is told again where the connection goes on', async (t) => {
  const [one, other] = pairOf(t, { allowHalfOpen: true });
  other.resume();
  one.end();
  await happens(other, 'end');
  const moved = seqpacket.Socket.from(other.detach(), { allowHalfOpen: true });
  discard(t, moved);
  moved.resume();
  await happens(moved, 'end');
});

test('detach() of a socket that is not connected, has sent what waits, or was ended, is refused; the socket goes on', async (t) => {
  const CLOSED = { code: 'ERR_SOCKET_CLOSED' };
  const PENDING = { code: 'ERR_AFUNIX_PENDING_WRITES' };
  assert.throws(() => new seqpacket.Socket().detach(), CLOSED);
  const { path } = await listening(t);
  const connecting = seqpacket.connect(path);
  discard(t, connecting);
  assert.throws(() => connecting.detach(), CLOSED);
  const [one, other] = pairOf(t);
  while (one.send('x'.repeat(10_000)));
  assert.throws(() => one.detach(), PENDING);
  let bytes = 0;
  other.on('message', (message) => (bytes += message.length));
  await happens(one, 'drain');
  await until(() => bytes === one.bytesWritten);
  one.end();
  assert.throws(() => one.detach(), PENDING);
  await happens(other, 'end');
  other.destroy();
  assert.throws(() => other.detach(), CLOSED);
});

test('a connection that was reset is not given away: who has it is told, behind the messages', async (t) => {
  const [one, other] = pairOf(t, { batchSize: 1 });
  const told = listen(other);
  other.send('unread');
  one.sendBatch(['a', 'b', 'c']);
  one.destroy();
  await happens(one, 'close');
  other.once('message', () => {
    try {
      closeAll([other.detach().descriptor]);
    } catch (error) {
      told.events.push(`detach ${String((error as { code?: string }).code)}`);
    }
  });
  await happens(other, 'close');
  assert.deepEqual(texts(told), ['a', 'b', 'c']);
  assert.deepEqual(
    told.events.filter((event) => event !== 'message'),
    ['detach ECONNRESET', 'error ECONNRESET', 'close true'],
  );
});

describe('Socket.from()', () => {
  test('takes a number, a Descriptor, or what detach() gave; what is refused stays its owner’s', async (t) => {
    const [stream, otherStream] = RawSocket.socketpair('stream');
    t.after(() => [stream, otherStream].forEach((each) => each.close()));
    const refused = (given: unknown, code: string): void => {
      assert.throws(() => seqpacket.Socket.from(given as number), { code });
    };
    refused(stream.fd, 'EPROTOTYPE');
    refused(99_999, 'EBADF');
    refused('0', 'ERR_INVALID_ARG_TYPE');
    refused(null, 'ERR_INVALID_ARG_TYPE');
    const owned = stream.detach();
    refused(owned, 'EPROTOTYPE');
    refused({ descriptor: owned, head: [] }, 'EPROTOTYPE');
    assert.equal(owned.closed, false);
    owned.close();
    const [one, other] = RawSocket.socketpair('seqpacket');
    const socket = seqpacket.Socket.from(one.detach());
    const second = seqpacket.Socket.from(other.detach().take());
    discard(t, socket, second);
    socket.send('x');
    const [bytes] = await happens(second, 'message');
    assert.equal(String(bytes), 'x');
  });

  test('cannot be guarded: who is there has been let in', (t) => {
    const [one] = pairOf(t);
    const detached: Detached = one.detach();
    t.after(() => detached.descriptor.close());
    assert.throws(() => seqpacket.Socket.from(detached, { authorize: sameUser() } as object), {
      code: 'ERR_AFUNIX_UNGUARDED',
    });
    assert.equal(detached.descriptor.closed, false);
  });

  test('of a socket whose server asked who writes: nobody asks any more, and nothing is taken for too much', async (t) => {
    const { client, peer } = await connected(t, { server: { passCredentials: true } });
    const moved = seqpacket.Socket.from(peer.detach(), { maxDescriptors: 1 });
    discard(t, moved);
    const told = listen(moved);
    client.send('plain');
    await until(() => told.messages.length === 1);
    assert.equal(told.infos[0]?.descriptorsDropped, false);
    assert.equal(told.infos[0]?.credentials, null);
    client.sendDescriptors([open(t, 'file')], 'with', () => undefined);
    await until(() => told.messages.length === 2 || client.destroyed);
    if (told.messages.length === 2) {
      assert.deepEqual(told.infos[1]?.descriptors.map(contentOf), ['file']);
    }
  });
});

/** Runs a worker that receives what it is sent. */
function worker(t: TestContext, body: string): Worker {
  const program = `
    const net = require(${JSON.stringify(require.resolve('afunix'))});
    const { parentPort } = require('node:worker_threads');
    parentPort.once('message', (sent) => { ${body} });
  `;
  const made = new Worker(program, { eval: true });
  t.after(() => made.terminate());
  return made;
}

test('transfer() to another thread: what was received goes first', async (t) => {
  const { client, peer } = await connected(t, { client: { batchSize: 4 } });
  for (let i = 0; i < 10; ++i) peer.send(String(i));
  await new Promise<void>((resolve) => {
    client.on('message', (bytes) => {
      if (String(bytes) !== '1') return;
      client.pause();
      resolve();
    });
  });
  const thread = worker(
    t,
    `net.receive(sent).on('message', (bytes) => parentPort.postMessage(String(bytes)))
      .on('end', () => parentPort.postMessage('end'));`,
  );
  thread.postMessage(net.transfer(client).to(thread));
  peer.end('last');
  const told: string[] = [];
  thread.on('message', (text: string) => told.push(text));
  await until(() => told.includes('end'));
  assert.deepEqual(told, ['2', '3', '4', '5', '6', '7', '8', '9', 'last', 'end']);
});

test('transfer() of a server: both threads listen, and each connection goes to one of them', async (t) => {
  const here: Socket[] = [];
  const { server, path } = await listening(t, { maxDescriptors: 1 }, (peer) => here.push(peer));
  const thread = worker(
    t,
    `const server = net.receive(sent, {}, (socket) => socket.on('message', (bytes) => socket.send('thread ' + bytes)));
     server.on('listening', () => parentPort.postMessage(['listening', server.address()]));`,
  );
  thread.postMessage(net.transfer(server));
  assert.deepEqual((await once(thread, 'message'))[0], ['listening', path]);
  server.close();
  await until(() => !server.listening);
  const client = seqpacket.connect(path);
  discard(t, client);
  client.send('x', () => undefined);
  // The name went with the first that closed: what is connected is served.
  const [event] = await Promise.race([
    happens(client, 'message').then(([bytes]) => [String(bytes)]),
    happens(client, 'error').then(([error]) => [(error as NodeJS.ErrnoException).code]),
  ]);
  assert.ok(event === 'thread x' || event === 'ENOENT', String(event));
});

test('transfer() of a guarded server: it is received with an authorize or not at all, and its limits go along', async (t) => {
  const { server } = await listening(t, { authorize: sameUser(), maxConnectionsPerUid: 1 });
  const { ...fields } = net.transfer(server);
  const sent = structuredClone(fields);
  assert.throws(() => net.receive(sent), { code: 'ERR_AFUNIX_UNGUARDED' });
  const received: Server = net.receive(sent, { authorize: sameUser() });
  await happens(received, 'listening');
  t.after(() => received.close());
});

test('transfer() of neither is refused', () => {
  for (const given of [{}, null, 5, new Descriptor(takeNull()), new EventTarget()]) {
    assert.throws(() => net.transfer(given as Socket), { code: 'ERR_INVALID_ARG_TYPE' });
    if (given instanceof Descriptor) given.close();
  }
  assert.throws(() => net.transfer(new seqpacket.Server()), { code: 'ERR_SERVER_NOT_RUNNING' });
});

function takeNull(): number {
  const [one, other] = RawSocket.socketpair('stream');
  other.close();
  return one.detach().take();
}
