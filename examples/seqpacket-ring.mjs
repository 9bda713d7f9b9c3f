// A worker thread reads messages out of shared memory that the main thread's socket receives into: no copy, and not one
// postMessage for them.
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { MessageRing, socketpair } from 'afunix/seqpacket';

const messages = 100_000;

if (isMainThread) {
  const ring = new SharedArrayBuffer(4 * 1024 * 1024);
  const [sender, receiver] = socketpair({ maxMessageSize: 1024 });
  receiver.receiveInto(ring);
  const worker = new Worker(new URL(import.meta.url), { workerData: ring });
  const result = once(worker, 'message');

  for (let next = 0; next < messages;) {
    const batch = [];
    for (; batch.length < 64 && next < messages; ++next) batch.push(`message ${next}`);
    if (!sender.sendBatch(batch)) await once(sender, 'drain');
  }
  sender.end();

  const [{ count, inOrder, severalAtATime }] = await result;
  console.log(`the worker read ${count} messages, ${inOrder ? 'in order' : 'out of order'}`);
  console.log(`several at a time: ${severalAtATime ? 'yes' : 'no'}`);
} else {
  let count = 0;
  let batches = 0;
  let inOrder = true;
  // Waits with Atomics.wait while there is nothing. A batch is valid until the next one.
  for (const batch of new MessageRing(workerData)) {
    for (const message of batch) inOrder &&= message.toString() === `message ${count++}`;
    batches += 1;
  }
  parentPort.postMessage({ count, inOrder, severalAtATime: batches < count });
}
