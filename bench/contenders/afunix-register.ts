import { createRequire } from 'node:module';

import { afunix } from './afunix.js';
import type { JavaScriptContender } from './contender.js';
import { netUnix } from './net-unix.js';

/** From here on `node:net` of this process is served by afunix where it goes to a path. */
function register(): void {
  createRequire(__filename)('afunix/register');
}

const { http } = netUnix;

/** `node:net` as it comes, in a program that has loaded `afunix/register`. */
export const afunixRegister: JavaScriptContender = {
  ...netUnix,
  id: 'afunix-register',
  title: 'afunix/register',
  baselines: ['net-unix', 'afunix'],
  onRequest: true,
  probe: afunix.probe,
  listen: (socketPath, onConnection) => {
    register();
    return netUnix.listen(socketPath, onConnection);
  },
  connect: (endpoint, options) => {
    register();
    return netUnix.connect(endpoint, options);
  },
  http: http && {
    listen: (server, socketPath) => {
      register();
      return http.listen(server, socketPath);
    },
    connect: (endpoint) => {
      register();
      return http.connect(endpoint);
    },
  },
  counters: afunix.counters,
};
