import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { markAsUntransferable } from 'node:worker_threads';
import afunix from 'afunix';

const digest = (bytes: Uint8Array): string => createHash('sha1').update(bytes).digest('base64');

/** Sends `messages` one by one over a pair, each after the one before it arrived; every chunk received. */
async function exchange(
  messages: readonly Buffer[],
  received: (chunk: Buffer) => void,
): Promise<void> {
  const [sender, receiver] = afunix.socketpair();
  let owed = 0;
  let next = 0;
  await new Promise<void>((resolve, reject) => {
    const send = (): void => {
      const message = messages[next++];
      if (message === undefined) {
        resolve();
        return;
      }
      owed = message.length;
      sender.write(message);
    };
    receiver.on('error', reject);
    sender.on('error', reject);
    receiver.on('data', (chunk: Buffer) => {
      owed -= chunk.length;
      received(chunk);
      if (owed === 0) send();
    });
    send();
  });
  sender.destroy();
  receiver.destroy();
}

const sizes = [1, 7, 128, 255, 256, 257, 4095, 4096, 4097, 20_000, 65_536, 200_000];
const messages = Array.from({ length: 600 }, (_, i) => randomBytes(sizes[i % sizes.length] ?? 1));
const sent = digest(Buffer.concat(messages));

test('a chunk stays as it was for as long as it is kept, whatever comes after it', async () => {
  const kept: { chunk: Buffer; was: string }[] = [];
  await exchange(messages, (chunk) => kept.push({ chunk, was: digest(chunk) }));
  for (const { chunk, was } of kept) assert.equal(digest(chunk), was);
  assert.equal(digest(Buffer.concat(kept.map(({ chunk }) => chunk))), sent);
});

test('a user may write into every chunk', async () => {
  const hash = createHash('sha1');
  await exchange(messages, (chunk) => {
    hash.update(chunk);
    chunk.fill(0xdb);
  });
  assert.equal(hash.digest('base64'), sent);
});

const { transfer } = ArrayBuffer.prototype as unknown as { transfer?: () => ArrayBuffer };

/** Whether this Node's transfer() refuses memory that was marked; that of Node 22 moves it all the same. */
const markedIsRefused = ((): boolean => {
  const marked = new ArrayBuffer(8);
  markAsUntransferable(marked);
  try {
    transfer?.call(marked);
    return false;
  } catch {
    return true;
  }
})();

test('nothing is lost when the memory of every chunk is moved away at once', async () => {
  const hash = createHash('sha1');
  let moved = 0;
  let refused = 0;
  await exchange(messages, (chunk) => {
    hash.update(chunk);
    try {
      structuredClone(chunk.buffer, { transfer: [chunk.buffer as ArrayBuffer] });
      if (chunk.length === 0) moved += 1;
    } catch (error) {
      // Memory that several chunks share cannot be moved by structuredClone ...
      assert.equal((error as Error).name, 'DataCloneError');
    }
    // ... but by this it can be, where it exists and asks nobody.
    if (transfer === undefined || chunk.length === 0) return;
    try {
      transfer.call(chunk.buffer as ArrayBuffer);
    } catch (error) {
      assert.ok(markedIsRefused && error instanceof TypeError, String(error));
      refused += 1;
    }
  });
  assert.equal(refused > 0, markedIsRefused, `${refused} refused`);
  assert.equal(hash.digest('base64'), sent);
  assert.ok(moved > 0, 'long chunks are their own memory and can be moved');
});

test('a small chunk keeps at most 8 KiB from being collected, any chunk at most 64 KiB', async () => {
  await exchange(messages, (chunk) => {
    const pinned = chunk.buffer.byteLength;
    assert.ok(pinned <= 64 * 1024, `${chunk.length} bytes pin ${pinned}`);
    if (chunk.length <= 4096) assert.ok(pinned <= 8192, `${chunk.length} bytes pin ${pinned}`);
  });
});

test('under a reader that stops, no more is received than the mark and one read', async () => {
  const [sender, receiver] = afunix.socketpair({ readableHighWaterMark: 16_384 });
  const block = Buffer.alloc(64 * 1024, 1);
  receiver.on('readable', () => undefined);
  for (let i = 0; i < 200; i += 1) {
    sender.write(block);
    await new Promise(setImmediate);
  }
  assert.ok(receiver.readableLength > 0);
  assert.ok(
    receiver.readableLength <= receiver.readableHighWaterMark + 64 * 1024,
    `${receiver.readableLength} bytes buffered`,
  );
  assert.equal(receiver.bytesRead, receiver.readableLength);
  sender.destroy();
  receiver.destroy();
});
