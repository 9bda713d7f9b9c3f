/** The names on sockets and servers that `node:net` leaves free belong to whoever derives from them. */
import assert from 'node:assert/strict';
import nodeNet, { type Socket } from 'node:net';
import { test } from 'node:test';
import net from 'afunix';
import { address, collected, happens, listening } from './support';

/** Names on the prototypes that are neither net's nor inherited, and no symbols. */
function namesBeyondNet(ours: object, theirs: object): string[] {
  return Object.getOwnPropertyNames(ours).filter((name) => !(name in theirs));
}

test('the prototype of Socket has few names that net.Socket does not have, all of them documented', () => {
  assert.deepEqual(namesBeyondNet(net.Socket.prototype, nodeNet.Socket.prototype).sort(), [
    'detach',
    'flushed',
    'peerCredentials',
    'sendDescriptors',
    'toNetSocket',
  ]);
});

test('the prototype of Server has no name that net.Server does not have', () => {
  assert.deepEqual(namesBeyondNet(net.Server.prototype, nodeNet.Server.prototype), []);
});

test('a subclass of Server may have methods of any name', async (t) => {
  class Gate extends net.Server {
    opened = true;
    accept(): string {
      return 'mine';
    }
    dropped(): string {
      return 'mine';
    }
  }
  const server = new Gate((socket: Socket) => socket.end('let in'));
  const path = address(t);
  await listening(t, server, path);
  const socket = net.connect(path);
  t.after(() => socket.destroy());
  await happens(server, 'connection');
  assert.equal((await collected(socket)).toString(), 'let in');
});

test('a subclass of Socket may have methods of any name', async (t) => {
  class Phone extends net.Socket {
    openConnection(): string {
      return 'mine';
    }
    writeShort(): string {
      return 'mine';
    }
    readIntoUserBuffer(): string {
      return 'mine';
    }
  }
  const path = address(t);
  await listening(
    t,
    net.createServer({ allowHalfOpen: true }, (peer) => peer.pipe(peer)),
    path,
  );
  const socket = new Phone();
  t.after(() => socket.destroy());
  socket.connect(path);
  await happens(socket, 'connect');
  socket.end('hello');
  assert.equal((await collected(socket)).toString(), 'hello');
});
