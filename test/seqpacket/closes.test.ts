/** However the other end closes, what it had sent arrives, in order, before the end or the error. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Socket } from 'afunix/seqpacket';
import { fault, happens, listening, LONG, numbered, randomNumbers, seqpacket } from './support';

const TOTAL = LONG ? 20_000 : 1_200;
const ABREAST = 24;

type Close = 'end' | 'destroy' | 'reset' | 'answered';
type Reader = 'message' | 'owned' | 'borrowed';

const CLOSES: readonly Close[] = ['end', 'destroy', 'reset', 'answered'];
const READERS: readonly Reader[] = ['message', 'owned', 'borrowed'];

const lengthOf = (number: number): number => 1 + ((number * 97) % 700);

/** Sends `count` messages and closes in this way as soon as they are the kernel's. */
async function sendAndClose(client: Socket, count: number, close: Close): Promise<void> {
  client.on('error', () => undefined);
  if (close === 'answered') client.resume();
  // Whoever closes without having read what it was sent resets the connection.
  if (close === 'reset') await onlyFirstMessage(client);
  const taken = new Promise<void>((resolve) => {
    const batch = Array.from({ length: count }, (_, i) => numbered(i, lengthOf(i)));
    client.sendBatch(batch, () => resolve());
  });
  if (close === 'end') client.end();
  await taken;
  if (close !== 'end') client.destroy();
  else client.resume();
  await happens(client, 'close');
}

function onlyFirstMessage(client: Socket): Promise<void> {
  return new Promise((resolve) => {
    client.once('message', () => {
      client.pause();
      resolve();
    });
  });
}

interface Outcome {
  readonly count: number;
  readonly wrong: string | undefined;
  readonly ending: string;
}

async function receive(peer: Socket, close: Close, reader: Reader): Promise<Outcome> {
  let count = 0;
  let wrong: string | undefined;
  const take = (message: Buffer): void => {
    wrong ??= fault(message, count, lengthOf(count));
    count += 1;
  };
  if (close === 'reset') peer.sendBatch(['read', 'never read']);
  if (close === 'answered') peer.on('message', () => void peer.send('answer', () => undefined));
  let ending = 'end';
  const closed = happens(peer, 'close');
  if (reader === 'message' || close === 'answered') {
    peer.on('message', take);
    peer.on('error', (error) => (ending = (error as { code?: string }).code ?? error.message));
  } else {
    try {
      for await (const batch of peer.batches({ memory: reader })) for (const m of batch) take(m);
    } catch (error) {
      ending = (error as { code?: string }).code ?? String(error);
    }
  }
  await closed;
  return { count, wrong, ending };
}

async function closeOnce(
  path: string,
  accepted: Map<number, (peer: Socket) => void>,
  number: number,
  count: number,
): Promise<Outcome> {
  const close = CLOSES[number % 4];
  const reader = READERS[number % 3];
  const outcome = new Promise<Outcome>((resolve, reject) => {
    accepted.set(number, (peer) => void receive(peer, close, reader).then(resolve, reject));
  });
  const client = seqpacket.connect({ path, batchSize: 1 });
  client.send(`${number}`);
  await happens(client, 'connect');
  await sendAndClose(client, count, close);
  return outcome;
}

test(
  `${TOTAL} closes of four kinds with 0 to 200 messages under way`,
  { timeout: 900_000 },
  async (t: TestContext) => {
    const accepted = new Map<number, (peer: Socket) => void>();
    const { path } = await listening(t, {}, (peer) => {
      peer.on('error', () => undefined);
      // The first message says who it is.
      peer.once('message', (message) => accepted.get(Number(message.toString()))?.(peer));
    });
    const random = randomNumbers(11);
    const endings = new Map<string, number>();
    let next = 0;
    const work = async (): Promise<void> => {
      while (next < TOTAL) {
        const number = next++;
        const count = random(201);
        const { count: got, wrong, ending } = await closeOnce(path, accepted, number, count);
        accepted.delete(number);
        const close = CLOSES[number % 4];
        assert.equal(wrong, undefined, close);
        assert.equal(got, count, `${close}, ${ending}`);
        if (close === 'end' || close === 'destroy') assert.equal(ending, 'end', close);
        if (close === 'reset') assert.equal(ending, 'ECONNRESET', close);
        const key = `${close}: ${ending}`;
        endings.set(key, (endings.get(key) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: ABREAST }, work));
    t.diagnostic(JSON.stringify(Object.fromEntries(endings)));
  },
);

test('a reset is told behind 150 messages, also after a pause', async (t) => {
  const [a, b] = seqpacket.socketpair();
  b.pause();
  b.send('never read');
  await new Promise((resolve) => a.sendBatch(Array.from({ length: 150 }, String), resolve));
  a.destroy();
  await happens(a, 'close');
  const told: string[] = [];
  b.on('message', (message) => void told.push(message.toString()));
  const failed = happens(b, 'error');
  b.resume();
  const [error] = (await failed) as [Error & { code: string; syscall: string }];
  assert.equal(error.code, 'ECONNRESET');
  assert.equal(told.length, 150);
  t.diagnostic(error.message);
});

test('sending to a peer that is gone fails, and what it had sent comes first', async () => {
  const [a, b] = seqpacket.socketpair();
  const told: string[] = [];
  b.on('message', (message) => {
    told.push(message.toString());
    b.pause();
    setImmediate(() => b.resume());
  });
  await new Promise((resolve) => a.sendBatch(['1', '2', '3'], resolve));
  a.destroy();
  await happens(a, 'close');
  const failure = new Promise<Error | null>((resolve) => b.send('too late', resolve));
  const [error] = (await happens(b, 'error')) as [Error & { code: string; syscall: string }];
  assert.equal(error.code, 'EPIPE');
  assert.equal(error.syscall, 'send');
  assert.deepEqual(told, ['1', '2', '3']);
  assert.equal(await failure, error);
});

test('sending to a peer that is gone fails at once where nobody reads', async () => {
  const [a, b] = seqpacket.socketpair();
  a.destroy();
  await happens(a, 'close');
  b.send('too late');
  const [error] = (await happens(b, 'error')) as [Error & { code: string }];
  assert.equal(error.code, 'EPIPE');
  await happens(b, 'close');
});
