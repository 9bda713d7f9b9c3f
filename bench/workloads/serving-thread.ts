/** The program of every thread of a server but its first: serves a listener that the first one shares. */
import { parentPort, workerData } from 'node:worker_threads';

import { javaScriptContenderById } from '../contenders/index.js';
import { answer } from './threads.js';

const { contender, shared } = workerData as { contender: string; shared: unknown };

javaScriptContenderById(contender).threads?.receive(shared, (connection) =>
  answer(connection, (error) => {
    throw error;
  }),
);
parentPort?.postMessage('listening');
