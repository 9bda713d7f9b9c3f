/** Threads that end in the middle of asking who somebody is. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { happens } from '../helpers/sockets';

const asks = `
  const { parentPort } = require('node:worker_threads');
  const { socketpair } = require(${JSON.stringify(require.resolve('afunix'))});
  const { userName, groupId } = require(${JSON.stringify(require.resolve('afunix/credentials'))});
  const [{ peerCredentials: peer }] = socketpair();
  void peer.pidfd;
  peer.exited.catch(() => undefined);
  let asked = 0;
  const again = () => {
    asked += 1;
    void groupId('nobody-' + asked);
    void userName(asked % 70000).then(again);
  };
  for (let i = 0; i < 8; i += 1) again();
  parentPort.postMessage('asks');
`;

test('a worker that is terminated while it looks names up and waits for an exit leaves nothing', async () => {
  const run = async (rounds: number): Promise<void> => {
    for (let round = 0; round < rounds; round += 1) {
      const worker = new Worker(asks, { eval: true });
      await happens(worker, 'message');
      await worker.terminate();
    }
  };
  await run(2);
  const before = readdirSync('/proc/self/fd').length;
  await run(15);
  assert.equal(readdirSync('/proc/self/fd').length, before);
});
