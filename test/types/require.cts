// What a program written with `require` sees. Compiled, never run.
import type { Duplex } from 'node:stream';
import afunix = require('afunix');

const socket: afunix.Socket = afunix.connect('/run/x.sock');
const duplex: Duplex = socket;
const server: afunix.Server = afunix.createServer((connection) => connection.resume());

// @ts-expect-error a listener is a function
afunix.createServer({}, 'listener');

export = { duplex, server };
