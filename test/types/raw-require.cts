// What a program written with `require` sees of afunix/raw. Compiled, never run.
import raw = require('afunix/raw');

const socket: raw.RawSocket = raw.RawSocket.socket('stream');
const descriptor: raw.Descriptor = socket.detach();
const credentials: raw.Credentials = { pid: 1, uid: 0, gid: 0 };

// @ts-expect-error descriptors are numbers
new raw.Descriptor('0');

export = { credentials, descriptor };
