/** What libraries were seen to do to a socket, beyond what the documentation of net promises. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { inherits } from 'node:util';
import { bothFamilies, scenario } from './scenario';
import {
  countedEvents,
  discard,
  happens,
  listen,
  listenerCounts,
  pair,
  pattern,
  received,
  receives,
} from '../helpers/sockets';

const onlyEnd = Object.fromEntries(countedEvents.map((event) => [event, event === 'end' ? 1 : 0]));

scenario("a fresh socket has one 'end' listener and no other", async (stage) => {
  const fresh = new stage.net.Socket();
  discard(stage, fresh);
  stage.trace('fresh', fresh.eventNames());
  assert.deepEqual(listenerCounts(fresh), onlyEnd);
});

scenario(
  "a connected and an accepted socket have one 'end' listener and no other",
  async (stage) => {
    const counts: Record<string, number>[] = [];
    const { client, peer } = await pair(stage, {
      onConnection: (socket) => counts.push(listenerCounts(socket)),
    });
    await stage.settled();
    stage.trace('client', client.eventNames());
    stage.trace('peer', peer.eventNames());
    assert.deepEqual(counts, [onlyEnd]);
    assert.deepEqual(listenerCounts(client), onlyEnd);
    assert.deepEqual(listenerCounts(peer), onlyEnd);
  },
  { over: bothFamilies },
);

scenario('traffic leaves no listeners behind', async (stage) => {
  const { client, peer } = await pair(stage);
  peer.pipe(peer);
  for (let round = 0; round < 20; round += 1) {
    const echo = receives(client, 100_000);
    client.write(pattern(100_000));
    await echo;
  }
  await stage.settled();
  assert.deepEqual(listenerCounts(client), onlyEnd);
});

scenario(
  "got: 'encrypted' is not a property of a socket; ioredis and others: nor is 'then'",
  async (stage) => {
    const { client, peer } = await pair(stage);
    for (const socket of [client, peer, new stage.net.Socket()]) {
      for (const name of ['encrypted', 'then', 'alpnProtocol', 'authorized', 'getSession']) {
        assert.equal(name in socket, false, name);
      }
    }
    assert.equal(
      await Promise.resolve(client),
      client,
      'resolving a promise with a socket gives the socket',
    );
  },
);

scenario('a socket is a Duplex, and an instance of Socket', async (stage) => {
  const { client, peer } = await pair(stage);
  for (const socket of [client, peer]) {
    assert.ok(socket instanceof stage.net.Socket);
    assert.ok(socket instanceof Duplex);
    assert.equal(socket.constructor, stage.net.Socket);
  }
  stage.trace('name', stage.net.Socket.name, stage.net.Server.name);
});

scenario('what net.Socket has on its prototype is there', async (stage) => {
  const reference = await import('node:net');
  const expected = Object.getOwnPropertyNames(reference.Socket.prototype).filter(
    (name) => !name.startsWith('_'),
  );
  assert.deepEqual(
    expected.filter((name) => !(name in stage.net.Socket.prototype)),
    [],
  );
});

scenario(
  'postgres.js and grpc: after removeAllListeners() a socket still ends and closes',
  async (stage) => {
    const { client, peer } = await pair(stage);
    client.removeAllListeners();
    client.resume();
    const closed = happens(client, 'close');
    const peerClosed = happens(peer, 'close');
    peer.resume();
    peer.end('data');
    const [hadError] = await closed;
    await peerClosed;
    stage.trace('client', hadError, client.bytesRead, client.readyState);
    assert.equal(hadError, false);
  },
);

scenario(
  'after removeAllListeners() a socket still writes, and is told of errors',
  async (stage) => {
    const { client, peer } = await pair(stage);
    client.removeAllListeners();
    const arrived = receives(peer, 5);
    client.write('hello');
    assert.equal((await arrived).toString(), 'hello');
    stage.watch(client, 'client', ['error', 'close']);
    const closed = happens(client, 'close');
    client.destroy(new Error('on purpose'));
    await closed;
    assert.deepEqual(stage.lane('client').length, 2);
  },
);

scenario('removeAllListeners() while connecting does not stop the connection', async (stage) => {
  const address = stage.address();
  await listen(stage, address, {}, (peer) => peer.end('hello'));
  const client = stage.net.connect(address);
  discard(stage, client);
  client.removeAllListeners();
  stage.watch(client, 'client', ['connect', 'ready']);
  await happens(client, 'connect');
  client.resume();
  await happens(client, 'close');
  assert.deepEqual(stage.lane('client'), [['connect'], ['ready']]);
});

scenario(
  "ioredis and mysql2: removeAllListeners('data') and a new listener lose nothing in between",
  async (stage) => {
    const { client, peer } = await pair(stage);
    const first: Buffer[] = [];
    const second: Buffer[] = [];
    const content = pattern(500_000);
    await new Promise<void>((resolve) => {
      client.on('data', (chunk: Buffer) => {
        first.push(chunk);
        client.removeAllListeners('data');
        client.on('data', (later: Buffer) => second.push(later));
        client.once('end', () => resolve());
      });
      peer.end(content);
    });
    assert.ok(Buffer.concat([...first, ...second]).equals(content));
  },
);

scenario('any property can be set on a socket and stays', async (stage) => {
  const { client, peer } = await pair(stage);
  const own = Symbol('own');
  const expandos: Record<string | symbol, unknown> = {
    [own]: 1,
    ssl: 2,
    host: 'example',
    port: 4,
    parser: { name: 'parser' },
    _httpMessage: { name: 'message' },
    _paused: false,
    _meta: {},
    client: 7,
    alpnProtocol: 'h2',
    server: { other: true },
    connecting: false,
    timeout: 0,
  };
  for (const key of Reflect.ownKeys(expandos))
    assert.ok(Reflect.set(client, key, expandos[key]), String(key));
  const echo = receives(client, 4);
  peer.pipe(peer);
  client.write('work');
  assert.equal((await echo).toString(), 'work');
  for (const key of Reflect.ownKeys(expandos))
    assert.equal(Reflect.get(client, key), expandos[key], String(key));
});

scenario("mysql2: a 'pause' that somebody else emits pauses nothing", async (stage) => {
  const { client, peer } = await pair(stage);
  const texts: string[] = [];
  client.on('data', (chunk: Buffer) => texts.push(chunk.toString()));
  client.emit('pause');
  client.emit('resume');
  client.emit('pause');
  assert.equal(client.isPaused(), false);
  const ended = happens(client, 'end');
  peer.end('not paused');
  await ended;
  assert.equal(texts.join(''), 'not paused');
});

scenario(
  'http: a socket whose on and addListener were replaced on the instance keeps delivering',
  async (stage) => {
    const { client, peer } = await pair(stage);
    const prototype = stage.net.Socket.prototype;
    const replaced = client as unknown as Record<string, unknown>;
    const calls: string[] = [];
    for (const name of ['on', 'addListener', 'prependListener'] as const) {
      const original = prototype[name] as (...args: unknown[]) => unknown;
      replaced[name] = function replacement(this: Socket, ...args: unknown[]): unknown {
        calls.push(`${name} ${String(args[0])}`);
        return Reflect.apply(original, this, args);
      };
    }
    const seen: string[] = [];
    client.on('data', (chunk: Buffer) => seen.push(chunk.toString()));
    client.prependListener('data', () => seen.push('before'));
    client.addListener('end', () => seen.push('end'));
    const closed = new Promise<void>((resolve) => client.addListener('close', () => resolve()));
    peer.end('data');
    await closed;
    stage.trace('client', calls);
    assert.deepEqual(seen, ['before', 'data', 'end']);
  },
);

scenario(
  'http: readableFlowing may be set to null, and a later listener starts the flow',
  async (stage) => {
    const { client, peer } = await pair(stage);
    const early = (): void => undefined;
    client.on('data', early);
    client.off('data', early);
    assert.ok(Reflect.set(client, 'readableFlowing', null));
    const written = new Promise<void>((resolve) => peer.write('later', () => resolve()));
    await written;
    await stage.settled();
    stage.trace('client', client.readableFlowing, client.readableLength);
    const text = receives(client, 5);
    assert.equal((await text).toString(), 'later');
  },
);

function stateOf(socket: Socket): unknown[] {
  const readable = Reflect.get(socket, '_readableState') as Record<string, unknown>;
  const writable = Reflect.get(socket, '_writableState') as Record<string, unknown>;
  return [
    readable['length'],
    readable['ended'],
    readable['endEmitted'],
    readable['flowing'],
    readable['objectMode'],
    writable['length'],
    writable['ended'],
    writable['finished'],
    writable['needDrain'],
    writable['errorEmitted'],
    writable['corked'],
    writable['objectMode'],
  ];
}

scenario('ws, ioredis and others read the states of both streams', async (stage) => {
  const { client, peer } = await pair(stage);
  stage.trace('client', 'connected', stateOf(client));
  client.pause();
  await new Promise<void>((resolve) => peer.write('12345', () => resolve()));
  await stage.settled();
  stage.trace('client', 'paused', stateOf(client));
  client.cork();
  client.write('123');
  stage.trace('client', 'corked', stateOf(client));
  client.uncork();
  const closed = happens(client, 'close');
  client.resume();
  peer.resume();
  peer.end();
  client.on('end', () => stage.trace('client', 'end', stateOf(client)));
  await closed;
  stage.trace('client', 'closed', stateOf(client));
  assert.deepEqual(stage.lane('client')[0], [
    'connected',
    [0, false, false, null, false, 0, false, false, false, false, 0, false],
  ]);
});

scenario('http: corked may be assigned in the state of the writable side', async (stage) => {
  const { client, peer } = await pair(stage);
  const arrived = receives(peer, 10);
  client.cork();
  client.cork();
  client.write('head ');
  client.write('body ');
  Reflect.set(Reflect.get(client, '_writableState') as object, 'corked', 1);
  client.uncork();
  assert.equal((await arrived).toString(), 'head body ');
});

scenario("pg-copy-streams: from 'data' to pause() and 'readable', and back", async (stage) => {
  const { client, peer } = await pair(stage);
  const content = pattern(2_000_000);
  const parts: Buffer[] = [];
  const onData = (chunk: Buffer): void => void parts.push(chunk);
  client.on('data', onData);
  peer.write(content.subarray(0, 1000));
  await receives(client, 1000);
  assert.equal(client.listeners('data').length, 1);

  client.off('data', onData);
  client.pause();
  let byReadable = 0;
  await new Promise<void>((resolve) => {
    const onReadable = (): void => {
      for (let chunk: unknown = client.read(); chunk !== null; chunk = client.read()) {
        assert.ok(Buffer.isBuffer(chunk));
        parts.push(chunk);
        byReadable += chunk.length;
      }
      if (byReadable < 1_000_000 - 1000) return;
      client.off('readable', onReadable);
      resolve();
    };
    client.on('readable', onReadable);
    peer.write(content.subarray(1000, 1_000_000));
  });
  assert.equal(byReadable, 1_000_000 - 1000);

  await stage.settled();
  client.on('data', onData);
  client.resume();
  const ended = happens(client, 'end');
  peer.end(content.subarray(1_000_000));
  await ended;
  assert.ok(Buffer.concat(parts).equals(content));
});

scenario("pause() and then 'readable' listening starts reading", async (stage) => {
  const { client, peer } = await pair(stage);
  client.pause();
  let text = '';
  const done = new Promise<void>((resolve) => {
    client.on('readable', () => {
      for (let chunk: unknown = client.read(); chunk !== null; chunk = client.read())
        text += String(chunk);
      if (text === 'readable while paused') resolve();
    });
  });
  peer.write('readable ');
  peer.write('while paused');
  await done;
  stage.trace('client', client.isPaused(), client.readableFlowing);
});

scenario('dbus-next: reading byte by byte', async (stage) => {
  const { client, peer } = await pair(stage);
  const content = pattern(3000);
  const bytes: number[] = [];
  const done = new Promise<void>((resolve) => {
    client.on('readable', () => {
      for (let chunk: unknown = client.read(1); chunk !== null; chunk = client.read(1)) {
        assert.ok(Buffer.isBuffer(chunk) && chunk.length === 1);
        bytes.push(chunk.readUInt8(0));
      }
      if (bytes.length === content.length) resolve();
    });
  });
  for (let offset = 0; offset < content.length; offset += 100)
    peer.write(content.subarray(offset, offset + 100));
  await done;
  assert.deepEqual(Buffer.from(bytes), content);
});

scenario("node-fetch: two 'data' listeners get the same chunks", async (stage) => {
  const { client, peer } = await pair(stage);
  const first: Buffer[] = [];
  const second: Buffer[] = [];
  client.on('data', (chunk: Buffer) => first.push(chunk));
  client.prependListener('data', (chunk: Buffer) => second.push(chunk));
  const ended = happens(client, 'end');
  peer.end(pattern(300_000));
  await ended;
  assert.equal(first.length, second.length);
  first.forEach((chunk, index) => assert.equal(chunk, second[index]));
});

scenario('pg-protocol: kept chunks can be written into and joined later', async (stage) => {
  const { client, peer } = await pair(stage);
  const texts: string[] = [];
  let kept: Buffer = Buffer.alloc(0);
  client.on('data', (chunk: Buffer) => {
    kept = Buffer.concat([kept, chunk]);
    chunk.fill(0);
    texts.push(kept.toString());
  });
  const ended = happens(client, 'end');
  for (const text of ['select ', '1 from ', 'nowhere']) {
    await new Promise<void>((resolve) => peer.write(text, () => resolve()));
    await stage.settled();
  }
  peer.end();
  await ended;
  assert.equal(kept.toString(), 'select 1 from nowhere');
});

scenario("ws: once('finish', destroy) closes after everything was sent", async (stage) => {
  const { client, peer } = await pair(stage);
  const text = received(peer);
  stage.watch(client, 'client', ['finish', 'error', 'close']);
  const closed = happens(client, 'close');
  client.once('finish', client.destroy);
  client.end(pattern(500_000));
  await closed;
  assert.equal((await text).length, 500_000);
});

scenario(
  'undici: read() in a loop, unshift() of the rest, and writableNeedDrain',
  async (stage) => {
    const { client, peer } = await pair(stage);
    const text = new Promise<string>((resolve) => {
      let returned = false;
      client.on('readable', () => {
        const chunk = client.read() as Buffer | null;
        if (chunk === null) return;
        if (returned) return resolve(chunk.toString());
        returned = true;
        client.unshift(chunk.subarray(4));
      });
    });
    peer.write('headbody');
    assert.equal(await text, 'body');
    assert.equal(client.writableNeedDrain, false);
    assert.equal(client.errored, null);
  },
);

scenario(
  'node-redis: onread: undefined and readable: true among the options change nothing',
  async (stage) => {
    const address = stage.address();
    await listen(stage, address, {}, (peer) => peer.end('hello'));
    const options = { path: address, onread: undefined, readable: true, writable: true };
    const client = stage.net.connect(options);
    discard(stage, client);
    stage.watch(client, 'client', ['connect', 'data', 'end', 'finish', 'error', 'close']);
    await happens(client, 'close');
    assert.deepEqual(stage.lane('client'), [
      ['connect'],
      ['data', { bytes: 'hello' }],
      ['end'],
      ['finish'],
      ['close', false],
    ]);
  },
);

scenario(
  'an old-style subclass, which calls Socket without new on itself, works',
  async (stage) => {
    const address = stage.address();
    await listen(stage, address, {}, (peer) => void peer.pipe(peer));
    const base = stage.net.Socket;
    function OldStyle(this: object): void {
      Reflect.apply(base as unknown as (this: object, options: object) => void, this, [{}]);
    }
    inherits(OldStyle, base);
    const client = Reflect.construct(OldStyle, []) as Socket;
    discard(stage, client);
    assert.ok(client instanceof base);
    const echo = receives(client, 9);
    client.connect(address);
    client.write('old style');
    assert.equal((await echo).toString(), 'old style');
  },
);

scenario('Duplex.toWeb() carries data both ways', async (stage) => {
  const { client, peer } = await pair(stage);
  const web = Duplex.toWeb(client);
  const reader = (web.readable as ReadableStream<Uint8Array>).getReader();
  const writer = (web.writable as WritableStream<Uint8Array>).getWriter();
  const arrived = receives(peer, 4);
  await writer.write(Buffer.from('ping'));
  assert.equal((await arrived).toString(), 'ping');
  peer.write('pong');
  const { value } = await reader.read();
  assert.equal(Buffer.from(value ?? []).toString(), 'pong');
  const closed = happens(client, 'close');
  peer.end();
  assert.equal((await reader.read()).done, true);
  await closed;
});
