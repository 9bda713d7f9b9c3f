/** A client with `authorize` and a server that another user put in the place of the expected one: what that server receives. */
import assert from 'node:assert/strict';
import { openSync, closeSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import net, { type Socket, type SocketOptions } from 'afunix';
import { type Authorize, sameUser } from 'afunix/credentials';
import seqpacket, { type Socket as MessageSocket } from 'afunix/seqpacket';
import { fillBacklog } from '../helpers/full-backlog';
import { freshDirectory } from '../helpers/socket-paths';
import { happens } from '../helpers/sockets';
import { NOTHING, startImpostor } from './impostor';
import { needs, withoutPython, withoutRoot } from './support';

const withImpostors = needs(withoutRoot(), withoutPython());

/** At once, late, and not at all. */
const refusals: Readonly<Record<string, Authorize>> = {
  'a policy': sameUser(),
  'a function that answers late': () =>
    new Promise((resolve) => setTimeout(() => resolve(false), 20)),
  'a function that fails late': () =>
    new Promise((_, reject) => setTimeout(() => reject(new Error('no directory')), 20)),
};

interface Case<Client> {
  /** Everything that a client may do before it is known who listens. `secret` is a descriptor. */
  act(client: Client, secret: number, told: (what: unknown) => void): void;
}

const messages: Readonly<Record<string, Case<MessageSocket>['act']>> = {
  'send()': (client) => {
    client.send('the password');
    client.send(Buffer.alloc(100_000, 'x'), () => undefined);
  },
  'sendBatch() and end(message)': (client) => {
    client.sendBatch(['one', 'two']);
    client.end('three');
  },
  'sendDescriptors()': (client, secret) => {
    client.sendDescriptors([secret], 'a file');
  },
  'toDuplex()': (client, _, told) => {
    const duplex = client.toDuplex();
    duplex.on('error', () => undefined).on('data', told);
    duplex.write('the password');
  },
  'toWeb()': (client, _, told) => {
    const { readable, writable } = client.toWeb();
    writable
      .getWriter()
      .write('the password')
      .catch(() => undefined);
    readable
      .getReader()
      .read()
      .then(told, () => undefined);
  },
  "a 'message' listener": (client, _, told) => void client.on('message', told),
  'batches()': (client, _, told) => {
    void client
      .batches()
      .next()
      .then(told, () => undefined);
  },
  'receiveInto()': (client, _, told) => {
    const ring = new SharedArrayBuffer(4 * 1024 * 1024);
    client.receiveInto(ring);
    const reader = new seqpacket.MessageRing(ring);
    client.on('close', () => {
      // What the connection failed with comes behind all that was received.
      assert.throws(() => told(reader.read()), { code: 'ERR_SOCKET_CLOSED' });
    });
  },
};

const streams: Readonly<Record<string, Case<Socket>['act']>> = {
  'write()': (client) => {
    client.write('the password');
    client.write(Buffer.alloc(100_000, 'x'), () => undefined);
  },
  'end(bytes)': (client) => void client.end('the password'),
  'cork() and uncork()': (client) => {
    client.cork();
    client.write('the');
    client.write('password');
    client.uncork();
  },
  'sendDescriptors()': (client, secret) => {
    client.sendDescriptors([secret], 'a file');
  },
  "'data' and 'readable' listeners": (client, _, told) => {
    client.on('data', told);
    client.on('readable', () => told(client.read() ?? 'nothing'));
  },
  'an iterator': (client, _, told) => {
    client[Symbol.asyncIterator]()
      .next()
      .then(told, () => undefined);
  },
};

/** A file that only this user may open. */
function secretFile(t: Parameters<typeof freshDirectory>[0]): number {
  const file = join(freshDirectory(t), 'secret');
  writeFileSync(file, 'for our eyes only', { mode: 0o600 });
  const fd = openSync(file, 'r');
  t.after(() => closeSync(fd));
  return fd;
}

for (const [kind, cases] of Object.entries({ stream: streams, seqpacket: messages })) {
  describe(`an impostor gets nothing from a ${kind} client, and tells it nothing`, () => {
    for (const [name, act] of Object.entries(cases)) {
      test(name, withImpostors, async (t) => {
        const { path, loot } = await startImpostor(t, kind as 'stream');
        const secret = secretFile(t);
        for (const [by, authorize] of Object.entries(refusals)) {
          const client = (kind === 'stream'
            ? net.connect({ path, authorize, maxDescriptors: 4 })
            : seqpacket.connect({ path, authorize, maxDescriptors: 4 })) as unknown as Socket;
          const seen: unknown[] = [];
          for (const event of ['connect', 'ready', 'descriptors', 'end'])
            client.on(event, () => seen.push(event));
          const failed = happens(client, 'error');
          const over = new Promise((resolve) => client.on('close', resolve));
          (act as Case<object>['act'])(client, secret, (what) => {
            // The end of whoever reads is not a word from the other end.
            if ((what as { done?: boolean }).done !== true && what !== 'nothing') seen.push(what);
          });
          const [error] = (await failed) as [NodeJS.ErrnoException];
          assert.equal(error.code, 'ERR_AFUNIX_REFUSED', by);
          assert.deepEqual(await loot(), NOTHING, by);
          await over;
          assert.deepEqual(seen, [], by);
        }
      });
    }
  });
}

describe('what a message client sent before it knew who listens', () => {
  test('goes to the server that it expects, in order, with its descriptors, and is counted once', async (t) => {
    const path = join(freshDirectory(t), 's');
    const server = seqpacket.createServer({ maxDescriptors: 4 });
    server.listen(path);
    await happens(server, 'listening');
    t.after(() => server.close());
    const answers: ((answer: boolean) => void)[] = [];
    const client = seqpacket.connect({
      path,
      authorize: () => new Promise<boolean>((resolve) => answers.push(resolve)),
    });
    t.after(() => client.destroy());
    const order: string[] = [];
    const long = Buffer.alloc(70_000, 'y');
    assert.equal(
      client.send('first', () => order.push('first is sent')),
      true,
    );
    const mine = Buffer.from('second');
    client.sendDescriptors([secretFile(t)], mine, () => order.push('second is sent'));
    mine.fill(0);
    assert.equal(client.send(long), false, 'more than the high-water mark waits');
    assert.equal(client.writableLength, 5 + 6 + long.length);
    assert.equal(client.bytesWritten, 5 + 6 + long.length);
    client.sendBatch(['third', 'fourth'], () => order.push('fourth is sent'));
    client.once('drain', () => order.push('drain'));
    client.once('connect', () => order.push('connect'));
    const [socket] = (await happens(server, 'connection')) as [MessageSocket];
    t.after(() => socket.destroy());
    const received: string[] = [];
    let descriptors = 0;
    const all = new Promise<void>((resolve) => {
      socket.on('message', (message, info) => {
        received.push(message.length > 100 ? `${message.length} bytes` : String(message));
        for (const descriptor of info.descriptors) {
          descriptors += 1;
          descriptor.close();
        }
        if (received.length === 5) resolve();
      });
    });
    while (answers.length === 0) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(received, []);
    answers[0]?.(true);
    await all;
    assert.deepEqual(received, ['first', 'second', '70000 bytes', 'third', 'fourth']);
    assert.equal(descriptors, 1);
    assert.equal(client.messagesWritten, 5);
    assert.equal(client.bytesWritten, 5 + 6 + long.length + 5 + 6);
    while (order.length < 5) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(
      order.filter((what) => what.endsWith('sent')),
      ['first is sent', 'second is sent', 'fourth is sent'],
    );
    assert.ok(order.includes('drain') && order.includes('connect'));
  });

  test('is told to be lost, and its descriptors are closed, if the client is destroyed first', async (t) => {
    const path = join(freshDirectory(t), 's');
    const server = seqpacket.createServer();
    server.listen(path);
    await happens(server, 'listening');
    t.after(() => server.close());
    const secret = secretFile(t);
    const aborted = new Promise<void>((resolve) => {
      const client = seqpacket.connect({
        path,
        authorize: (_, { signal }) => {
          signal.addEventListener('abort', () => resolve());
          setImmediate(() => client.destroy());
          return new Promise<boolean>(() => undefined);
        },
      });
      client.sendDescriptors([secret], 'a file', (error) =>
        lost.push((error as NodeJS.ErrnoException).code),
      );
      client.send('more', (error) => lost.push((error as NodeJS.ErrnoException).code));
    });
    const lost: (string | undefined)[] = [];
    await aborted;
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(lost, ['ERR_SOCKET_CLOSED', 'ERR_SOCKET_CLOSED']);
  });
});

test('a second connect() does not take the question of the first one away', async (t) => {
  const path = join(freshDirectory(t), 's');
  const server = net.createServer();
  server.listen(path);
  await happens(server, 'listening');
  t.after(() => server.close());
  const came = happens(server, 'connection');
  const client = net.connect({ path, authorize: () => false });
  const seen: string[] = [];
  client.on('connect', () => seen.push('connect'));
  client.connect({ path });
  client.write('the password');
  const failed = happens(client, 'error');
  const [socket] = (await came) as [Socket];
  let received = '';
  socket.on('data', (chunk) => (received += String(chunk)));
  await Promise.all([happens(socket, 'close'), failed]);
  assert.deepEqual([seen, received], [[], '']);
});

test('what a socket was made with is asked once, however often it is told where to connect', async (t) => {
  const directory = freshDirectory(t);
  const full = join(directory, 'full');
  const backlog = await fillBacklog(full);
  t.after(() => backlog.release());
  const path = join(directory, 's');
  const server = net.createServer((peer) => peer.end('hello'));
  server.listen(path);
  await happens(server, 'listening');
  t.after(() => server.close());
  let asked = 0;
  const client = new net.Socket({
    authorize: () => {
      asked += 1;
      if (asked > 1) throw new Error('asked again');
      return true;
    },
  } as SocketOptions);
  // It waits for room there, and goes elsewhere meanwhile.
  client.connect(full);
  await new Promise((resolve) => setTimeout(resolve, 20));
  client.connect(path);
  await happens(client, 'connect');
  assert.equal(asked, 1);
  client.resume();
  await happens(client, 'close');
});
