import { netContender } from './net.js';

export const netTcp = netContender({
  id: 'net-tcp',
  title: 'node:net, TCP',
  reads: 'data',
  baselines: ['net-unix'],
  address: () => ({ host: '127.0.0.1', port: 0 }),
});
