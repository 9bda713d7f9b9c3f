import { netContender } from './net.js';

export const netUnix = netContender({
  id: 'net-unix',
  title: 'node:net, Unix',
  reads: 'data',
  baselines: [],
  address: (path) => ({ path }),
});

export const netUnixOnread = netContender({
  id: 'net-unix-onread',
  title: 'node:net, Unix, onread',
  reads: 'onread',
  baselines: ['net-unix'],
  address: (path) => ({ path }),
});
