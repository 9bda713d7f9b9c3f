/** Received descriptors that are open count: what would be too many waits, and comes when there is room, in order. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import { test, type TestContext } from 'node:test';
import net, { type Socket, type SocketOptions } from 'afunix';
import type { Descriptor } from 'afunix/raw';
import seqpacket, { type MessageOptions, type Socket as MessageSocket } from 'afunix/seqpacket';
import { grown, leavesNothingOpen, takeCensus } from '../helpers/descriptors';
import { closeAll, saidWithGarbageCollector } from '../helpers/passed-descriptors';

type Options = SocketOptions & MessageOptions;

/** One end sends what the other end is told of, each time one descriptor or none beside a text. */
interface Way {
  /** The receiver's `told` is called with each text, and with the descriptor that came with it. */
  pair(
    t: TestContext,
    options: Options,
    told: (text: string, descriptor?: Descriptor) => void,
  ): {
    send(text: string, fds?: number): void;
    receiver: Socket | MessageSocket;
    sender: Socket | MessageSocket;
    end(): void;
  };
}

const WAYS: Readonly<Record<string, Way>> = {
  'a stream': {
    pair(t, options, told) {
      const [one, other] = net.socketpair(options);
      t.after(() => [one, other].forEach((each) => each.destroy()));
      one.on('error', () => undefined);
      let came: Descriptor | undefined;
      other.on('descriptors', ([descriptor]: Descriptor[]) => (came = descriptor));
      let text = '';
      other.setEncoding('utf8').on('data', (part: string) => {
        for (const letter of part) {
          text += letter;
          if (letter !== ';') continue;
          told(text.slice(0, -1), came);
          text = '';
          came = undefined;
        }
      });
      return {
        send(message, fds = 0) {
          if (fds === 0) one.write(`${message};`);
          else one.sendDescriptors(Array<number>(fds).fill(0), `${message};`);
        },
        receiver: other,
        end: () => void one.end(),
        sender: one,
      };
    },
  },
  "'message'": {
    pair(t, options, told) {
      const [one, other] = seqpacket.socketpair(options);
      t.after(() => [one, other].forEach((each) => each.destroy()));
      one.on('error', () => undefined);
      other.on('message', (bytes, { descriptors }) => told(String(bytes), descriptors[0]));
      return {
        send(message, fds = 0) {
          if (fds === 0) one.send(message);
          else one.sendDescriptors(Array<number>(fds).fill(0), message);
        },
        receiver: other,
        end: () => void one.end(),
        sender: one,
      };
    },
  },
};

for (const memory of ['owned', 'borrowed'] as const) {
  (WAYS as Record<string, Way>)[`batches, ${memory}`] = {
    pair(t, options, told) {
      const [one, other] = seqpacket.socketpair(options);
      t.after(() => [one, other].forEach((each) => each.destroy()));
      one.on('error', () => undefined);
      void (async () => {
        for await (const batch of other.batches({ memory })) {
          for (let i = 0; i < batch.length; i += 1) {
            const info = batch.info(i);
            assert.ok(!info.descriptorsDropped);
            const came = batch.descriptorCounts[i];
            const [descriptor] = batch.takeDescriptors(i);
            assert.equal(descriptor === undefined, came === 0);
            told(String(batch.message(i)), descriptor);
          }
        }
      })().catch(() => undefined);
      return {
        send(message, fds = 0) {
          if (fds === 0) one.send(message);
          else one.sendDescriptors(Array<number>(fds).fill(0), message);
        },
        receiver: other,
        end: () => void one.end(),
        sender: one,
      };
    },
  };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function until(done: () => boolean): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!done()) {
    if (Date.now() > deadline) throw new Error('it did not come to pass');
    await turn();
  }
}

/** As long as it takes what was sent to be told, if it is going to be. */
async function settles(): Promise<void> {
  for (let turns = 0; turns < 30; turns += 1) await turn();
}

for (const [name, way] of Object.entries(WAYS)) {
  test(`${name}: a listener that closes after an await gets everything, and has never more than may be open`, async (t) => {
    const told: string[] = [];
    let open = 0;
    let most = 0;
    const { send, receiver, end } = way.pair(t, { maxDescriptors: 1 }, (text, descriptor) => {
      told.push(text);
      if (descriptor === undefined) return;
      open += 1;
      most = Math.max(most, open);
      void (async () => {
        for (let turns = 0; turns < 12; turns += 1) await turn();
        descriptor.close();
        open -= 1;
      })();
    });
    const before = takeCensus();
    const sent = Array.from({ length: 500 }, (_, index) => String(index));
    for (const [index, text] of sent.entries()) {
      send(text, index % 3 === 0 ? 0 : 1);
      if (index % 10 === 9) await turn();
    }
    end();
    await until(() => told.length === sent.length);
    assert.deepEqual(told, sent);
    assert.equal(most, 4);
    await until(() => receiver.destroyed && open === 0);
    await until(() => Object.keys(grown(before, takeCensus())).length === 0);
  });

  test(`${name}: with none closed it stands still and lives, and each that is closed or taken lets one more come`, async (t) => {
    const told: string[] = [];
    const kept: Descriptor[] = [];
    const options = { maxDescriptors: 1, maxOpenDescriptors: 3 };
    const { send, receiver } = way.pair(t, options, (text, descriptor) => {
      told.push(text);
      if (descriptor !== undefined) kept.push(descriptor);
    });
    for (let i = 0; i < 6; i += 1) send(`with ${i}`, 1);
    send('plain');
    await until(() => told.length === 3);
    await settles();
    assert.deepEqual(told, ['with 0', 'with 1', 'with 2']);
    kept[0]?.close();
    await until(() => told.length === 4);
    await settles();
    assert.equal(told.length, 4);
    const fd = kept[1]?.take() ?? -1;
    await until(() => told.length === 5);
    await settles();
    assert.deepEqual(told.slice(3), ['with 3', 'with 4']);
    kept[2]?.close();
    await until(() => told.length === 7);
    assert.equal(told.at(-1), 'plain');
    // Nothing that brings none has to wait.
    for (let i = 0; i < 100; i += 1) send(`plain ${i}`);
    await until(() => told.length === 107);
    assert.equal(receiver.destroyed, false);
    closeAll(kept);
    fs.closeSync(fd);
  });

  test(`${name}: destroyed while some wait, none stays open`, async (t) => {
    await leavesNothingOpen(async () => {
      const kept: Descriptor[] = [];
      let told = 0;
      const { send, receiver, sender } = way.pair(t, { maxDescriptors: 1 }, (_, descriptor) => {
        told += 1;
        if (descriptor !== undefined) kept.push(descriptor);
      });
      for (let i = 0; i < 20; i += 1) send(String(i), 1);
      await until(() => told === 4);
      const closed = [receiver, sender].map((socket) => once(socket, 'close'));
      receiver.destroy();
      sender.destroy();
      await Promise.all(closed);
      closeAll(kept);
      await turn();
      assert.equal(told, 4);
    }, 20);
  });

  test(`${name}: more with one message than may ever be open end the connection`, async (t) => {
    const options = { maxDescriptors: 3, maxOpenDescriptors: 2 };
    const { send, receiver } = way.pair(t, options, (_, descriptor) => descriptor?.close());
    const failed = once(receiver, 'error');
    send('too many', 3);
    const [error] = (await failed) as [NodeJS.ErrnoException & { hint?: string }];
    assert.equal(error.code, 'ERR_AFUNIX_DESCRIPTOR_LIMIT');
    assert.match(error.message, /3 descriptors came with one message, and maxOpenDescriptors is 2/);
    assert.match(error.hint ?? '', /raise `maxOpenDescriptors`/);
  });
}

for (const way of ['detach()', 'transfer()', 'toNetSocket()'] as const) {
  test(`a stream, ${way} while some wait: their bytes go on with the connection, in order`, async (t) => {
    const [one, other] = net.socketpair({ maxDescriptors: 1, maxOpenDescriptors: 1 });
    t.after(() => one.destroy());
    one.on('error', () => undefined);
    const before = takeCensus();
    const kept: Descriptor[] = [];
    let text = '';
    other.on('descriptors', (list: Descriptor[]) => kept.push(...list));
    other.on('data', (part: Buffer) => (text += part.toString()));
    for (const part of ['first ', 'second ', 'third ']) one.sendDescriptors([0], part);
    await until(() => text === 'first ');
    await settles();
    assert.equal(other.bytesRead, 6);
    const moved =
      way === 'detach()'
        ? net.Socket.from(other.detach())
        : way === 'transfer()'
          ? net.receive(net.transfer(other))
          : other.toNetSocket();
    t.after(() => moved.destroy());
    moved.setEncoding('utf8').on('data', (part: string) => (text += part));
    one.end('last');
    await once(moved, 'end');
    assert.equal(text, 'first second third last');
    assert.equal(kept.length, 1);
    closeAll(kept);
    await until(() => Object.keys(grown(before, takeCensus())).length === 0);
  });
}

test('a stream that is paused: what waits with its bytes counts, and nothing is lost when it goes on', async (t) => {
  const [one, other] = net.socketpair({ maxDescriptors: 1 });
  t.after(() => [one, other].forEach((each) => each.destroy()));
  const seen: string[] = [];
  other.on('descriptors', (list: Descriptor[], { offset }: { offset: number }) => {
    seen.push(`at ${offset}`);
    closeAll(list);
  });
  other.on('data', (part: Buffer) => seen.push(part.toString()));
  other.pause();
  const before = takeCensus();
  for (let i = 0; i < 10; i += 1) one.sendDescriptors([0], String(i));
  await until(() => other.readableLength === 4);
  await settles();
  assert.equal(other.readableLength, 4);
  const open = Object.values(grown(before, takeCensus())).reduce((sum, count) => sum + count, 0);
  // Four that it may have, and one for which there is no room.
  assert.ok(open <= 5, `${open} open`);
  other.resume();
  await until(() => seen.length === 20);
  assert.deepEqual(
    seen,
    Array.from({ length: 10 }, (_, index) => [`at ${index}`, String(index)]).flat(),
  );
});

test('with `onread` they wait as well, and the bytes behind them', async (t) => {
  const [pairOne, pairOther] = net.socketpair();
  t.after(() => pairOne.destroy());
  const seen: string[] = [];
  const kept: Descriptor[] = [];
  const reading = net.Socket.from(pairOther.detach(), {
    maxDescriptors: 1,
    maxOpenDescriptors: 1,
    onread: {
      buffer: Buffer.alloc(100),
      callback: (length, buffer) => seen.push(Buffer.from(buffer).toString('utf8', 0, length)) > 0,
    },
  });
  t.after(() => reading.destroy());
  reading.on('descriptors', (list: Descriptor[]) => {
    seen.push('descriptor');
    kept.push(...list);
  });
  for (const text of ['one', 'two', 'three']) pairOne.sendDescriptors([0], text);
  await until(() => seen.length === 2);
  await settles();
  assert.deepEqual(seen, ['descriptor', 'one']);
  kept[0]?.close();
  await until(() => seen.length === 4);
  await settles();
  kept[1]?.close();
  await until(() => seen.length === 6);
  assert.deepEqual(seen.slice(2), ['descriptor', 'two', 'descriptor', 'three']);
  kept[2]?.close();
});

const PROGRAMS: Readonly<Record<string, string>> = {
  'a stream': `
    const [one, other] = require(${JSON.stringify(require.resolve('afunix'))}).socketpair(options);
    const told = (listener) => other.on('descriptors', (list) => listener(...list)).resume();
    one.on('error', () => undefined);
  `,
  'a message socket': `
    const [one, other] = require(${JSON.stringify(require.resolve('afunix/seqpacket'))}).socketpair(options);
    const told = (listener) => other.on('message', (_, { descriptors }) => listener(...descriptors));
    one.on('error', () => undefined);
  `,
};

for (const [name, made] of Object.entries(PROGRAMS)) {
  test(`${name} that waits keeps the process, and goes on when one that was lost is collected`, async () => {
    const program = `
      const options = { maxDescriptors: 1, maxOpenDescriptors: 2 };
      ${made}
      one.unref();
      let count = 0;
      told(() => {
        count += 1;
        if (count === 6) { console.log('all six'); other.destroy(); }
      });
      for (let i = 0; i < 6; i += 1) one.sendDescriptors([0], 'x');
      const collect = setInterval(() => gc(), 10).unref();
    `;
    assert.equal(await saidWithGarbageCollector(program), 'all six');
  });

  test(`${name} that waits and sees none closed is warned of once, after five seconds`, async () => {
    const program = `
      const options = { maxDescriptors: 1, maxOpenDescriptors: 2 };
      ${made}
      const kept = [];
      const warnings = [];
      told((descriptor) => kept.push(descriptor));
      process.on('warning', ({ code, message }) => {
        console.log(code, /2 descriptors .* are open, and maxOpenDescriptors is 2/.test(message));
        other.destroy();
        one.destroy();
      });
      for (let i = 0; i < 6; i += 1) one.sendDescriptors([0], 'x');
    `;
    assert.equal(await saidWithGarbageCollector(program), 'AFUNIX_OPEN_DESCRIPTORS true');
  });
}
