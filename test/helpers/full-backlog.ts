/** Source for a worker that listens and then stands still, so that its backlog can be filled for good. */
import { Worker } from 'node:worker_threads';
import { connect } from 'node:net';
import { happens } from './sockets';

export interface FullBacklog {
  /** Lets go of everything. */
  release(): Promise<void>;
}

/** Room for two: the kernel takes one more than the backlog says. */
const backlog = 1;

const standStill = `
  const { parentPort, workerData } = require('node:worker_threads');
  require('node:net').createServer().listen(workerData.address, workerData.backlog, () => {
    parentPort.postMessage('listening');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });
`;

/** Nobody can connect to `address` until it is released, and nobody is refused. */
export async function fillBacklog(address: string): Promise<FullBacklog> {
  const worker = new Worker(standStill, { eval: true, workerData: { address, backlog } });
  await happens(worker, 'message');
  const fillers = Array.from({ length: backlog + 1 }, () => connect(address));
  await Promise.all(fillers.map((filler) => happens(filler, 'connect')));
  return {
    async release() {
      for (const filler of fillers) filler.on('error', () => undefined).destroy();
      await worker.terminate();
    },
  };
}
