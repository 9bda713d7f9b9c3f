/** `relay-program PORT PATH`: what comes to the port of 127.0.0.1 goes to the socket, and back. */
import * as net from 'node:net';

import { afunixLibrary } from './contenders/afunix-library.js';

const [port, socketPath = ''] = process.argv.slice(2);
const { connect } = afunixLibrary();

net
  .createServer({ allowHalfOpen: true, noDelay: true }, (outside) => {
    const inside = connect({ path: socketPath, allowHalfOpen: true });
    outside.pipe(inside).pipe(outside);
    // Whoever breaks takes the other side with it.
    outside.on('error', () => inside.destroy());
    inside.on('error', () => outside.destroy());
  })
  .listen(Number(port), '127.0.0.1');
